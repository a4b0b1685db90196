//! `gradscope exec`: a program of several runs.

use super::args::{Exec, Scripts};
use super::draw::{self, Screen};
use super::open;
use super::run::Bar;
use super::stop::Stop;
use crate::render::Figure;
use crate::script::context::Stage;
use crate::script::folders::Source;
use crate::script::program::{self, Desk};
use crate::tui::Graphics;
use anyhow::{Result, bail};
use std::process::ExitCode;
use std::sync::Arc;

/// Runs it to its last statement.
pub fn exec(scripts: &Scripts, args: &Exec) -> Result<ExitCode> {
    let host = Arc::new(open::host(scripts)?);
    let stop = Stop::new(host.guard())?;
    let source = Source::read(&args.script).map_err(super::usage::usage)?;
    let terminal = Arc::new(Terminal(Arc::new(Bar::new(&source.name))));
    let ran = program::run(host, &source, &args.args, terminal.clone());
    terminal.0.0.finish_and_clear();
    match ran {
        Err(_) if stop.wanted() => bail!("cancelled; what was trained or written so far is kept"),
        ran => ran.map(|()| ExitCode::SUCCESS),
    }
}

/// Lines and figures on stdout, talk and progress on stderr.
struct Terminal(Arc<Bar>);

impl Desk for Terminal {
    fn print(&self, line: &str) -> Result<()> {
        self.0.0.suspend(|| draw::print(line))
    }

    fn draw(&self, figure: &Figure) -> Result<()> {
        self.0.0.suspend(|| Screen::new(Graphics::Auto).show(figure))
    }

    fn say(&self, line: &str) {
        self.0.0.suspend(|| eprintln!("{line}"));
    }

    fn stage(&self) -> Arc<dyn Stage> {
        self.0.clone()
    }
}

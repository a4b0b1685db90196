//! `gradscope exec`: runs a program, i.e. a script that performs several runs.

use super::args::{ExecArgs, HostArgs};
use super::draw::FigurePrinter;
use super::out;
use super::progress::ProgressLine;
use super::stop::{GRACE, StopFlag};
use super::{deadline, open};
use crate::render::Figure;
use crate::script::folders::ScriptSource;
use crate::script::method::context::Observer;
use crate::script::program::{self, Console};
use crate::sync::LockUnpoisoned;
use crate::tui::Graphics;
use anyhow::{Result, anyhow, bail};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// Runs the program to its end. If it is cancelled, whatever it has trained or written so far is kept.
pub fn exec(host_args: &HostArgs, args: &ExecArgs) -> Result<ExitCode> {
    let host = Arc::new(open::host(host_args)?);
    let stop = StopFlag::new(host.guard(), GRACE)?;
    deadline::begin(args.time_limit, host.guard())?;
    let guard = host.guard().clone();
    let source = ScriptSource::read(&args.script).map_err(super::usage::usage)?;
    let bar = Arc::new(ProgressLine::spinner(&source.name));
    let terminal = Arc::new(Terminal { bar, screen: Mutex::new(None) });
    let ran = program::run(host, &source, &args.args, terminal.clone());
    terminal.bar.end();
    match ran {
        Err(_) if stop.wanted() => bail!("cancelled; everything trained or written so far is kept"),
        Err(error) => {
            Err(guard.ended().map_or(error, |why| anyhow!("{why}; everything trained or written so far is kept")))
        }
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

/// A console that prints lines and figures to stdout, messages and progress to stderr.
struct Terminal {
    bar: Arc<ProgressLine>,
    /// The printer of figures, created when the first figure is printed, because creating a printer queries the terminal.
    screen: Mutex<Option<FigurePrinter>>,
}

impl Console for Terminal {
    fn print(&self, line: &str) -> Result<()> {
        self.bar.suspend(|| out::data(line))
    }

    fn draw(&self, figure: &Figure) -> Result<()> {
        self.bar.suspend(|| {
            let mut screen = self.screen.lock_unpoisoned();
            let screen = match &mut *screen {
                Some(open) => open,
                none => none.insert(FigurePrinter::new(Graphics::Auto)?),
            };
            screen.show(std::slice::from_ref(figure))
        })
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| out::tell(line));
    }

    fn observer(&self) -> Arc<dyn Observer> {
        self.bar.clone()
    }
}

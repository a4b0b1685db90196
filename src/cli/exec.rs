//! `gradscope exec`: runs a program, i.e. a script that performs several runs.

use super::args::{ExecArgs, HostArgs};
use super::console::Terminal;
use super::stop::{GRACE, StopFlag};
use super::{deadline, open};
use crate::script::folders::ScriptSource;
use crate::script::program;
use anyhow::{Result, anyhow, bail};
use std::process::ExitCode;
use std::sync::Arc;

/// Runs the program to its end. If it is cancelled, whatever it has trained or written so far is kept.
pub fn exec(host_args: &HostArgs, args: &ExecArgs) -> Result<ExitCode> {
    let host = Arc::new(open::host(host_args)?);
    let stop = StopFlag::new(host.guard(), GRACE)?;
    deadline::begin(args.time_limit, host.guard())?;
    let guard = host.guard().clone();
    let source = ScriptSource::read(&args.script).map_err(super::usage::usage)?;
    let terminal = Arc::new(Terminal::new(&source.name));
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

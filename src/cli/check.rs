//! `gradscope check`: compiles scripts and runs them on the built-in network.

use super::args::{CheckArgs, HostArgs, QuestionArgs};
use super::progress::ProgressLine;
use super::stop::{GRACE, StopFlag};
use super::{deadline, open, out, still, usage};
use crate::script::host::Host;
use crate::words;
use anyhow::{Result, bail};
use std::process::ExitCode;

/// Number of steps to run when checking a stepped method.
const STEPS: usize = 2;

/// Checks all methods, continuing after failures. The exit code is 1 if any method failed.
pub fn check(host_args: &HostArgs, args: &CheckArgs) -> Result<ExitCode> {
    let host = open::host(host_args)?;
    let stop = StopFlag::new(host.guard(), GRACE)?;
    deadline::begin(args.time_limit, host.guard())?;
    let (mut wrong, all) = (0, args.methods.len());
    let bar = ProgressLine::of(all, 0)?;
    for (done, plugin) in args.methods.iter().enumerate() {
        still::begin(plugin);
        bar.set(done, plugin);
        let checked = figures(&host, plugin);
        if stop.wanted() {
            bar.end();
            bail!("cancelled after {done} of {all} methods");
        }
        bar.suspend(|| match checked {
            Ok((count, notes)) => {
                out::say(&format!("ok     {}: {count} figures", words::name(plugin)))?;
                let note = |note: &String| out::say(&format!("note   {}: {}", words::name(plugin), words::line(note)));
                notes.iter().try_for_each(note)
            }
            Err(error) => {
                wrong += 1;
                out::say(&format!("wrong  {}", usage::sentence(&error)))
            }
        })?;
    }
    bar.end();
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

/// Runs a method on the built-in picture. Returns the number of figures and the notes.
fn figures(host: &Host, plugin: &str) -> Result<(usize, Vec<String>)> {
    host.method(plugin)?;
    let question = QuestionArgs::default();
    let model = open::model(host, &question.network)?;
    let (name, picture) = open::picture(None, &model)?;
    let mut session = open::session(host, model, (&name, &picture), plugin, &question)?;
    let mut frame = session.run(host)?;
    while session.method().is_some_and(|m| m.stepped) && session.can_go_on() && session.cursor() < STEPS {
        frame = session.step(host)?;
    }
    Ok((frame.figures.len(), session.told().notes().to_vec()))
}

//! `gradscope check`: whether scripts compile, and run on the program's own network.

use super::args::{Check, Question, Scripts};
use super::{draw, open, usage};
use crate::script::host::Host;
use anyhow::Result;
use std::process::ExitCode;

/// Steps that a stepper is tried for.
const STEPS: usize = 2;

/// Checks each; one that is wrong does not hide the next.
pub fn check(scripts: &Scripts, args: &Check) -> Result<ExitCode> {
    let host = open::host(scripts)?;
    let mut wrong = 0;
    for plugin in &args.methods {
        match figures(&host, plugin) {
            Ok(count) => draw::print(&format!("ok     {plugin}: {count} figures"))?,
            Err(error) => {
                wrong += 1;
                draw::print(&format!("wrong  {}", usage::sentence(&error)))?;
            }
        }
    }
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

/// How many figures it shows of the program's own picture.
fn figures(host: &Host, plugin: &str) -> Result<usize> {
    host.method(plugin)?;
    let question = Question::default();
    let model = open::model(host, &question.network)?;
    let (name, picture) = open::picture(None, &model)?;
    let mut session = open::session(host, model, (&name, &picture), plugin, &question)?;
    let mut frame = session.run(host)?;
    while session.method().is_some_and(|m| m.stepped) && session.can_go_on() && session.cursor() < STEPS {
        frame = session.step(host)?;
    }
    Ok(frame.figures.len())
}

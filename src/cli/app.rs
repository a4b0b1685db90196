//! `gradscope` without a command: the app.

use super::args::{App, Question, Scripts};
use super::{open, usage};
use crate::script::worker::{self, Opening};
use crate::tui;
use anyhow::{Result, anyhow, bail};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Opens what was asked for, then the app on it.
pub fn app(scripts: &Scripts, question: &Question, app: &App) -> Result<ExitCode> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        bail!("the app needs a terminal for input and output; \"gradscope run METHOD\" needs none");
    }
    if question.pictures.len() > 1 {
        return Err(usage::usage(anyhow!("the app opens one picture; \"gradscope run METHOD\" takes several")));
    }
    let host = open::host(scripts)?;
    let model = open::model(&host, &question.network)?;
    let (name, picture) = open::picture(question.pictures.first().map(String::as_str), &model)?;
    let session = open::session(&host, model, (&name, &picture), &app.method, question)?;
    let weights = question.network.weights.clone();
    let (asker, updates) = worker::start(Opening { host, session, picture, weights, no_resize: question.no_resize })?;
    let options = tui::Options { graphics: app.graphics, ..tui::Options::default() };
    tui::run(&options, |command| asker.ask(command), updates)?;
    Ok(ExitCode::SUCCESS)
}

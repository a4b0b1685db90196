//! `gradscope` without a command: the app.

use super::args::{App, Network, Question, Scripts};
use super::config::{self, Config};
use super::{open, usage};
use crate::data::lock::Lock;
use crate::data::{Picture, create_folder};
use crate::script::host::Host;
use crate::script::resume::{self, Opened};
use crate::script::session::Session;
use crate::script::worker::{self, Kept, Opening};
use crate::tui::{self, Graphics};
use anyhow::{Result, anyhow, bail};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The method of an app that nobody told another.
const FIRST: &str = "gradcam";
/// The session of an app that nobody told another.
const LAST: &str = "last";

/// Opens what was asked for, or what was last open, then the app on it.
pub fn app(scripts: &Scripts, question: &Question, app: &App) -> Result<ExitCode> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        bail!("the app needs a terminal for input and output; \"gradscope run METHOD\" needs none");
    }
    if question.pictures.len() > 1 {
        return Err(usage::usage(anyhow!("the app opens one picture; \"gradscope run METHOD\" takes several")));
    }
    let config = config::read()?;
    let host = open::host(scripts)?;
    let (asker, updates) = worker::start(opening(host, question, app)?)?;
    let graphics = match app.graphics {
        Graphics::Auto => config.graphics.unwrap_or_default(),
        asked => asked,
    };
    let Config { colors: maps, theme, bindings, .. } = config;
    let options = tui::Options { graphics, maps, theme, bindings, ..tui::Options::default() };
    let ran = tui::run(&options, |command| asker.ask(command), updates);
    asker.end();
    ran.map(|()| ExitCode::SUCCESS)
}

/// What was last open, where nothing else is asked for; where that cannot be opened, a note says why.
fn opening(host: Host, question: &Question, app: &App) -> Result<Opening> {
    let name = app.session.as_deref().unwrap_or(LAST);
    let mut notes = vec![];
    let kept_in = file(name)?.map(|file| place(name, file, &mut notes)).transpose()?;
    let file = kept_in.as_ref().map(|(file, _)| file.clone());
    let kept_in = kept_in.and_then(|(_, place)| place);
    if let Some(file) = file.as_deref().filter(|_| !app.fresh && nothing_asked(question, app)) {
        match Opened::read(file).and_then(|opened| opened.map(|o| restored(&host, file, o)).transpose()) {
            Ok(None) => {}
            Ok(Some((session, picture, opened, told))) => {
                let Opened { picture: asked, weights, no_resize, under_way: waits, .. } = opened;
                notes.extend(told);
                let restored = true;
                return Ok(Opening {
                    host,
                    session,
                    picture,
                    asked,
                    weights,
                    no_resize,
                    kept_in,
                    restored,
                    waits,
                    notes,
                });
            }
            Err(error) => notes.push(format!("the last session cannot be opened: {error:#}")),
        }
    }
    let model = open::model(&host, &question.network)?;
    notes.extend(model.note());
    let asked = question.pictures.first().cloned().unwrap_or_else(|| model.card.picture.clone());
    let (name, picture) = open::picture(Some(&asked), &model)?;
    let method = app.method.as_deref().unwrap_or(FIRST);
    let mut session = open::session(&host, model, (&name, &picture), method, question)?;
    session.opened_as(&asked);
    let weights = question.network.weights.clone();
    let (no_resize, restored, waits) = (question.no_resize, false, false);
    Ok(Opening { host, session, picture, asked, weights, no_resize, kept_in, restored, waits, notes })
}

/// The file of a session and its lock; no lock where another app has the session open, which a note says.
fn place(name: &str, file: PathBuf, notes: &mut Vec<String>) -> Result<(PathBuf, Option<Kept>)> {
    if let Some(folder) = file.parent() {
        create_folder(folder)?;
    }
    match Lock::claim(&file)? {
        Ok(lock) => Ok((file.clone(), Some(Kept { file, lock }))),
        Err(owner) => {
            let session = if name == LAST { "the last session".into() } else { format!("the session \"{name}\"") };
            notes.push(format!("{session} is open in {owner}, so this app does not keep its own; --session NAME does"));
            Ok((file, None))
        }
    }
}

fn nothing_asked(q: &Question, app: &App) -> bool {
    let network = q.network.model.is_none() && q.network.weights.is_none();
    let rest = q.pictures.is_empty() && q.target.is_none() && q.set.is_empty() && q.data.is_none() && !q.no_resize;
    network && rest && app.method.is_none()
}

/// A session as it was, at the step that it showed where that was kept.
fn restored(host: &Host, file: &Path, opened: Opened) -> Result<(Session, Picture, Opened, Vec<String>)> {
    let network = Network { model: Some(opened.model.clone()), weights: opened.weights.clone(), exact: false };
    let question = Question {
        network,
        target: opened.target.map(|class| class.to_string()),
        no_resize: opened.no_resize,
        set: opened.set.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        data: opened.data.clone(),
        seed: opened.seed,
        ..Question::default()
    };
    let model = open::model(host, &question.network)?;
    let (name, picture) = open::picture(Some(&opened.picture), &model)?;
    let mut session = open::session(host, model, (&name, &picture), &opened.method, &question)?;
    let note = session.model().note();
    session.opened_as(&opened.picture);
    let notes = match resume::go_on(file, &mut session) {
        Ok(false) if opened.under_way => vec![
            "opened as it was left, before it had an answer: r computes it, unless that is what ended the program"
                .into(),
        ],
        Ok(_) => vec!["opened as it was left; --fresh begins anew".into()],
        Err(error) => vec![format!("opened as it was left, but for its steps: {error:#}")],
    };
    Ok((session, picture, opened, note.into_iter().chain(notes).collect()))
}

/// Where a session of this name is kept: below `GRADSCOPE_STATE`, else the user's folder for such; none where that is empty.
fn file(name: &str) -> Result<Option<PathBuf>> {
    if !usage::is_plain(name) {
        return Err(usage::usage(anyhow!("--session {name}: letters, digits, - and _ only")));
    }
    let folder =
        open::place("GRADSCOPE_STATE", |d| d.state_dir().unwrap_or_else(|| d.data_local_dir()).join("sessions"));
    Ok(folder.map(|folder| folder.join(format!("{name}.json"))))
}

//! `gradscope` without a command: the app.

use super::args::{AppArgs, NetworkArgs, QuestionArgs, ScriptArgs};
use super::config::{self, Config};
use super::{draw, open, usage};
use crate::data::lock::Lock;
use crate::data::{Picture, create_folder};
use crate::script::host::Host;
use crate::script::session::Session;
use crate::script::session::workspace::{self, Workspace};
use crate::tui::{self, Graphics};
use crate::words;
use crate::worker::{self, SessionFile, WorkerInit};
use anyhow::{Result, anyhow, bail};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The method of an app that nobody told another.
const FIRST: &str = "gradcam";
/// The session of an app that nobody told another.
const LAST: &str = "last";

/// A session as it was, its picture, what it was asked as, and notes about it.
type Restored = (Session, Picture, Workspace, Vec<String>);

/// Opens what was asked for, or what was last open, then the app on it.
pub fn app(scripts: &ScriptArgs, question: &QuestionArgs, app: &AppArgs) -> Result<ExitCode> {
    if !std::io::stdin().is_terminal() || !draw::on_terminal() {
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
    let options = tui::AppOptions { graphics, maps, theme, bindings, ..tui::AppOptions::default() };
    let ran = tui::run(&options, |command| asker.ask(command), updates);
    asker.end();
    ran.map(|()| ExitCode::SUCCESS)
}

/// What the app begins with, and where it is kept.
fn opening(host: Host, question: &QuestionArgs, app: &AppArgs) -> Result<WorkerInit> {
    let name = app.session.as_deref().unwrap_or(LAST);
    let Some(file) = file(name)? else { return asked_for(host, question, app) };
    let (session_file, note) = place(name, &file);
    let last = Some(&file).filter(|_| !app.fresh && nothing_asked(question, app));
    let opening = match last.map(|file| last_open(&host, file)) {
        Some(Ok(Some((session, picture, opened, notes)))) => {
            let Workspace { picture: asked, weights, no_resize, under_way: waits, .. } = opened;
            WorkerInit {
                host,
                session,
                picture,
                asked,
                weights,
                no_resize,
                session_file: None,
                restored: true,
                waits,
                notes,
            }
        }
        Some(Err(error)) => {
            let aside = file.with_extension("unopened.json");
            // What cannot be opened now may be wanted later, with its files back.
            let put = session_file.is_some() && std::fs::rename(&file, &aside).is_ok();
            let stays = if put { format!("; it stays in \"{}\"", words::path(&aside)) } else { String::new() };
            let mut opening = asked_for(host, question, app)?;
            opening.notes.push(format!("the last session cannot be opened: {error:#}{stays}"));
            opening
        }
        Some(Ok(None)) | None => asked_for(host, question, app)?,
    };
    let notes = opening.notes.into_iter().chain(note).collect();
    Ok(WorkerInit { session_file, notes, ..opening })
}

/// What the command line asks for.
fn asked_for(host: Host, question: &QuestionArgs, app: &AppArgs) -> Result<WorkerInit> {
    let model = open::model(&host, &question.network)?;
    let notes = model.note().into_iter().collect();
    let asked = question.pictures.first().cloned().unwrap_or_else(|| model.card.picture.clone());
    let (name, picture) = open::picture(Some(&asked), &model)?;
    let method = app.method.as_deref().unwrap_or(FIRST);
    let mut session = open::session(&host, model, (&name, &picture), method, question)?;
    session.opened_as(&asked);
    let weights = question.network.weights.clone();
    let (no_resize, restored, waits) = (question.no_resize, false, false);
    Ok(WorkerInit { host, session, picture, asked, weights, no_resize, session_file: None, restored, waits, notes })
}

/// Where a session is kept, locked; nowhere where another app keeps it or the folder cannot be written to, which a note says.
fn place(name: &str, file: &Path) -> (Option<SessionFile>, Option<String>) {
    let folder = file.parent().map_or(Ok(()), create_folder);
    match folder.and_then(|()| Lock::claim(file)) {
        Ok(Ok(lock)) => (Some(SessionFile { file: file.into(), lock }), None),
        Ok(Err(owner)) => {
            let session = if name == LAST { "this session".into() } else { format!("the session \"{name}\"") };
            (None, Some(format!("another app keeps {session} ({owner}); --session NAME keeps another")))
        }
        Err(error) => (None, Some(format!("the session is not kept: {error:#}"))),
    }
}

/// What a file says was open last, opened again; none where there is no file.
fn last_open(host: &Host, file: &Path) -> Result<Option<Restored>> {
    Workspace::read(file)?.map(|opened| restored(host, file, opened)).transpose()
}

fn nothing_asked(q: &QuestionArgs, app: &AppArgs) -> bool {
    let network = q.network.model.is_none() && q.network.weights.is_none();
    let rest = q.pictures.is_empty() && q.target.is_none() && q.set.is_empty() && q.data.is_none() && !q.no_resize;
    network && rest && app.method.is_none()
}

/// A session as it was, at the step that it showed where that was kept.
fn restored(host: &Host, file: &Path, opened: Workspace) -> Result<Restored> {
    let network = NetworkArgs { model: Some(opened.model.clone()), weights: opened.weights.clone(), exact: false };
    let question = QuestionArgs {
        network,
        target: opened.target.map(|class| class.to_string()),
        no_resize: opened.no_resize,
        set: opened.set.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        data: opened.data.clone(),
        seed: opened.seed,
        ..QuestionArgs::default()
    };
    let model = open::model(host, &question.network)?;
    let (name, picture) = open::picture(Some(&opened.picture), &model)?;
    let mut session = open::session(host, model, (&name, &picture), &opened.method, &question)?;
    let note = session.model().note();
    session.opened_as(&opened.picture);
    let notes = match workspace::go_on(file, &mut session) {
        Ok(false) if opened.under_way => {
            vec!["opened without an answer, which may be what ended the program: r computes it".into()]
        }
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

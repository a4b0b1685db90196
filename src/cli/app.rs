//! `gradscope` without a command: opens the app.

use super::args::{AppArgs, HostArgs, QuestionArgs};
use super::config::{self, Config};
use super::{draw, open, usage};
use crate::data::lock::Lock;
use crate::data::recent_folders::RecentFolders;
use crate::data::{Picture, create_folder};
use crate::model::card::of_own_json;
use crate::script::architecture::open_model::{again, file_of};
use crate::script::host::Host;
use crate::script::session::workspace::{self, Workspace};
use crate::script::session::{Session, Target};
use crate::tui::{self, Graphics};
use crate::words;
use crate::worker::{self, SessionFile, WorkerInit};
use anyhow::{Result, anyhow, bail};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Name of the default method.
const FIRST: &str = "gradcam";
/// Name of the default session.
const LAST: &str = "last";

/// A restored session, its picture, the workspace it was restored from, and notes for the user.
type Restored = (Session, Picture, Workspace, Vec<String>);

/// Runs the app with the network, picture and method given by the arguments, or with the restored session.
pub fn app(host_args: &HostArgs, question: &QuestionArgs, app: &AppArgs) -> Result<ExitCode> {
    if !std::io::stdin().is_terminal() || !draw::on_terminal() {
        bail!("the app needs a terminal for input and output; \"gradscope run METHOD\" works without one");
    }
    if question.pictures.len() > 1 {
        return Err(usage::usage(anyhow!("the app opens one picture; \"gradscope run METHOD\" takes several")));
    }
    let (config, warnings) = config::read();
    let host = open::host(host_args)?;
    let mut opening = opening(host, question, app)?;
    opening.host_words = host_args.words();
    opening.notes.extend(warnings);
    let (asker, updates) = worker::start(opening)?;
    let graphics = match app.graphics {
        Graphics::Auto => config.graphics.unwrap_or_default(),
        asked => asked,
    };
    let Config { colors: maps, palette, theme, bindings, .. } = config;
    let options = tui::AppOptions { graphics, maps, palette, theme, bindings, ..tui::AppOptions::default() };
    let ran = tui::run(&options, |command| asker.ask(command), updates);
    asker.end();
    ran.map(|()| ExitCode::SUCCESS)
}

/// The worker's initial state: the restored session if there is one, otherwise the state given by the arguments.
fn opening(host: Host, question: &QuestionArgs, app: &AppArgs) -> Result<WorkerInit> {
    let name = app.session.as_deref().unwrap_or(LAST);
    let Some(file) = file(name)? else { return asked_for(host, question, app) };
    let (session_file, note) = place(name, &file);
    let last = Some(&file).filter(|_| !app.fresh && nothing_asked(question, app));
    let opening = match last.map(|file| last_open(&host, file)) {
        Some(Ok(Some((session, picture, opened, notes)))) => {
            let Workspace { picture: asked, weights, no_resize, under_way: waits, .. } = opened;
            WorkerInit {
                weights,
                no_resize,
                restored: true,
                waits,
                notes,
                ..WorkerInit::new(host, session, picture, asked, recent())
            }
        }
        Some(Err(error)) => {
            let aside = file.with_extension("unopened.json");
            // Keep the session file: it may open again once the missing files are back.
            let put = session_file.is_some() && std::fs::rename(&file, &aside).is_ok();
            let stays = if put { format!("; its file is now \"{}\"", words::path(&aside)) } else { String::new() };
            let mut opening = asked_for(host, question, app)?;
            opening.notes.push(format!("cannot restore the last session: {error:#}{stays}"));
            opening
        }
        Some(Ok(None)) | None => asked_for(host, question, app)?,
    };
    let notes = opening.notes.into_iter().chain(note).collect();
    Ok(WorkerInit { session_file, notes, ..opening })
}

/// What the app says when it is started for the first time.
const WELCOME: &str = "new here? :tutor. Your own network: gradscope -m hf:timm/resnet50.a1_in1k -i dog.jpg";

/// The worker's initial state if no session is restored, from the arguments and defaults.
fn asked_for(host: Host, question: &QuestionArgs, app: &AppArgs) -> Result<WorkerInit> {
    let model = open::model(&host, &question.network)?;
    let welcome = nothing_asked(question, app).then(|| WELCOME.to_owned());
    let notes = model.note().into_iter().chain(welcome).collect();
    let asked = question.pictures.first().cloned().unwrap_or_else(|| model.card.picture.clone());
    let (name, picture) = open::picture(Some(&asked), &model)?;
    let method = app.method.as_deref().unwrap_or(FIRST);
    let mut session = open::session(&host, model, (&name, &picture), method, question)?;
    session.opened_as(&asked, picture.size());
    let weights = file_of(question.network.model.as_deref().unwrap_or_default(), question.network.weights.as_deref());
    let no_resize = question.no_resize;
    let labels = question.network.card.labels.clone();
    Ok(WorkerInit { weights, labels, no_resize, notes, ..WorkerInit::new(host, session, picture, asked, recent()) })
}

/// The folders whose model files were opened recently.
fn recent() -> RecentFolders {
    RecentFolders::read(state_folder().map(|folder| folder.join("recent_folders.txt")))
}

/// Locks a session file. If another instance has the file open or its folder is not writable, returns only a note that gives
/// the reason.
fn place(name: &str, file: &Path) -> (Option<SessionFile>, Option<String>) {
    let folder = file.parent().map_or(Ok(()), create_folder);
    match folder.and_then(|()| Lock::claim(file)) {
        Ok(Ok(lock)) => (Some(SessionFile { file: file.into(), lock }), None),
        Ok(Err(owner)) => {
            let session = if name == LAST { "this session".into() } else { format!("the session \"{name}\"") };
            (
                None,
                Some(format!("{session} is open in another instance ({owner}); --session NAME opens a different one")),
            )
        }
        Err(error) => (None, Some(format!("the session will not be saved: {error:#}"))),
    }
}

/// Restores the session stored in a file; `None` if the file does not exist.
fn last_open(host: &Host, file: &Path) -> Result<Option<Restored>> {
    Workspace::read(file)?.map(|opened| restored(host, file, opened)).transpose()
}

fn nothing_asked(q: &QuestionArgs, app: &AppArgs) -> bool {
    let network = q.network.model.is_none() && q.network.weights.is_none() && q.network.card.is_empty();
    let rest = q.pictures.is_empty()
        && q.target.is_none()
        && q.ablate.is_empty()
        && q.set.is_empty()
        && q.data.is_none()
        && !q.no_resize;
    network && rest && app.method.is_none()
}

/// Reopens a workspace, at its last step if that step was saved.
fn restored(host: &Host, file: &Path, opened: Workspace) -> Result<Restored> {
    let question = QuestionArgs {
        target: opened.target.as_ref().map(Target::to_string),
        ablate: opened.ablated.clone(),
        no_resize: opened.no_resize,
        set: opened.set.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        data: opened.data.clone(),
        seed: opened.seed,
        ..QuestionArgs::default()
    };
    let flags = opened.card.as_ref().map(|card| of_own_json("session", card)).transpose()?;
    let flags = flags.unwrap_or_default().as_flags();
    let (name, weights) = again(&opened.model, opened.weights.as_deref());
    let model = open::model_with(host, (Some(name), weights), &flags)?;
    let (name, picture) = open::picture(Some(&opened.picture), &model)?;
    let mut session = open::session(host, model, (&name, &picture), &opened.method, &question)?;
    let note = session.model().note();
    session.opened_as(&opened.picture, picture.size());
    let restored = workspace::go_on(file, &mut session);
    session.set_mixed(opened.mixed);
    let notes = match restored {
        Ok(false) if opened.under_way => {
            vec!["the last run may have crashed gradscope, so it was not restarted; press r to run it".into()]
        }
        Ok(_) => vec!["session restored; --fresh starts over".into()],
        Err(error) => vec![format!("session restored without its steps: {error:#}")],
    };
    Ok((session, picture, opened, note.into_iter().chain(notes).collect()))
}

/// Path of a named session's file, in `GRADSCOPE_STATE` or the user's state folder; `None` if `GRADSCOPE_STATE` is empty. Errors
/// if the name has characters other than letters, digits, `-` and `_`.
fn file(name: &str) -> Result<Option<PathBuf>> {
    if !usage::is_plain(name) {
        return Err(usage::usage(anyhow!("--session {name}: use only letters, digits, - and _")));
    }
    Ok(state_folder().map(|folder| folder.join(format!("{name}.json"))))
}

/// The folder of session files; `None` if `GRADSCOPE_STATE` is empty.
fn state_folder() -> Option<PathBuf> {
    open::place("GRADSCOPE_STATE", |d| d.state_dir().unwrap_or_else(|| d.data_local_dir()).join("sessions"))
}

//! Commands for saving figures, naming the session and quitting.

use super::spec::{CommandSpec, Complete, Refused, required};
use crate::tui::effect::{Effect, ask};
use crate::tui::state::Tutor;
use crate::worker::message::Command;

/// The command `save PATH`.
pub const SAVE: CommandSpec = CommandSpec {
    name: "save",
    alias: None,
    arguments: "PATH",
    summary: "save to a folder, a sheet.png or a film.gif",
    complete: &[Complete::Path(|_| Vec::new())],
    execute: |state, rest| {
        let path = required(rest)?.into();
        Ok(ask(if state.gallery.shown.is_some() { Command::SaveGallery(path) } else { Command::Save(path) }))
    },
};

/// The command `session NAME`.
pub const SESSION: CommandSpec = CommandSpec {
    name: "session",
    alias: None,
    arguments: "NAME",
    summary: "save the session as NAME, for gradscope --session NAME",
    complete: &[],
    execute: |_, rest| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let name = required(rest)?;
        if !name.chars().all(plain) {
            return Err(Refused::Usage);
        }
        Ok(ask(Command::Keep(name)))
    },
};

/// The command `tutor`.
pub const TUTOR: CommandSpec = CommandSpec {
    name: "tutor",
    alias: None,
    arguments: "[next|back|end]",
    summary: "learn the app in ten lessons",
    complete: &[Complete::Names(|_| ["next", "back", "end"].map(str::to_owned).to_vec())],
    execute: |state, rest| {
        let now = state.tutor.as_ref().map(|tutor| tutor.lesson);
        let lesson = match rest {
            "" => now.unwrap_or(0),
            "next" => now.map_or(0, |now| now + 1),
            "back" => now.map_or(0, |now| now.saturating_sub(1)),
            "end" => usize::MAX,
            _ => return Err(Refused::Usage),
        };
        state.tutor = Tutor::at(lesson, state);
        Ok(Vec::new())
    },
};

/// The command `q`.
pub const QUIT: CommandSpec = CommandSpec {
    name: "q",
    alias: Some("quit"),
    arguments: "",
    summary: "quit",
    complete: &[],
    execute: |_, _| Ok(vec![Effect::Quit]),
};

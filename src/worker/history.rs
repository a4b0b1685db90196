//! Undo and redo: snapshots of the session before each change that the user made.

use super::branches::Branch;
use super::message::{Command, Update};
use super::{Request, Worker, letter};
use crate::data::source;
use crate::memory::{budget, held};
use crate::script::session::Target;
use crate::words;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// Maximum number of changes that can be undone.
const MOST: usize = 50;
/// Changes of the same parameter within this time are undone together.
const TOGETHER: Duration = Duration::from_millis(1500);

/// The changes that can be undone and redone, latest last.
#[derive(Default)]
pub(super) struct History {
    undo: Vec<Change>,
    redo: Vec<Change>,
}

/// A change, and what to restore in order to undo it.
struct Change {
    /// What changed, such as `epsilon 8 → 80`.
    what: String,
    /// The parameter that changed, if any.
    param: Option<String>,
    at: Instant,
    restores: Restores,
}

enum Restores {
    /// The session of the branch with this index.
    Session(usize, Box<Branch>),
    /// The closed branch, with its index.
    Closed(usize, Box<Branch>),
    /// Close the branch with this index again.
    Open(usize),
}

impl History {
    fn record(&mut self, change: Change) {
        let again = |last: &Change| last.param.is_some() && last.param == change.param && last.at.elapsed() < TOGETHER;
        self.redo.clear();
        if let Some(last) = self.undo.last_mut().filter(|last| again(last)) {
            let old = last.what.split(" → ").next().unwrap_or_default();
            let new = change.what.split(" → ").last().unwrap_or_default();
            (last.what, last.at) = (format!("{old} → {new}"), change.at);
            return;
        }
        self.undo.push(change);
        // Snapshots keep the steps of earlier runs in memory.
        let most = if held() > budget() / 2 { MOST / 10 } else { MOST };
        let surplus = self.undo.len().saturating_sub(most);
        self.undo.drain(..surplus);
    }

    /// The latest snapshot of a branch that has this many steps.
    fn with_steps(&self, branch: usize, steps: usize) -> Option<&Branch> {
        self.undo.iter().rev().find_map(|change| match &change.restores {
            Restores::Session(at, before) if *at == branch && before.session.kept() == steps => Some(&**before),
            _ => None,
        })
    }

    /// Adapts the indexes of branches after the branch `at` was closed or, if `opened`, inserted.
    fn moved(&mut self, at: usize, opened: bool) {
        let shift = |index: &mut usize| match opened {
            true if *index >= at => *index += 1,
            false if *index > at => *index -= 1,
            _ => {}
        };
        for list in [&mut self.undo, &mut self.redo] {
            list.retain(|change| opened || !matches!(change.restores, Restores::Session(index, _) if index == at));
            for change in list {
                match &mut change.restores {
                    Restores::Session(index, _) => shift(index),
                    Restores::Closed(..) | Restores::Open(_) => {}
                }
            }
        }
    }
}

impl Worker {
    /// What a command changes, such as `epsilon 8 → 80`, and the parameter that it sets; `None` if it cannot be undone or changes
    /// nothing.
    pub(super) fn describe(&self, command: &Command) -> Option<(String, Option<String>)> {
        let method = || self.session.method().map_or_else(String::new, |method| method.name.clone());
        let (old, new, kind) = match command {
            Command::Set(name, value) => {
                let card = self.session.card()?;
                let old = card.params.iter().find(|param| param.name == *name)?.value.clone();
                let shown = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
                let what = format!("{name} {} → {}", shown(&old), shown(value));
                return (old != *value).then(|| (what, Some(name.clone())));
            }
            Command::Method(name) => (method(), name.clone(), "method"),
            Command::Target(target) => {
                let name = |target: Option<&Target>| match target {
                    Some(Target::Class(class)) => self.session.model().card.label(*class),
                    Some(Target::Expression(text)) => text.clone(),
                    None => "the top class".to_owned(),
                };
                (name(self.session.current_target().as_ref()), name(target.as_ref()), "target")
            }
            Command::Picture(name) => (source::title(self.session.picture()), source::title(name), "picture"),
            Command::Data(spec) => (self.session.data().name().unwrap_or("none").to_owned(), spec.clone(), "data set"),
            Command::Weights(file) => {
                let old = self.origin.weights.as_deref().map_or_else(|| "the built-in ones".into(), words::path);
                (old, words::path(file), "weights")
            }
            Command::Model { name, .. } => (self.session.model().card.name.clone(), name.clone(), "model"),
            Command::Ablate(units) => {
                let off = units.clone().unwrap_or_else(|| "all units on".to_owned());
                return Some((format!("units {off}"), None));
            }
            _ => return None,
        };
        Some((format!("{kind} {old} → {new}"), None))
    }

    /// The open branch as it is now.
    pub(super) fn snapshot(&self) -> Branch {
        Branch { session: self.session.clone(), origin: self.origin.clone() }
    }

    /// Records a change of the open branch, which was as `before`.
    pub(super) fn changed(&mut self, (what, param): (String, Option<String>), before: Branch) {
        let restores = Restores::Session(self.branches.at(), Box::new(before));
        self.history.record(Change { what, param, at: Instant::now(), restores });
    }

    /// Records that the branch `at` was closed.
    pub(super) fn closed(&mut self, at: usize, branch: Branch) {
        self.history.moved(at, false);
        let restores = Restores::Closed(at, Box::new(branch));
        let what = format!("branch {} closed", letter(at));
        self.history.record(Change { what, param: None, at: Instant::now(), restores });
    }

    /// Undoes the latest change, or redoes the change that was undone last.
    pub(super) fn turn_back(&mut self, redo: bool) -> Result<()> {
        let list = if redo { &mut self.history.redo } else { &mut self.history.undo };
        let Some(change) = list.pop() else {
            self.tell(Update::Said(format!("nothing to {}", if redo { "redo" } else { "undo" })));
            self.answer(Request::View);
            return Ok(());
        };
        let opposite = match change.restores {
            Restores::Session(at, branch) => {
                self.go_to(at)?;
                let left = self.open_branch(*branch);
                Restores::Session(at, Box::new(left))
            }
            Restores::Closed(at, branch) => {
                let left = self.open_branch(*branch);
                self.branches.insert(at, left)?;
                self.history.moved(at, true);
                Restores::Open(at)
            }
            Restores::Open(at) => {
                self.go_to(at)?;
                let closed = self.take_out()?.context("the branch is already closed")?;
                self.history.moved(at, false);
                Restores::Closed(at, Box::new(closed))
            }
        };
        let said = format!("{}: {}", if redo { "redone" } else { "undone" }, change.what);
        let opposite = Change { restores: opposite, param: None, at: Instant::now(), what: change.what };
        if redo {
            self.history.undo.push(opposite)
        } else {
            self.history.redo.push(opposite)
        }
        self.show_branch();
        self.tell(Update::Said(said));
        Ok(())
    }

    /// Keeps the later steps of the run as a branch of their own if the next step would drop them, because a parameter has changed.
    pub(super) fn keep_later_steps(&mut self) {
        if !self.session.next_drops_steps() {
            return;
        }
        let before = self.history.with_steps(self.branches.at(), self.session.kept());
        let kept = before.map_or_else(|| self.snapshot(), |before| before.clone());
        match self.branches.add(kept) {
            Ok(at) => {
                self.tell_branches();
                self.tell(Update::Said(format!("the later steps are kept as branch {}", letter(at))));
            }
            Err(error) => self.tell(Update::Log(format!("the later steps were dropped: {error:#}"))),
        }
    }
}

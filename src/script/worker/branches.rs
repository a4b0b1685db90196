//! Branches: several answers side by side, each with its own model, picture, method, parameters and steps.

use super::super::architecture::card;
use super::super::message::Update;
use super::super::session::Session;
use super::{Place, Question, Worker};
use anyhow::{Result, ensure};

/// How many there may be: one for each letter.
const MOST: usize = 26;

/// A branch that is not the open one.
pub(super) struct Branch {
    session: Session,
    place: Place,
}

/// All of them; the place of the open one is empty.
pub(super) struct Branches {
    all: Vec<Option<Branch>>,
    at: usize,
}

impl Default for Branches {
    fn default() -> Self {
        Self { all: vec![None], at: 0 }
    }
}

impl Worker {
    /// A branch that begins as the open one is now, and is the open one from here on.
    pub(super) fn fork(&mut self) -> Result<()> {
        ensure!(self.branches.all.len() < MOST, "there are {MOST} branches already; :close ends one");
        let left = Branch { session: self.session.clone(), place: self.place.clone() };
        self.branches.all[self.branches.at] = Some(left);
        self.branches.all.push(None);
        self.branches.at = self.branches.all.len() - 1;
        self.tell_branches();
        self.answer(Question::View);
        Ok(())
    }

    /// Opens another branch where it was left.
    pub(super) fn go_to_branch(&mut self, at: usize) -> Result<()> {
        let count = self.branches.all.len();
        ensure!(at < count, "no branch {}; there are {count}", letter(at));
        let Some(wanted) = self.branches.all[at].take() else { return Ok(()) };
        let left = self.put_in_place(wanted);
        self.branches.all[self.branches.at] = Some(left);
        self.branches.at = at;
        self.show_branch();
        Ok(())
    }

    /// Ends the open branch; the one before it is open then.
    pub(super) fn close_branch(&mut self) -> Result<()> {
        ensure!(self.branches.all.len() > 1, "there is one branch only; f begins another");
        self.branches.all.remove(self.branches.at);
        self.branches.at = self.branches.at.saturating_sub(1);
        if let Some(wanted) = self.branches.all[self.branches.at].take() {
            self.put_in_place(wanted);
        }
        self.show_branch();
        Ok(())
    }

    /// The branch that was open until now.
    fn put_in_place(&mut self, wanted: Branch) -> Branch {
        Branch {
            session: std::mem::replace(&mut self.session, wanted.session),
            place: std::mem::replace(&mut self.place, wanted.place),
        }
    }

    fn show_branch(&mut self) {
        if let Some(method) = self.session.method() {
            self.watch.open(&method.name);
        }
        self.tell_branches();
        self.tell(Update::Model(card(self.session.model())));
        self.tell_picture();
        self.tell_method();
        self.answer(Question::View);
    }

    fn tell_branches(&self) {
        self.tell(Update::Branches { at: self.branches.at, count: self.branches.all.len() });
    }
}

/// What a branch is called.
pub fn letter(at: usize) -> char {
    char::from(b'A' + (at % MOST) as u8)
}

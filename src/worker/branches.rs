//! The branches of a worker: sessions side by side, each with its own model, picture, method, parameters and steps.

use crate::data::Picture;
use crate::script::session::Session;
use anyhow::{Result, ensure};
use std::path::PathBuf;

/// The maximum number of branches: one for each letter.
const MOST: usize = 26;

/// The sources of a session's model and picture.
#[derive(Clone)]
pub(super) struct Origin {
    pub picture: Picture,
    pub asked: String,
    pub weights: Option<PathBuf>,
}

/// A branch that is not open.
pub(super) struct Branch {
    pub session: Session,
    pub origin: Origin,
}

/// All branches; the slot of the open one is empty.
pub(super) struct Branches {
    all: Vec<Option<Branch>>,
    at: usize,
}

impl Default for Branches {
    fn default() -> Self {
        Self { all: vec![None], at: 0 }
    }
}

impl Branches {
    /// The number of branches.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The index of the open one.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Adds a branch and opens it; `left` is the one that was open.
    pub fn fork(&mut self, left: Branch) -> Result<()> {
        ensure!(self.all.len() < MOST, "there are already {MOST} branches; :close closes one");
        self.all[self.at] = Some(left);
        self.all.push(None);
        self.at = self.all.len() - 1;
        Ok(())
    }

    /// Takes a branch out to open it, to be followed by [`go_to`](Self::go_to); `None` if it is already open.
    pub fn take(&mut self, at: usize) -> Result<Option<Branch>> {
        let count = self.all.len();
        ensure!(at < count, "no branch {}; there are {count}", letter(at));
        Ok(self.all[at].take())
    }

    /// Marks the taken branch as open; `left` is the previously open one.
    pub fn go_to(&mut self, at: usize, left: Branch) {
        self.all[self.at] = Some(left);
        self.at = at;
    }

    /// Removes the open branch, and takes out the one before it to open it.
    pub fn close(&mut self) -> Result<Option<Branch>> {
        ensure!(self.all.len() > 1, "there is only one branch; f forks another");
        self.all.remove(self.at);
        self.at = self.at.saturating_sub(1);
        Ok(self.all[self.at].take())
    }
}

/// The name of a branch.
pub fn letter(at: usize) -> char {
    char::from(b'A' + (at % MOST) as u8)
}

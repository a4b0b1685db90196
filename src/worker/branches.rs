//! The branches of a worker. Branches are sessions that exist side by side, each with its own model, picture, method, parameters
//! and steps.

use crate::data::Picture;
use crate::script::session::Session;
use anyhow::{Result, ensure};
use std::path::PathBuf;

/// Maximum number of branches, one for each letter of the alphabet.
const MOST: usize = 26;

/// The origin of the model and the picture of a session.
#[derive(Clone)]
pub(super) struct Origin {
    pub picture: Picture,
    pub asked: String,
    /// The file from which the model was opened; `None` for the architecture's own weights.
    pub weights: Option<PathBuf>,
    /// The file of class names given for the network, if any.
    pub labels: Option<PathBuf>,
}

/// A branch that is not open: its session, and the origin of its model and picture.
#[derive(Clone)]
pub(super) struct Branch {
    pub session: Session,
    pub origin: Origin,
}

/// All branches of a worker; the slot of the open branch is empty, because the worker holds its session.
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

    /// The zero-based index of the open branch.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Adds a branch after the others and marks it as open; `left` is the branch that was open before. Errors if there are
    /// already [`MOST`] branches.
    pub fn fork(&mut self, left: Branch) -> Result<()> {
        ensure!(self.all.len() < MOST, "there are already {MOST} branches; :close closes one");
        self.all[self.at] = Some(left);
        self.all.push(None);
        self.at = self.all.len() - 1;
        Ok(())
    }

    /// Adds a branch after the others without opening it, and returns its index. Errors if there are already [`MOST`] branches.
    pub fn add(&mut self, branch: Branch) -> Result<usize> {
        ensure!(self.all.len() < MOST, "there are already {MOST} branches; :close closes one");
        self.all.push(Some(branch));
        Ok(self.all.len() - 1)
    }

    /// Inserts a branch at `at` and marks it as open; `left` is the branch that was open before.
    pub fn insert(&mut self, at: usize, left: Branch) -> Result<()> {
        ensure!(self.all.len() < MOST, "there are already {MOST} branches; :close closes one");
        self.all[self.at] = Some(left);
        self.at = at.min(self.all.len());
        self.all.insert(self.at, None);
        Ok(())
    }

    /// Removes the branch `at` from its slot so that it can be opened; the caller must then call [`go_to`](Self::go_to).
    /// `None` if the branch is already open.
    pub fn take(&mut self, at: usize) -> Result<Option<Branch>> {
        let count = self.all.len();
        ensure!(at < count, "no branch {}; number of branches: {count}", letter(at));
        Ok(self.all[at].take())
    }

    /// Marks the branch `at`, which [`take`](Self::take) returned, as open; `left` is the branch that was open before.
    pub fn go_to(&mut self, at: usize, left: Branch) {
        self.all[self.at] = Some(left);
        self.at = at;
    }

    /// Removes the open branch and returns the branch to open instead: the previous one or, if the first was open, the next. Errors
    /// if there is only one branch.
    pub fn close(&mut self) -> Result<Option<Branch>> {
        ensure!(self.all.len() > 1, "there is only one branch; press f to fork another");
        self.all.remove(self.at);
        self.at = self.at.saturating_sub(1);
        Ok(self.all[self.at].take())
    }
}

/// The letter that names the branch with index `at`: `A` for 0.
pub fn letter(at: usize) -> char {
    char::from(b'A' + (at % MOST) as u8)
}

//! The branches of a run: the open one, and the latest frames of the others.

use crate::script::summary::Frame;
use crate::worker::letter;

/// All branches of a run.
#[derive(Debug)]
pub struct Branches {
    /// Index of the open branch.
    pub at: usize,
    /// Number of branches.
    pub count: usize,
    /// Index of the previously open branch.
    pub before: usize,
    /// Whether the previously open branch is shown next to the open one.
    pub compared: bool,
    /// Latest frame of each branch; `None` if no frame has been received.
    pub shown: Vec<Option<ShownBranch>>,
}

/// The latest frame of a branch.
#[derive(Clone, Debug)]
pub struct ShownBranch {
    /// Caption of the branch: letter, method, and step or class.
    pub name: String,
    /// The latest frame of the branch.
    pub frame: Frame,
    /// ID of the frame.
    pub id: u64,
}

impl Default for Branches {
    fn default() -> Self {
        Self { at: 0, count: 1, before: 0, compared: false, shown: vec![None] }
    }
}

impl Branches {
    /// Letter of the open branch.
    pub fn name(&self) -> String {
        letter(self.at).to_string()
    }

    /// Latest frame of the previously open branch, if shown next to the open one.
    pub fn beside(&self) -> Option<&ShownBranch> {
        let other = self.shown.get(self.before)?.as_ref();
        other.filter(|_| self.compared && self.before != self.at)
    }

    /// Index of the branch with this letter, ignoring case. Errors if there is no such branch, listing the valid letters.
    pub fn named(&self, name: &str) -> Result<usize, String> {
        let known: Vec<_> = (0..self.count).map(|at| letter(at).to_string()).collect();
        let place = known.iter().position(|known| known.eq_ignore_ascii_case(name));
        place.ok_or_else(|| format!("no branch \"{name}\"; expected one of {}", known.join(", ")))
    }
}

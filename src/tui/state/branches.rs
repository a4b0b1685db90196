//! The branches of a run: which one is open, and the latest frames of the others.

use crate::script::summary::Frame;
use crate::worker::letter;

/// All branches.
#[derive(Debug)]
pub struct Branches {
    /// The index of the open one.
    pub at: usize,
    /// The number of branches.
    pub count: usize,
    /// The index of the previously open one.
    pub before: usize,
    /// Whether the previous one is shown next to the open one.
    pub compared: bool,
    /// The latest frame of each.
    pub shown: Vec<Option<ShownBranch>>,
}

/// The latest frame of a branch.
#[derive(Clone, Debug)]
pub struct ShownBranch {
    /// The branch's letter, method, and step or class.
    pub name: String,
    /// The frame.
    pub frame: Frame,
    /// The number of the frame.
    pub id: u64,
}

impl Default for Branches {
    fn default() -> Self {
        Self { at: 0, count: 1, before: 0, compared: false, shown: vec![None] }
    }
}

impl Branches {
    /// The name of the open one.
    pub fn name(&self) -> String {
        letter(self.at).to_string()
    }

    /// The latest frame of the other branch, if both are shown.
    pub fn beside(&self) -> Option<&ShownBranch> {
        let other = self.shown.get(self.before)?.as_ref();
        other.filter(|_| self.compared && self.before != self.at)
    }

    /// The branch with this letter.
    pub fn named(&self, name: &str) -> Result<usize, String> {
        let known: Vec<_> = (0..self.count).map(|at| letter(at).to_string()).collect();
        let place = known.iter().position(|known| known.eq_ignore_ascii_case(name));
        place.ok_or_else(|| format!("no branch \"{name}\"; expected one of {}", known.join(", ")))
    }
}

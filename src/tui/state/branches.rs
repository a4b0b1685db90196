//! The branches of a run: the open one, and the latest frames of the others.

use crate::render::ClassRow;
use crate::script::summary::Frame;
use crate::worker::letter;
use std::collections::BTreeMap;

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
    /// What the branch runs.
    pub settings: BranchSettings,
    /// Class probabilities by step.
    pub history: BTreeMap<usize, Vec<ClassRow>>,
    /// The latest frame of the branch.
    pub frame: Frame,
    /// ID of the frame.
    pub id: u64,
}

/// What a branch runs, as shown when branches are compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BranchSettings {
    /// Name of the model.
    pub model: String,
    /// Name of the picture.
    pub picture: String,
    /// Title of the method.
    pub method: String,
    /// Name of the target.
    pub target: String,
    /// Names and values of the parameters.
    pub params: Vec<(String, String)>,
    /// Whether the method has steps.
    pub stepped: bool,
    /// The current step.
    pub step: usize,
}

impl BranchSettings {
    /// The value of a parameter, if the method has it.
    pub fn param(&self, name: &str) -> Option<&String> {
        self.params.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }
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

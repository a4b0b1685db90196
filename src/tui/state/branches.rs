//! Branches of a run, as the app knows them: which is open, and what the others last showed.

use crate::script::message::Frame;
use crate::script::worker::letter;

/// The branches there are.
#[derive(Debug)]
pub struct Branches {
    /// The open one, from 0.
    pub at: usize,
    /// How many.
    pub count: usize,
    /// The one that was open before.
    pub before: usize,
    /// Whether that one is shown beside the open one.
    pub compared: bool,
    /// What each showed last.
    pub shown: Vec<Option<Shown>>,
}

/// What a branch showed last.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its letter, method, and step or class.
    pub name: String,
    /// Its figures.
    pub frame: Frame,
    /// The number of that answer.
    pub id: u64,
}

impl Default for Branches {
    fn default() -> Self {
        Self { at: 0, count: 1, before: 0, compared: false, shown: vec![None] }
    }
}

impl Branches {
    /// What the open one is called.
    pub fn name(&self) -> String {
        letter(self.at).to_string()
    }

    /// What the other branch showed, where both are to be seen.
    pub fn beside(&self) -> Option<&Shown> {
        let other = self.shown.get(self.before)?.as_ref();
        other.filter(|_| self.compared && self.before != self.at)
    }

    /// The branch of this letter.
    pub fn named(&self, name: &str) -> Result<usize, String> {
        let known: Vec<_> = (0..self.count).map(|at| letter(at).to_string()).collect();
        let place = known.iter().position(|known| known.eq_ignore_ascii_case(name));
        place.ok_or_else(|| format!("no branch \"{name}\"; there are {}", known.join(", ")))
    }
}

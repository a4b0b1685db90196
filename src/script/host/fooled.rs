//! Checks whether a network is fooled. Attacks are skipped for pictures that already fool the network.
//!
//! An attack is a method in the group `attack`, or one with `attack: true` in its `PLUGIN`. Before it starts, the network
//! classifies the original picture. If the picture already fools the network, the method is not called, and the result is the
//! original picture, shown by `nothing_to_do.rhai`. For methods that stop by default, `stop=false` disables this behavior.

use crate::graph::{Scores, named};
use crate::script::api::LabeledTrace;
use crate::script::folders::ScriptSource;
use crate::script::method::Method;
use crate::script::method::context::Cx;
use crate::script::sandbox::guard::Guard;
use anyhow::Result;
use candle_core::Tensor;
use rhai::{Dynamic, Map};

/// The key that marks the state of a skipped attack.
const UNTOUCHED: &str = "untouched";

/// The source code of the method that stands in for a skipped attack.
pub(in crate::script) fn idle() -> ScriptSource {
    ScriptSource::of_text("nothing_to_do", include_str!("nothing_to_do.rhai"))
}

/// Whether a state belongs to a skipped attack.
pub(in crate::script) fn is_untouched(state: &Dynamic) -> bool {
    state.read_lock::<Map>().is_some_and(|s| s.contains_key(UNTOUCHED))
}

impl Cx {
    /// The goal class of a targeted attack; `None` if untargeted.
    pub(in crate::script) fn goal(&self) -> Option<usize> {
        self.params.class("goal")
    }

    /// Whether an attack ends as soon as the network is fooled.
    pub(in crate::script) fn stops(&self) -> bool {
        self.params.switch("stop").is_none_or(|(on, _)| on)
    }

    /// For each row of `logits`, whether the attack has succeeded: the predicted class is the goal or, without a goal, any class
    /// other than the target.
    pub(in crate::script) fn fooled(&self, logits: &Tensor) -> Result<Vec<bool>> {
        let scores = self.model.graph.scores;
        match self.goal() {
            Some(goal) => scores.names(logits, &[goal]),
            None => Ok(scores.names(logits, &self.targets.clone()?)?.into_iter().map(|named| !named).collect()),
        }
    }

    /// Whether each picture of the input already fools the network, so that the attack can be skipped. False for all pictures if
    /// `method` is not an attack.
    pub(in crate::script) fn nothing_to_do(&self, guard: &Guard, method: &Method) -> Result<Vec<bool>> {
        let asked_to_go_on = self.params.switch("stop") == Some((false, true));
        if !method.attack || asked_to_go_on || self.targets.is_err() || self.model.graph.scores == Scores::Places {
            return Ok(vec![false; self.input.dims()[0]]);
        }
        // Non-finite scores are reported by the attack itself.
        let logits = LabeledTrace::logits(guard, &self.model, &self.input)?;
        let finite = named(&logits)?.into_iter().map(|class| class.is_some());
        Ok(self.fooled(&logits)?.into_iter().zip(finite).map(|(fooled, finite)| fooled && finite).collect())
    }

    /// Explains to the user why the attack on the first picture is skipped.
    pub(in crate::script) fn why_nothing(&self, guard: &Guard) -> Result<String> {
        let run = LabeledTrace::forward(guard, &self.model, &self.input)?;
        let label = |class: usize| self.model.card.label(class);
        let target = self.targets.clone()?[0];
        let independent = self.model.graph.scores == Scores::Independent;
        let why = match self.goal() {
            Some(goal) => format!("already classified as \"{}\"", label(goal)),
            None if independent => format!("already not classified as \"{}\"", label(target)),
            None => format!("already classified as \"{}\", not \"{}\"", label(run.top()?[0]), label(target)),
        };
        Ok(why + ": nothing to do")
    }
}

//! Checks whether a network is fooled, and implements the rule that an attack takes no step on a picture that already fools the
//! network.
//!
//! An attack is a method in the group `attack`, or one with `attack: true` in its `PLUGIN`. Before it starts, the network
//! classifies the picture as it is. If the picture already fools the network, the method is not called; the result is the picture
//! itself, shown by `nothing_to_do.rhai`. For methods that stop by default, `stop=false` disables this rule.

use crate::graph::{Scores, named};
use crate::script::api::LabeledTrace;
use crate::script::folders::ScriptSource;
use crate::script::method::Method;
use crate::script::method::context::Cx;
use crate::script::sandbox::guard::Guard;
use anyhow::Result;
use candle_core::Tensor;
use rhai::{Dynamic, Map};

/// The key that marks the state of an attack that was skipped because the picture already fools the network.
const UNTOUCHED: &str = "untouched";

/// The source code of the method that shows a picture that needs no attack.
pub(in crate::script) fn idle() -> ScriptSource {
    ScriptSource::of_text("nothing_to_do", include_str!("nothing_to_do.rhai"))
}

/// Whether a state belongs to an attack that was skipped because the picture already fools the network.
pub(in crate::script) fn is_untouched(state: &Dynamic) -> bool {
    state.read_lock::<Map>().is_some_and(|s| s.contains_key(UNTOUCHED))
}

impl Cx {
    /// The class that an attack must reach; `None` if any class other than the target will do.
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

    /// For each picture of the input, whether it needs no attack because it already fools the network. False for all pictures if
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

    /// A sentence for the user that says why the first picture needs no attack.
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

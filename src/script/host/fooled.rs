//! Whether a network is fooled, and the rule that holds for every attack: a picture that fools already needs no step.
//!
//! An attack is a method of the group `attack`, or one whose `PLUGIN` says `attack: true`. Before it starts, the network is
//! asked about the picture as it is. Where that fools already, the method isn't called: the answer is the picture itself,
//! shown by `nothing_to_do.rhai`. `stop=false`, where a method stops by default, switches the rule off.

use crate::backend;
use crate::graph::{Scores, named};
use crate::script::api::LabelledTrace;
use crate::script::folders::ScriptSource;
use crate::script::method::Method;
use crate::script::method::context::Cx;
use crate::script::sandbox::guard::Guard;
use anyhow::Result;
use candle_core::Tensor;
use rhai::{Dynamic, Map};

/// The state's key that says that the attack has not begun.
const UNTOUCHED: &str = "untouched";

/// What is shown of a picture that needs no attack.
pub(in crate::script) fn idle() -> ScriptSource {
    ScriptSource::of_text("nothing_to_do", include_str!("nothing_to_do.rhai"))
}

/// Whether a state is that of an attack that had nothing to do.
pub(in crate::script) fn is_untouched(state: &Dynamic) -> bool {
    state.read_lock::<Map>().is_some_and(|s| s.contains_key(UNTOUCHED))
}

impl Cx {
    /// The class that an attack is to reach; none: any other than the target.
    pub(in crate::script) fn goal(&self) -> Option<usize> {
        self.params.class("goal")
    }

    /// Whether an attack ends as soon as the network is fooled.
    pub(in crate::script) fn stops(&self) -> bool {
        self.params.switch("stop").is_none_or(|(on, _)| on)
    }

    /// Whether the network now names the goal, or no longer the target, in each row of logits.
    pub(in crate::script) fn fooled(&self, logits: &Tensor) -> Result<Vec<bool>> {
        let scores = self.model.graph.scores;
        match self.goal() {
            Some(goal) => scores.names(logits, &[goal]),
            None => Ok(scores.names(logits, &self.targets.clone()?)?.into_iter().map(|named| !named).collect()),
        }
    }

    /// Which pictures of the input leave the method nothing to do.
    pub(in crate::script) fn nothing_to_do(&self, guard: &Guard, method: &Method) -> Result<Vec<bool>> {
        let asked_to_go_on = self.params.switch("stop") == Some((false, true));
        if !method.attack || asked_to_go_on || self.targets.is_err() || self.model.graph.scores == Scores::Places {
            return Ok(vec![false; self.input.dims()[0]]);
        }
        // Of scores that are not finite the attack itself tells.
        let logits =
            backend::with_direct_sums(method.exact, || LabelledTrace::logits(guard, &self.model, &self.input))?;
        let finite = named(&logits)?.into_iter().map(|class| class.is_some());
        Ok(self.fooled(&logits)?.into_iter().zip(finite).map(|(fooled, finite)| fooled && finite).collect())
    }

    /// Why there is nothing to do on the first picture.
    pub(in crate::script) fn why_nothing(&self, guard: &Guard) -> Result<String> {
        let run = LabelledTrace::forward(guard, &self.model, &self.input)?;
        let label = |class: usize| self.model.card.label(class);
        let target = self.targets.clone()?[0];
        let independent = self.model.graph.scores == Scores::Independent;
        let why = match self.goal() {
            Some(goal) => format!("already \"{}\"", label(goal)),
            None if independent => format!("already not \"{}\"", label(target)),
            None => format!("already \"{}\", not \"{}\"", label(run.top()?[0]), label(target)),
        };
        Ok(why + ": nothing to do")
    }
}

//! The ablations of a session: units of the network that are set to zero.

use super::Session;
use super::target::Selected;
use crate::model::{Ablation, Model};
use anyhow::Result;
use std::sync::Arc;

impl Session {
    /// The network without ablations.
    pub fn intact(&self) -> &Model {
        &self.intact
    }

    /// The units that are set to zero, in order.
    pub fn ablations(&self) -> &[Ablation] {
        &self.ablations
    }

    /// The units that are set to zero, as in `--ablate`.
    pub fn ablated(&self) -> Vec<String> {
        self.ablations.iter().map(ToString::to_string).collect()
    }

    /// Sets the units that are set to zero and drops all steps. The target stays the same: without a selected target, it is the class that
    /// the network predicted before.
    ///
    /// Errors if a unit does not exist, or if the target expression does not apply to the ablated network.
    pub fn set_ablations(&mut self, mut all: Vec<Ablation>) -> Result<()> {
        all.sort();
        all.dedup();
        let model = self.intact.ablated(&all)?;
        if let Some(Selected::Expression(head)) = &self.target {
            self.target = Some(Selected::Expression(model.with_target(&head.text)?.into()));
        }
        (self.model, self.ablations) = (model, all);
        self.forget();
        Ok(())
    }

    /// Sets the units in `units` to zero if at least one of them is not, otherwise restores them all.
    pub fn toggle_ablations(&mut self, units: &[Ablation]) -> Result<()> {
        let mut all = self.ablations.clone();
        match units.iter().all(|unit| all.contains(unit)) {
            true => all.retain(|unit| !units.contains(unit)),
            false => all.extend_from_slice(units),
        }
        self.set_ablations(all)
    }

    /// The network `model`, with the session's ablations if it is the intact network of the session; another network starts without.
    pub(super) fn ablated_again(&mut self, model: Model) -> Result<Model> {
        if !Arc::ptr_eq(&model.graph, &self.intact.graph) {
            self.ablations.clear();
        }
        let ablated = model.ablated(&self.ablations)?;
        self.intact = model;
        Ok(ablated)
    }
}

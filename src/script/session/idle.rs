//! Attacks that have nothing to do, and attacks that continue after the network is fooled.

use super::super::api::{LabelledTrace, figures};
use super::super::host::Host;
use super::super::method::Method;
use super::Session;
use crate::script::summary::Frame;
use anyhow::{Context, Result};
use candle_core::Tensor;
use rhai::Map;
use std::sync::Arc;
use std::time::Instant;

impl Session {
    /// Whether the picture already fools the network, so that an attack has nothing to do.
    pub(super) fn has_nothing_to_do(&self, host: &Host, method: &Method) -> Result<bool> {
        host.guard().begin();
        Ok(!self.cx(0).nothing_to_do(host.guard(), method)?.contains(&false))
    }

    /// Runs an attack that has nothing to do: only step 0.
    pub(super) fn idle(&mut self, host: &Host, begun: Instant) -> Result<Frame> {
        let state = host.call(&host.idle()?, "start", (self.cx(0),))?;
        self.push(state, begun)?;
        self.idle_view(host)
    }

    /// The frame for a picture that needs no attack.
    pub(super) fn idle_view(&mut self, host: &Host) -> Result<Frame> {
        let step = self.present().cloned().context("the method has not been started")?;
        let answer = host.call(&host.idle()?, "view", (self.cx(self.cursor), step.state))?;
        Ok(self.frame(figures(answer)?, step.millis))
    }

    /// Ends the run at the unchanged picture again.
    pub(super) fn end_untouched(&mut self, host: &Host) -> Result<()> {
        let why = self.cx(0).why_nothing(host.guard())?;
        if let Some(step) = self.steps.get_mut(self.cursor) {
            step.done = Some(why);
        }
        Ok(())
    }

    /// Turns `stop` off if only that prevents further steps on a fooled network, and returns whether it did.
    ///
    /// A new run turns it on again.
    pub fn unstop(&mut self, host: &Host) -> Result<bool> {
        let attack = self.method.as_ref().is_some_and(|m| m.attack && m.stepped);
        let Some(step) = self.present().filter(|_| attack && self.params.switch("stop").is_some_and(|(on, _)| on))
        else {
            return Ok(false);
        };
        let x = step.state.read_lock::<Map>().and_then(|s| s.get("x").and_then(|x| x.clone().try_cast::<Tensor>()));
        let Some(x) = x else { return Ok(false) };
        host.guard().begin();
        if self.cx(self.cursor).fooled(&LabelledTrace::logits(host.guard(), &self.model, &x)?)?.contains(&false) {
            return Ok(false);
        }
        self.set("stop", "false")?;
        self.unstopped = true;
        Ok(true)
    }

    /// Turns `stop` on again if [`Session::unstop`] turned it off.
    pub fn stop_again(&mut self) -> Result<()> {
        if std::mem::take(&mut self.unstopped) {
            Arc::make_mut(&mut self.params).set("stop", "true", &self.model)?;
        }
        Ok(())
    }
}

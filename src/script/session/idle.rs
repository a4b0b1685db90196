//! Attacks on pictures that already fool the network, and attacks that continue after fooling it.

use super::super::api::{LabeledTrace, figures};
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
    /// Whether `method` is an attack that can be skipped because the session's picture already fools the network. False if the
    /// attack stops by default and `stop` is off.
    pub(super) fn has_nothing_to_do(&self, host: &Host, method: &Method) -> Result<bool> {
        host.guard().begin();
        Ok(!self.cx(0).nothing_to_do(host.guard(), method)?.contains(&false))
    }

    /// Runs the stand-in for an attack on a picture that already fools the network. The run consists only of step 0.
    pub(super) fn idle(&mut self, host: &Host, begun: Instant) -> Result<Frame> {
        let state = host.call(&host.idle()?, "start", (self.cx(0),))?;
        self.push(state, begun)?;
        self.idle_view(host)
    }

    /// The frame for a picture that already fools the network.
    pub(super) fn idle_view(&mut self, host: &Host) -> Result<Frame> {
        let step = self.present().cloned().context("the method has not been started")?;
        let answer = host.call(&host.idle()?, "view", (self.cx(self.cursor), step.state))?;
        Ok(self.frame(figures(answer)?, step.millis))
    }

    /// Ends an attack's run without further steps, because the original picture already fools the network.
    pub(super) fn end_untouched(&mut self, host: &Host) -> Result<()> {
        let why = self.cx(0).why_nothing(host.guard())?;
        if let Some(step) = self.steps.get_mut(self.cursor) {
            step.done = Some(why);
        }
        Ok(())
    }

    /// Turns off the parameter `stop` if the attack ended only because the network was fooled, so that it can continue. Returns
    /// whether it was turned off.
    ///
    /// A new run turns `stop` back on.
    pub fn unstop(&mut self, host: &Host) -> Result<bool> {
        let attack = self.method.as_ref().is_some_and(|m| m.attack && m.stepped);
        let Some(step) = self.present().filter(|_| attack && self.params.switch("stop").is_some_and(|(on, _)| on))
        else {
            return Ok(false);
        };
        let x = step.state.read_lock::<Map>().and_then(|s| s.get("x").and_then(|x| x.clone().try_cast::<Tensor>()));
        let Some(x) = x else { return Ok(false) };
        host.guard().begin();
        if self.cx(self.cursor).fooled(&LabeledTrace::logits(host.guard(), &self.model, &x)?)?.contains(&false) {
            return Ok(false);
        }
        // The steps so far are the same without it.
        let mixed = self.mixed;
        self.set("stop", "false")?;
        self.mixed = mixed;
        self.unstopped = true;
        Ok(true)
    }

    /// Turns the parameter `stop` back on if [`Session::unstop`] turned it off.
    pub fn stop_again(&mut self) -> Result<()> {
        if std::mem::take(&mut self.unstopped) {
            Arc::make_mut(&mut self.params).set("stop", "true", &self.model)?;
        }
        Ok(())
    }
}

//! Starts a method, takes steps, and shows stored steps.

use super::super::api::figures;
use super::super::host::Host;
use super::Session;
use super::history::KeptStep;
use crate::render::{Body, Figure};
use crate::script::host::fooled::is_untouched;
use crate::script::sandbox::freeze::freeze;
use crate::script::summary::Frame;
use anyhow::{Context, Result, bail, ensure};
use rhai::{Dynamic, Map};
use std::time::Instant;

impl Session {
    /// Runs the open method from the start: a one-shot method to completion, a stepped method to step 0.
    pub fn run(&mut self, host: &Host) -> Result<Frame> {
        self.forget();
        self.stop_again()?;
        let begun = Instant::now();
        let method = self.method.clone().context("no method is open")?;
        if self.has_nothing_to_do(host, &method)? {
            return self.idle(host, begun);
        }
        if method.stepped {
            let state = self.call(host, "start", 0, None)?;
            self.push(state, begun).map_err(|e| method.wrong("start", &e))?;
            return self.view(host);
        }
        let answer = self.call(host, "run", 0, None)?;
        let figures = figures(answer).map_err(|e| method.wrong("run", &e))?;
        let millis = millis(begun);
        self.steps.push(KeptStep { state: Dynamic::UNIT, scalars: vec![], done: None, millis });
        Ok(self.frame(figures, millis))
    }

    /// Goes to the next step. If it is stored and was computed with the current parameters and script, it is shown again;
    /// otherwise, it is computed.
    pub fn next(&mut self, host: &Host) -> Result<Frame> {
        match self.cursor + 1 < self.steps.len() && !self.outdated {
            true => self.seek(host, self.cursor + 1),
            false => self.step(host),
        }
    }

    /// Computes the step after the current one and shows it, dropping all later steps.
    pub fn step(&mut self, host: &Host) -> Result<Frame> {
        match self.present() {
            None => self.run(host),
            Some(_) => self.advance(host).and_then(|()| self.view(host)),
        }
    }

    /// Computes the step after the current one without showing it, dropping all later steps.
    ///
    /// Errors if the method has no steps, has ended, or its script fails.
    pub fn advance(&mut self, host: &Host) -> Result<()> {
        let begun = Instant::now();
        let method = self.method.clone().context("no method is open")?;
        ensure!(method.stepped, "the method \"{}\" has no steps", method.name);
        let step = self.present().context("the method has not been started")?;
        if let Some(why) = &step.done {
            bail!("the method has ended: {why}");
        }
        let mut state = step.state.clone();
        if is_untouched(&state) {
            // A parameter may have changed since the previous step.
            if self.has_nothing_to_do(host, &method)? {
                return self.end_untouched(host);
            }
            state = self.call(host, "start", 0, None)?;
        }
        if let Some(mut map) = state.write_lock::<Map>() {
            map.remove("done");
        }
        let state = self.call(host, "step", self.cursor + 1, Some(state))?;
        let kept = self.steps.split_off(self.cursor + 1);
        if let Err(error) = self.push(state, begun) {
            self.steps.extend(kept);
            return Err(method.wrong("step", &error).into());
        }
        self.outdated = false;
        Ok(())
    }

    /// Shows the step with index `step`. If its state was dropped, the next stored step in the direction of the move is shown
    /// instead.
    pub fn seek(&mut self, host: &Host, step: usize) -> Result<Frame> {
        ensure!(
            step < self.steps.len(),
            "step {step} is out of range: the run has steps 0 to {}",
            self.steps.len().saturating_sub(1)
        );
        if self.method.as_ref().is_some_and(|m| m.stepped) {
            let nearest =
                self.steps.nearest(step, self.cursor).context("no saved steps left to show; press r to start over")?;
            let told = nearest == self.cursor && step != nearest;
            ensure!(
                !told,
                "step {step} is from an earlier session and only its scalars were kept; press r to start over"
            );
            self.cursor = nearest;
        } else {
            self.cursor = step;
        }
        self.view(host)
    }

    /// Shows the current step again, with the current parameters and version of the script.
    pub fn view(&mut self, host: &Host) -> Result<Frame> {
        let Some(step) = self.present().cloned() else { return self.run(host) };
        let method = self.method.clone().context("no method is open")?;
        if !method.stepped {
            return self.run(host);
        }
        if is_untouched(&step.state) {
            return self.idle_view(host);
        }
        let answer = self.call(host, "view", self.cursor, Some(step.state))?;
        let figures = figures(answer).map_err(|e| method.wrong("view", &e))?;
        Ok(self.frame(figures, step.millis))
    }

    /// Calls the open method's function `function` for the step with index `step` and stores its remarks.
    fn call(&mut self, host: &Host, function: &str, step: usize, state: Option<Dynamic>) -> Result<Dynamic> {
        let method = self.method.clone().context("no method is open")?;
        let cx = self.cx(step);
        let used = cx.used.clone();
        let answer = match state {
            None => host.call(&method, function, (cx,)),
            Some(state) => host.call(&method, function, (cx, state)),
        };
        self.told.add(used.take(), host.guard().notes());
        answer
    }

    /// Appends a state as the newest step of the run. Errors if the state cannot be stored.
    pub(super) fn push(&mut self, state: Dynamic, begun: Instant) -> Result<()> {
        let state = freeze(state)?;
        let map =
            state.read_lock::<Map>().context("the state of a stepped method must be a map: #{ x: cx.input }")?.clone();
        let done = map.get("done").filter(|d| !d.is_unit()).map(ToString::to_string);
        let scalars = map.get("scalars").and_then(|s| s.read_lock::<Map>().map(|m| numbers(&m))).unwrap_or_default();
        self.steps.push(KeptStep { state, scalars, done, millis: millis(begun) });
        self.cursor = self.steps.len() - 1;
        Ok(())
    }

    pub(super) fn frame(&mut self, figures: Vec<Figure>, millis: f64) -> Frame {
        Frame {
            generation: 0,
            step: self.cursor,
            kept: self.steps.len(),
            stride: self.steps.stride(),
            done: self.present().and_then(|s| s.done.clone()),
            figures: self.told_by_files(figures),
            data: self.data.name().map(String::from),
            scalars: self.steps.curves(),
            millis,
            partial: false,
            notes: self.new_notes(),
            used: self.told.used().clone().into_iter().collect(),
        }
    }

    /// If the data set is a folder, adds the file names of pictures to figures that show points.
    fn told_by_files(&self, mut figures: Vec<Figure>) -> Vec<Figure> {
        let Some(set) = self.data.opened() else { return figures };
        for figure in &mut figures {
            if let Body::Scatter { points } | Body::Sheet { points } = &mut figure.body {
                let files = (0..points.count()).map_while(|i| set.file(points.picture(i))).collect::<Vec<_>>();
                points.files = if files.len() == points.count() { files.into() } else { [].into() };
            }
        }
        figures
    }
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn numbers(map: &Map) -> Vec<(String, f64)> {
    let number = |v: &Dynamic| v.as_float().ok().or_else(|| v.as_int().ok().map(|v| v as f64));
    map.iter().filter_map(|(name, v)| Some((name.to_string(), number(v)?))).collect()
}

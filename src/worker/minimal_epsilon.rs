//! Finds the smallest radius at which an attack fools the network, by bisection.

use super::message::Update;
use super::{Request, Worker};
use crate::render::Body;
use crate::script::session::Session;
use crate::script::summary::{Frame, ParamKind};
use anyhow::{Context, Result, bail};

/// Name of the parameter that holds the radius.
const RADIUS: &str = "epsilon";
/// Maximum number of runs of the attack.
const RUNS: usize = 20;
/// Maximum number of steps of one run.
const STEPS: usize = 1000;
/// The bisection ends when the interval is at most this part of the radius, and at most this wide for radii below one.
const PRECISION: f64 = 0.02;

impl Worker {
    /// Sets the attack's radius to the smallest at which it fools the network, and runs it there. The search starts at the current radius,
    /// doubles it until the attack succeeds, and then bisects; it takes success to depend on the radius monotonically.
    ///
    /// Errors if the method has no radius, or never fools the network.
    pub(super) fn minimal_epsilon(&mut self) -> Result<()> {
        let (start, most) = radius(&self.session)?;
        self.begin();
        self.host.guard().start(self.known);
        match self.search(start, most) {
            Ok((low, high, found)) => {
                self.session = found;
                self.tell_method();
                let range = format!("smallest {RADIUS} that fools the network: {} (not at {})", text(high), text(low));
                self.answer(Request::View);
                self.tell(Update::Said(range));
                Ok(())
            }
            Err(_) if self.host.guard().is_cancelled() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The largest tested radius at which the attack fails, the smallest at which it succeeds, and the run at the latter.
    fn search(&self, start: f64, most: f64) -> Result<(f64, f64, Session)> {
        let mut trial = self.session.clone();
        let (mut low, mut high) = (0.0, start.max(PRECISION).min(most));
        let mut runs = 0;
        let mut fools = |at: f64| -> Result<Option<Session>> {
            self.tell(Update::Progress { what: "radii".into(), done: runs, total: RUNS });
            runs += 1;
            Ok(self.fools(&mut trial, at)?.then(|| trial.clone()))
        };
        let mut used = 1;
        let mut found = loop {
            if let Some(run) = fools(high)? {
                break run;
            }
            if high >= most || used >= RUNS / 2 {
                bail!("the attack does not fool the network with {RADIUS} up to {}; more steps may help", text(high));
            }
            (low, high, used) = (high, (2.0 * high).min(most), used + 1);
        };
        while high - low > PRECISION * high.max(1.0) && used < RUNS {
            let middle = rounded((low + high) / 2.0);
            if middle <= low || middle >= high {
                break;
            }
            match fools(middle)? {
                Some(run) => (high, found) = (middle, run),
                None => low = middle,
            }
            used += 1;
        }
        Ok((low, high, found))
    }

    /// Whether the attack fools the network with this radius, run to its end.
    fn fools(&self, trial: &mut Session, radius: f64) -> Result<bool> {
        trial.set(RADIUS, &text(radius))?;
        let mut frame = trial.run(&self.host)?;
        for _ in 0..STEPS {
            if is_fooled(&frame) || !trial.can_go_on() {
                break;
            }
            frame = trial.next(&self.host)?;
        }
        Ok(is_fooled(&frame))
    }
}

/// The current and the maximum radius of the open attack. Errors if the method has no radius.
fn radius(session: &Session) -> Result<(f64, f64)> {
    let card = session.card().context("no method is open")?;
    let param = card.params.iter().find(|param| param.name == RADIUS);
    let param = param.with_context(|| format!("{} has no parameter \"{RADIUS}\"", card.name))?;
    let (ParamKind::Pixels(_, most) | ParamKind::Number(_, most)) = param.kind else {
        bail!("the parameter \"{RADIUS}\" of {} is not a number", card.name)
    };
    let value: f64 = param.value.parse().with_context(|| format!("reading the parameter \"{RADIUS}\""))?;
    Ok((value, most))
}

fn is_fooled(frame: &Frame) -> bool {
    frame.figures.iter().any(|figure| matches!(&figure.body, Body::Badge { text, good: true } if text == "fooled"))
}

/// Rounded to three significant digits.
fn rounded(value: f64) -> f64 {
    let unit = 10f64.powf(value.abs().log10().floor() - 2.0);
    if unit > 0.0 && unit.is_finite() { (value / unit).round() * unit } else { value }
}

fn text(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

//! Checks that scores are finite before they are compared or used to predict a class.

use super::trace::Trace;
use crate::backend::{self, NotFinite};
use crate::graph::{Graph, Node};
use anyhow::Result;
use candle_core::Tensor;
use std::fmt;
use std::sync::Arc;

/// A phrase that identifies [`ScoresNotFinite`] in an error message from a script, where the error's type is lost.
const KNOWN_BY: &str = "scores are not finite";

/// An error for non-finite network scores. States how many scores are affected and the first layer with non-finite values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoresNotFinite {
    /// Counts of the non-finite scores of the first affected picture.
    pub scores: NotFinite,
    /// Number of affected pictures and total number of pictures.
    pub pictures: (usize, usize),
    /// A description of the first layer with non-finite values, if known.
    pub origin: Option<String>,
}

impl ScoresNotFinite {
    /// Whether `text` is the message of a [`ScoresNotFinite`].
    pub fn is_told_in(text: &str) -> bool {
        text.contains(KNOWN_BY)
    }
}

impl fmt::Display for ScoresNotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the network's {KNOWN_BY}")?;
        if self.pictures.1 > 1 {
            write!(f, " for {} of {} pictures; in the first", self.pictures.0, self.pictures.1)?;
        }
        write!(f, ": {}", self.scores)?;
        self.origin.iter().try_for_each(|origin| write!(f, "; first in {origin}"))
    }
}

impl std::error::Error for ScoresNotFinite {}

impl Trace {
    /// The scores of the run, `(N, classes)`.
    ///
    /// Errors with [`ScoresNotFinite`] if a score is not finite.
    pub fn scores(&self) -> Result<Tensor> {
        let logits = self.logits()?;
        match wrong(&logits)? {
            None => Ok(logits),
            Some((row, told)) => Err(ScoresNotFinite { origin: self.origin(row)?, ..told }.into()),
        }
    }

    /// Checks and returns `logits`, the scores of a modified version of this run.
    ///
    /// Errors with [`ScoresNotFinite`] if a score is not finite. If this run itself has non-finite values, the error names the
    /// first affected layer.
    pub fn scores_of_changed(&self, logits: Tensor) -> Result<Tensor> {
        match wrong(&logits)? {
            None => Ok(logits),
            Some((_, told)) => Err(ScoresNotFinite { origin: self.origin(0)?, ..told }.into()),
        }
    }

    /// A description of the first node with non-finite values for picture `row`; `None` if there is none.
    fn origin(&self, row: usize) -> Result<Option<String>> {
        for (id, node) in self.graph.nodes.iter().enumerate() {
            let values = self.value(id)?;
            let own = if row < values.dims().first().copied().unwrap_or(0) {
                values.narrow(0, row, 1)?
            } else {
                values.clone()
            };
            let count = backend::not_finite(&own)?;
            if count.count() > 0 {
                return Ok(Some(layer(node, id, count)?));
            }
        }
        Ok(None)
    }
}

impl Graph {
    /// Checks and returns `logits`, the scores of a run on `x`. If a score is not finite, reruns the first affected picture to
    /// find the layer.
    ///
    /// Errors with [`ScoresNotFinite`] if a score is not finite.
    pub fn check_scores(self: &Arc<Self>, x: &Tensor, logits: Tensor) -> Result<Tensor> {
        let Some((row, told)) = wrong(&logits)? else { return Ok(logits) };
        let origin = self.forward(&x.narrow(0, row, 1)?)?.origin(0)?;
        Err(ScoresNotFinite { origin, ..told }.into())
    }
}

/// The first row with a non-finite score among `(N, classes)` scores, and the error; `None` if all scores are finite.
fn wrong(logits: &Tensor) -> Result<Option<(usize, ScoresNotFinite)>> {
    if backend::not_finite(logits)?.count() == 0 {
        return Ok(None);
    }
    let of = |row: usize| backend::not_finite(&logits.narrow(0, row, 1)?);
    let counts = (0..logits.dims()[0]).map(of).collect::<Result<Vec<_>>>()?;
    let many = counts.iter().filter(|c| c.count() > 0).count();
    let first = counts.iter().position(|c| c.count() > 0);
    let told = |row: usize| ScoresNotFinite { scores: counts[row], pictures: (many, counts.len()), origin: None };
    Ok(first.map(|row| (row, told(row))))
}

/// Describes non-finite values of a node and its parameters, such as
/// `layer "conv1" (conv): 1024 of 1024 are NaN, and in "conv1.weight" 1 of 1200 is NaN`.
fn layer(node: &Node, id: usize, values: NotFinite) -> Result<String> {
    let mut text = match id {
        0 => format!("the picture: {values}"),
        _ => format!("layer \"{}\" ({}): {values}", node.name, node.op.kind()),
    };
    for (parameter, value) in node.parameters().zip(node.stored()?) {
        let count = backend::not_finite(&value)?;
        if count.count() > 0 {
            text += &format!(", and in \"{}\" {count}", parameter.name);
        }
    }
    Ok(text)
}

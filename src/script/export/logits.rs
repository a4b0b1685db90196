//! Exports the network's class scores for the picture as `logits.npy`.

use crate::data::write_npy;
use crate::script::api::LabeledTrace;
use crate::script::host::Host;
use crate::script::session::Session;
use crate::tensor::numbers;
use anyhow::Result;
use std::path::Path;

/// Name of the file, without its extension.
pub(super) const NAME: &str = "logits";
/// Name of the file.
pub(super) const FILE: &str = "logits.npy";

/// Writes the value of the class score node in f32: `(N, classes)`, before a final softmax or sigmoid; `(N, 1)` for a network with a single
/// logit; or the entire output, such as `(N, C, H, W)`, for a network without classes.
pub(super) fn write(folder: &Path, session: &Session, host: &Host) -> Result<()> {
    let model = session.model();
    let run = LabeledTrace::forward(host.guard(), model, session.input())?;
    let value = run.trace.value(model.graph.logits)?;
    let value = if model.classes() > 0 { value.flatten_from(1)? } else { value.clone() };
    let values: Vec<f32> = numbers(&value)?.into_iter().map(|v| v as f32).collect();
    write_npy(&folder.join(FILE), value.dims(), &values)
}

//! Selectors as scripts write them; parts of them that can fit no layer are told.

use super::Guard;
use crate::explain::Selector;
use crate::graph::Graph;
use crate::graph::op::{Family, KINDS};
use crate::script::report::closest;
use anyhow::Result;

/// Reads the selector of `what`, a rule or an edit of this network.
///
/// A part that fits no layer and is no kind is noted, with what may have been meant: what it was written for does not happen.
pub(super) fn selector(guard: &Guard, graph: &Graph, what: &str, text: &str) -> Result<Selector> {
    let selector = Selector::parse(text)?;
    for part in selector.idle(&graph.nodes) {
        guard.note(format!("the {what} for \"{text}\": {}", missing(graph, &part)));
    }
    Ok(selector)
}

/// That nothing fits a part, and what would have.
fn missing(graph: &Graph, part: &Selector) -> String {
    let Selector::Name(name) = part else { return format!("no layer fits \"{part}\"") };
    let words = KINDS.iter().copied().chain(Family::ALL.map(Family::name));
    let known = words.chain(graph.nodes.iter().map(|node| node.name.as_str()));
    match closest(name, known) {
        Some(near) => format!("no kind or layer is named \"{name}\"; did you mean \"{near}\"?"),
        None => format!("no kind or layer is named \"{name}\"; `gradscope layers` lists both"),
    }
}

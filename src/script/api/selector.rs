//! Selectors in scripts, with notes about parts that cannot match any layer.

use super::Guard;
use crate::explain::Selector;
use crate::graph::Graph;
use crate::graph::op::{Family, KINDS};
use crate::script::report::closest;
use anyhow::Result;

/// Parses the selector of `what`, a rule or an edit of this network.
///
/// A part that matches no layer and is not a kind has no effect, so it is noted, with a suggestion.
pub(super) fn selector(guard: &Guard, graph: &Graph, what: &str, text: &str) -> Result<Selector> {
    let selector = Selector::parse(text)?;
    for part in selector.idle(&graph.nodes) {
        guard.note(format!("the {what} for \"{text}\": {}", missing(graph, &part)));
    }
    Ok(selector)
}

/// Says that a part matches nothing, and suggests what may have been meant.
fn missing(graph: &Graph, part: &Selector) -> String {
    let Selector::Name(name) = part else { return format!("no layer matches \"{part}\"") };
    let words = KINDS.iter().copied().chain(Family::ALL.map(Family::name));
    let known = words.chain(graph.nodes.iter().map(|node| node.name.as_str()));
    match closest(name, known) {
        Some(near) => format!("no kind or layer is named \"{name}\"; did you mean \"{near}\"?"),
        None => format!("no kind or layer is named \"{name}\"; `gradscope layers` lists both"),
    }
}

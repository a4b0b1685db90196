//! Parses layer selectors in scripts, and reports parts of a selector that match no layer.

use super::Guard;
use crate::explain::Selector;
use crate::graph::Graph;
use crate::graph::op::{self, Family, KINDS};
use crate::script::report::closest;
use anyhow::Result;

/// Parses a layer selector for the network `graph`. `what` is the selector's purpose, `rule` or `edit`, and appears in notes.
///
/// A layer's name selects that layer, whatever characters it contains. If it is also the name of a kind or a family, an edit applies to the
/// layer, but a rule applies to the kind, because composites are written for many networks; `":name"` always selects the layer. A part that
/// matches no layer and is not a kind has no effect; a note for the user reports it and suggests a similar name.
pub(super) fn selector(guard: &Guard, graph: &Graph, what: &str, text: &str) -> Result<Selector> {
    let named = |name: &str| graph.nodes.iter().any(|node| node.name == name);
    if let Some(name) = text.strip_prefix(':').map(str::trim).filter(|name| named(name)) {
        return Ok(Selector::Among(vec![name.into()]));
    }
    let is_kind = op::spec(text).is_some() || op::family(text).is_some();
    if named(text) && (!is_kind || what == "edit") {
        let others = |kind: Selector| graph.nodes.iter().any(|node| node.name != text && kind.fits(node));
        if is_kind && others(Selector::parse(text)?) {
            guard.note(format!(
                "the edit for \"{text}\" changes only the layer of that name; use \"{text}: *\" for all layers of that kind, or \":{text}\" \
                 to silence this note"
            ));
        }
        return Ok(Selector::Among(vec![text.into()]));
    }
    let selector = Selector::parse(text)?;
    for part in selector.idle(&graph.nodes) {
        guard.note(format!("the {what} for \"{text}\": {}", missing(graph, &part)));
    }
    Ok(selector)
}

/// The message for a part of a selector that matches no layer, with a suggestion.
fn missing(graph: &Graph, part: &Selector) -> String {
    let Selector::Name(name) = part else { return format!("no layer matches \"{part}\"") };
    let words = KINDS.iter().copied().chain(Family::ALL.map(Family::name));
    let known = words.chain(graph.nodes.iter().map(|node| node.name.as_str()));
    match closest(name, known) {
        Some(near) => format!("no kind or layer is named \"{name}\"; did you mean \"{near}\"?"),
        None => format!("no kind or layer is named \"{name}\"; `gradscope layers` lists both"),
    }
}

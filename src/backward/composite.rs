//! Which rule holds at which node.

use crate::graph::{Node, Site};
use anyhow::{Result, bail};
use candle_core::Tensor;

/// From the relevance of a node's value to that of its inputs, one tensor an input.
pub type Rule<'a> = Box<dyn Fn(&Site, &Tensor) -> Result<Vec<Tensor>> + 'a>;

/// A choice of nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum Selector {
    /// Nodes of one of these kinds.
    Kind(Vec<String>),
    /// Nodes whose name fits; `*` stands for any text.
    Name(String),
}

/// Rules in order of precedence: the first whose selector fits a node is taken.
#[derive(Default)]
pub struct Composite<'a> {
    rules: Vec<(Selector, Rule<'a>)>,
}

impl Selector {
    /// Reads `"conv|linear"` (kinds) or `"features.*"` (a name); a text that is a kind in `kinds` is one.
    ///
    /// Errors on an empty text.
    pub fn parse(text: &str, kinds: &[&str]) -> Result<Self> {
        let parts: Vec<_> = text.split('|').map(str::trim).collect();
        if parts.iter().any(|p| p.is_empty()) {
            bail!("an empty selector; write a kind (\"conv|linear\") or a layer name (\"features.*\")");
        }
        if parts.iter().all(|p| kinds.contains(p)) {
            return Ok(Self::Kind(parts.into_iter().map(String::from).collect()));
        }
        Ok(Self::Name(text.trim().to_string()))
    }

    /// Whether it chooses this node.
    pub fn fits(&self, node: &Node) -> bool {
        match self {
            Self::Kind(kinds) => kinds.iter().any(|k| k == node.op.kind()),
            Self::Name(glob) => matches(glob, &node.name),
        }
    }
}

impl<'a> Composite<'a> {
    /// No rules: the plain gradient.
    pub fn gradient() -> Self {
        Self::default()
    }

    /// Adds a rule behind those there are.
    pub fn with(mut self, selector: Selector, rule: Rule<'a>) -> Self {
        self.rules.push((selector, rule));
        self
    }

    /// The rule for a node, if one is set.
    pub fn rule(&self, node: &Node) -> Option<&Rule<'a>> {
        self.rules.iter().find(|(s, _)| s.fits(node)).map(|(_, r)| r)
    }
}

/// Whether `text` fits `glob`, where `*` stands for any text.
fn matches(glob: &str, text: &str) -> bool {
    match glob.split_once('*') {
        None => glob == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).filter(|&i| tail.is_char_boundary(i)).any(|i| matches(rest, &tail[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("features.*.squeeze", "features.3.squeeze"));
        assert!(matches("*", ""));
        assert!(!matches("features.*", "classifier.1"));
        assert!(!matches("conv", "conv1"));
    }

    #[test]
    fn kinds_are_told_from_names() {
        let kinds = ["conv", "linear"];
        assert_eq!(
            Selector::parse("conv|linear", &kinds).expect("kinds"),
            Selector::Kind(vec!["conv".into(), "linear".into()])
        );
        assert_eq!(Selector::parse("conv1", &kinds).expect("name"), Selector::Name("conv1".into()));
        assert!(Selector::parse("conv|", &kinds).is_err());
    }
}

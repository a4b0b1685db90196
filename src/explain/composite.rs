//! Composites: which rule applies to which node.

use crate::exec::LayerContext;
use crate::graph::{Node, op};
use anyhow::{Result, bail};
use candle_core::Tensor;
use wildmatch::WildMatchPattern;

/// Maps the relevance of a node's value to the relevance of the node's inputs, one tensor per input.
pub type Rule<'a> = Box<dyn Fn(&LayerContext, &Tensor) -> Result<Vec<Tensor>> + 'a>;

/// A selector of nodes, by kind or name.
#[derive(Clone, Debug, PartialEq)]
pub enum Selector {
    /// Nodes of any of these kinds or families.
    Kind(Vec<String>),
    /// Nodes whose name matches a pattern, in which `*` matches any string.
    Name(String),
    /// Nodes with exactly these names; predicates are converted to this form.
    Among(Vec<String>),
    /// Nodes selected by at least one of these selectors.
    Any(Vec<Selector>),
    /// Nodes selected by both selectors.
    Both(Box<Selector>, Box<Selector>),
}

/// Rules in order of precedence: the first one whose selector matches a node applies.
#[derive(Default)]
pub struct Composite<'a> {
    rules: Vec<Choice<'a>>,
}

/// A rule of a composite, with the selector of the nodes it applies to.
struct Choice<'a> {
    selector: Selector,
    /// The rule's name in ledgers.
    name: String,
    rule: Rule<'a>,
}

impl Selector {
    /// Parses a selector: kinds such as `"conv|linear"`, names such as `"features.*"`, several of these separated by `|`, or
    /// kinds and names such as `"conv: features.*"`. A word that names a kind or a [`Family`](crate::graph::op::Family) refers to
    /// the kind or family, except after a colon, where every word is a layer name: `":pool"` is the layer `pool`, not the family.
    ///
    /// Errors if the string or one of its parts is empty.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("", name)) => Self::read(name, false),
            Some((kind, name)) => Ok(Self::Both(Self::read(kind, true)?.into(), Self::read(name, false)?.into())),
            None => Self::read(text, true),
        }
    }

    /// Parses words separated by `|` as names and, if `kinds` is set, as kinds.
    fn read(text: &str, kinds: bool) -> Result<Self> {
        let parts: Vec<_> = text.split('|').map(str::trim).collect();
        if parts.iter().any(|p| p.is_empty()) {
            bail!(
                "empty selector; expected a kind (\"conv|linear\"), a layer name (\"features.*\") or both (\"conv: features.*\")"
            );
        }
        if kinds && parts.iter().all(|p| op::spec(p).is_some() || op::family(p).is_some()) {
            return Ok(Self::Kind(parts.into_iter().map(String::from).collect()));
        }
        if let [name] = parts[..] {
            return Ok(Self::Name(name.to_string()));
        }
        Ok(Self::Any(parts.into_iter().map(|p| Self::read(p, kinds)).collect::<Result<_>>()?))
    }

    /// The parts of the selector that match none of `nodes` and are probably misspelled: words that are not a kind, and
    /// combinations of kinds and names without a match. Kinds that the network lacks are not reported, since the same rules are
    /// used for many networks.
    pub fn idle(&self, nodes: &[Node]) -> Vec<Self> {
        let none_fits = || !nodes.iter().any(|node| self.fits(node));
        match self {
            Self::Kind(_) | Self::Among(_) => vec![],
            Self::Name(_) if none_fits() => vec![self.clone()],
            Self::Name(_) => vec![],
            Self::Any(parts) => parts.iter().flat_map(|part| part.idle(nodes)).collect(),
            Self::Both(kinds, names) => match [kinds.idle(nodes), names.idle(nodes)].concat() {
                parts if parts.is_empty() && none_fits() => vec![self.clone()],
                parts => parts,
            },
        }
    }

    /// Whether the selector selects this node.
    pub fn fits(&self, node: &Node) -> bool {
        match self {
            Self::Kind(kinds) => {
                let spec = node.op.spec();
                kinds.iter().any(|k| k == spec.kind || k == spec.family.name())
            }
            Self::Name(glob) => matches(glob, &node.name),
            Self::Among(names) => names.contains(&node.name),
            Self::Both(a, b) => a.fits(node) && b.fits(node),
            Self::Any(selectors) => selectors.iter().any(|s| s.fits(node)),
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kind(names) | Self::Among(names) => f.write_str(&names.join("|")),
            Self::Name(glob) => f.write_str(glob),
            Self::Any(parts) => f.write_str(&parts.iter().map(Self::to_string).collect::<Vec<_>>().join("|")),
            Self::Both(kinds, names) => write!(f, "{kinds}: {names}"),
        }
    }
}

impl<'a> Composite<'a> {
    /// A composite without rules, which propagates the plain gradient.
    pub fn gradient() -> Self {
        Self::default()
    }

    /// Appends a rule, called `script` in ledgers.
    pub fn with(self, selector: Selector, rule: Rule<'a>) -> Self {
        self.with_named(selector, "script", rule)
    }

    /// Appends a rule with the given name in ledgers.
    pub fn with_named(mut self, selector: Selector, name: &str, rule: Rule<'a>) -> Self {
        self.rules.push(Choice { selector, name: name.into(), rule });
        self
    }

    /// The first rule whose selector matches a node; `None` if there is none.
    pub fn rule(&self, node: &Node) -> Option<&Rule<'a>> {
        self.choice(node).map(|c| &c.rule)
    }

    /// The name of the rule that applies to a node; `gradient` if there is none.
    pub fn name(&self, node: &Node) -> &str {
        self.choice(node).map_or("gradient", |c| &c.name)
    }

    /// Whether the composite has no rules.
    pub fn is_gradient(&self) -> bool {
        self.rules.is_empty()
    }

    fn choice(&self, node: &Node) -> Option<&Choice<'a>> {
        self.rules.iter().find(|c| c.selector.fits(node))
    }
}

/// Whether `text` matches the pattern `glob`, in which `*` matches any string and every other character only itself.
fn matches(glob: &str, text: &str) -> bool {
    // The crate also has a wildcard for a single character. Setting it to NUL turns it off, since no name contains NUL.
    WildMatchPattern::<'*', '\0'>::new(glob).matches(text)
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
        assert!(!matches("conv?", "conv1") && matches("conv?", "conv?"));
    }

    #[test]
    fn patterns_match_the_same_texts_as_the_plain_definition() {
        fn plain(glob: &str, text: &str) -> bool {
            match glob.split_once('*') {
                None => glob == text,
                Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
                    (0..=tail.len()).filter(|&i| tail.is_char_boundary(i)).any(|i| plain(rest, &tail[i..]))
                }),
            }
        }
        let words = |letters: &[char], length: usize| -> Vec<String> {
            let longer =
                |words: &[String]| words.iter().flat_map(|w| letters.iter().map(move |c| format!("{w}{c}"))).collect();
            let mut all = vec![vec![String::new()]];
            (0..length).for_each(|_| all.push(longer(all.last().expect("one"))));
            all.concat()
        };
        let texts = words(&['a', 'é', '.'], 5);
        for glob in words(&['a', 'é', '*', '.'], 5) {
            for text in &texts {
                assert_eq!(matches(&glob, text), plain(&glob, text), "{glob} {text}");
            }
        }
    }

    #[test]
    fn a_pattern_of_many_stars_is_quick() {
        assert!(!matches(&"a*".repeat(40), &"a".repeat(39)));
        assert!(!matches(&("a*".repeat(20) + "b"), &"a".repeat(200)));
    }

    #[test]
    fn parts_that_match_no_layer_are_reported() {
        let mut b = crate::graph::Builder::new(&[4]);
        let x = b.add("stem.1", op::Relu, &[0]).unwrap();
        let x = b.add("head", op::Flatten, &[x]).unwrap();
        let graph = b.finish(x).unwrap();
        let idle = |text: &str| {
            let parts = Selector::parse(text).unwrap().idle(&graph.nodes);
            parts.iter().map(Selector::to_string).collect::<Vec<_>>()
        };
        for fits in ["relu", "conv", "conv|flatten", "stem.*", "relu: stem.*", "*", "head|relu", "relu|flatten: *"] {
            assert!(idle(fits).is_empty(), "{fits}");
        }
        assert_eq!(idle("rellu"), ["rellu"]);
        assert_eq!(idle("konv|relu"), ["konv"]);
        assert_eq!(idle("konv | flaten"), ["konv", "flaten"]);
        assert_eq!(idle("stem.*.a"), ["stem.*.a"]);
        assert_eq!(idle("relu: tail.*"), ["tail.*"]);
        assert_eq!(idle("rellu: stem.*"), ["rellu"]);
        assert_eq!(idle("relu: head"), ["relu: head"], "head is a flatten");
        assert_eq!(idle("conv: head"), ["conv: head"], "there is no convolution");
    }

    #[test]
    fn kinds_are_distinguished_from_names() {
        assert_eq!(
            Selector::parse("conv|linear").expect("kinds"),
            Selector::Kind(vec!["conv".into(), "linear".into()])
        );
        assert_eq!(Selector::parse("conv1").expect("name"), Selector::Name("conv1".into()));
        let both = Selector::Any(vec![Selector::Name("stem".into()), Selector::Kind(vec!["conv".into()])]);
        assert_eq!(Selector::parse("stem | conv").expect("both"), both);
        let named = Selector::Both(Selector::Kind(vec!["conv".into()]).into(), Selector::Name("linear".into()).into());
        assert_eq!(Selector::parse("conv: linear").expect("kind and name"), named);
        assert!(Selector::parse("conv|").is_err());
    }
}

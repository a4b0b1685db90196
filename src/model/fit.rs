//! Finds a network's parameters in a weight file, under any prefix and in any of its state dicts.

use super::weights::{
    Archive, StateDict, TensorEntry, all_unwrapped, beside, counter, name_starts, optimizer, rank, secondary, shown,
    wrappers,
};
use crate::graph::{Graph, Parameter};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Maximum number of names listed in a message.
const SHOWN: usize = 3;

/// Maximum number of copies of a network considered in one file.
const COPIES: usize = 64;

/// The location of a network's parameters in a weight file.
#[derive(Debug)]
pub struct Fit<'a> {
    /// Pairs of a parameter's name in the network and its tensor in the file.
    pub entries: Vec<(String, &'a TensorEntry)>,
    /// State dict key and name prefix of the parameters, such as `state_dict.model`.
    pub label: String,
    /// Names of tensors in the state dict that belong neither to the network nor to copies of it.
    pub aside: Vec<String>,
    /// Labels of other copies of the network that fit as well.
    pub others: Vec<String>,
    /// Descriptions of the changes made to names, such as a removed prefix.
    told: Vec<String>,
}

/// Finds a network's parameters in a weight file.
///
/// All parameters must be present with their shapes, under a common prefix (`model.`), with or without wrapper segments (`module.`,
/// `_orig_mod.`) anywhere in their names. If there are several candidates, they are ranked by these criteria, in this order: the network
/// itself before averages and teachers, common keys (`state_dict`, `model`) before others, unchanged names before unwrapped ones, and
/// shorter prefixes before longer ones. `key` selects candidates by their label.
///
/// Tensors outside the prefix are ignored. Tensors under the prefix must belong to the network, except for counters, copies of the network,
/// tensors used only in training (such as `loss.weight`), and names with a segment in `unused`; otherwise the candidate does not fit.
/// Errors if no candidate fits.
pub fn fit<'a>(graph: &Graph, archive: &'a Archive, key: Option<&str>, unused: &[String]) -> Result<Fit<'a>, Misfit> {
    let wanted = graph.parameters();
    let views: Vec<_> = archive.dicts.iter().flat_map(View::of).collect();
    let mut candidates: Vec<_> = views.iter().flat_map(|view| view.candidates(&wanted)).collect();
    candidates.sort_by_cached_key(Candidate::order);
    // The same tensors, found under names with and without wrappers, count as one copy.
    let mut seen = HashSet::new();
    let whole = |candidate: &&Candidate| candidate.found == wanted.len() && seen.insert(candidate.first(&wanted));
    let copies: Vec<_> = candidates.iter().filter(whole).take(COPIES).collect();
    let mut asked = copies.iter().filter(|candidate| key.is_none_or(|key| candidate.answers(key)));
    let is_unused = |name: &str| name.split('.').any(|segment| unused.iter().any(|u| u == segment));
    let clean = |candidate: &&&Candidate| candidate.surplus(&wanted, &copies).into_iter().all(is_unused);
    if let Some(candidate) = asked.find(clean) {
        let mut fit = candidate.fit(&wanted, &copies);
        if archive.dicts.iter().filter(|dict| is_network(dict)).count() > 1 {
            fit.told.insert(0, format!("using {}", quoted(&fit.label)));
        }
        return Ok(fit);
    }
    Err(Misfit::of(graph, archive, key, &candidates))
}

/// Whether a state dict may contain a network, rather than a single tensor or the state of an optimizer.
fn is_network(dict: &StateDict) -> bool {
    dict.tensors.len() > 1 && !optimizer(&dict.key)
}

/// The tensor names of a state dict, either unchanged or without wrapper segments.
struct View<'a> {
    dict: &'a StateDict,
    names: BTreeMap<Cow<'a, str>, &'a TensorEntry>,
    unwrapped: bool,
}

impl<'a> View<'a> {
    fn of(dict: &'a StateDict) -> impl Iterator<Item = View<'a>> {
        let plain = dict.tensors.iter().map(|(name, entry)| (Cow::from(name), entry)).collect();
        let wrapped = !wrappers(dict.tensors.keys().map(String::as_str)).is_empty();
        let unwrapped = if wrapped { all_unwrapped(dict.tensors.keys().map(String::as_str)) } else { None };
        let unwrapped =
            unwrapped.map(|all| all.into_iter().map(|(name, old)| (Cow::from(name), &dict.tensors[old])).collect());
        [(Some(plain), false), (unwrapped, true)]
            .into_iter()
            .filter_map(move |(names, unwrapped)| Some(View { dict, names: names?, unwrapped }))
    }

    /// All prefixes under which at least one of the `wanted` parameters is found.
    fn candidates(&self, wanted: &[Parameter]) -> Vec<Candidate<'_, 'a>> {
        let wanted: HashMap<&str, &[usize]> = wanted.iter().map(|p| (p.name.as_str(), &p.shape[..])).collect();
        let longest = wanted.keys().map(|name| name.len()).max().unwrap_or_default();
        let mut found: HashMap<&str, (usize, usize)> = HashMap::from([("", (0, 0))]);
        for (name, entry) in &self.names {
            for (prefix, rest) in name_starts(name, longest).map(|at| name.split_at(at)) {
                if let Some(shape) = wanted.get(rest) {
                    let (named, fitting) = found.entry(prefix).or_default();
                    *named += 1;
                    *fitting += usize::from(entry.shape == *shape);
                }
            }
        }
        found.into_iter().map(|(prefix, (named, found))| Candidate { view: self, prefix, named, found }).collect()
    }
}

/// A candidate location of a network's parameters: a prefix in a state dict.
struct Candidate<'v, 'a> {
    view: &'v View<'a>,
    prefix: &'v str,
    /// Number of parameters found by name.
    named: usize,
    /// Number of parameters found by name and shape.
    found: usize,
}

impl<'a> Candidate<'_, 'a> {
    /// State dict key and prefix, joined by a dot, without a trailing separator.
    fn label(&self) -> String {
        let key = &self.view.dict.key;
        let prefix = self.prefix.trim_end_matches(|c: char| !c.is_alphanumeric());
        let dot = if key.is_empty() || prefix.is_empty() { "" } else { "." };
        format!("{key}{dot}{prefix}")
    }

    fn order(&self) -> impl Ord + use<> {
        let key = &self.view.dict.key;
        let depth = key.split('.').count();
        let prefix = self.prefix.to_string();
        (secondary(&self.label()), rank(key), self.view.unwrapped, prefix.len(), depth, prefix)
    }

    /// Whether the user's `key` selects this candidate: the key must equal the label, or be its beginning or end.
    fn answers(&self, key: &str) -> bool {
        let label = format!(".{}.", self.label());
        let key = format!(".{}.", key.trim_matches('.'));
        label.starts_with(&key) || label.ends_with(&key)
    }

    /// Address of the first parameter's tensor. Candidates with equal addresses are the same copy of the network.
    fn first(&self, wanted: &[Parameter]) -> Option<*const TensorEntry> {
        let name = format!("{}{}", self.prefix, wanted.first()?.name);
        self.view.names.get(&*name).map(|entry| std::ptr::from_ref(*entry))
    }

    /// `name` without the prefix of this candidate; `None` if the name lacks the prefix.
    fn inside<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(self.prefix)
    }

    /// Names, without the prefix, of the tensors under the prefix that belong neither to the network nor to a copy of it, except those
    /// that are used only in training.
    fn surplus(&self, wanted: &[Parameter], copies: &[&Self]) -> Vec<&str> {
        let below = self.rest(wanted, copies).into_iter();
        let below = below.filter_map(|(name, entry)| Some((self.inside(name)?, entry)));
        below.filter(|(name, entry)| !beside(name, &entry.shape, entry.is_whole())).map(|(name, _)| name).collect()
    }

    /// Names and tensors of the state dict that belong neither to the network nor to a copy of it.
    fn rest(&self, wanted: &[Parameter], copies: &[&Self]) -> Vec<(&str, &'a TensorEntry)> {
        let wanted: HashSet<_> = wanted.iter().map(|p| p.name.as_str()).collect();
        let same = |other: &&&Self| std::ptr::eq(other.view, self.view);
        let prefixes: HashSet<_> = copies.iter().filter(same).map(|p| p.prefix).collect();
        let longest = wanted.iter().map(|name| name.len()).max().unwrap_or_default();
        let fits = |(prefix, rest): (&str, &str)| wanted.contains(rest) && prefixes.contains(prefix);
        let known = |name: &str| name_starts(name, longest).any(|at| fits(name.split_at(at)));
        self.view.names.iter().filter(|(name, _)| !known(name)).map(|(name, entry)| (name.as_ref(), *entry)).collect()
    }

    fn fit(&self, wanted: &[Parameter], copies: &[&Self]) -> Fit<'a> {
        let names = &self.view.names;
        let entry = |p: &Parameter| names.get(&*format!("{}{}", self.prefix, p.name)).map(|e| (p.name.clone(), *e));
        let aside = self.rest(wanted, copies).into_iter().filter(|(n, e)| !counter(n, &e.shape, e.is_whole()));
        let label = self.label();
        let mut told = vec![];
        if !self.prefix.is_empty() {
            told.push(format!("without the prefix \"{}\"", shown(self.prefix)));
        }
        if self.view.unwrapped {
            let found = wrappers(self.view.dict.tensors.keys().map(String::as_str));
            let found: Vec<_> = found.iter().map(|wrapper| format!("\"{wrapper}.\"")).collect();
            told.push(format!("without {} in names", found.join(" and ")));
        }
        Fit {
            entries: wanted.iter().filter_map(entry).collect(),
            aside: aside.map(|(name, _)| name.to_string()).collect(),
            others: copies.iter().map(|p| p.label()).filter(|other| *other != label).collect(),
            label,
            told,
        }
    }
}

impl Fit<'_> {
    /// A line for the user about which tensors in the file were used and which were ignored; empty if the file contains only the
    /// network.
    pub fn told(&self) -> String {
        let mut told = self.told.clone();
        if !self.others.is_empty() {
            if !told.first().is_some_and(|first| first.starts_with("using")) {
                told.insert(0, format!("using {}", quoted(&self.label)));
            }
            let fit = if self.others.len() == 1 { "fits" } else { "fit" };
            told.push(format!("{} {fit} too (select with FILE:KEY)", few(&self.others, quoted)));
        }
        if !self.aside.is_empty() {
            told.push(format!("ignored {}", few(&self.aside, shown)));
        }
        told.join("; ")
    }
}

/// The reason why a weight file does not fit a network.
#[derive(Debug)]
pub struct Misfit {
    /// The error message: the best candidate's parameters that are missing, unexpected or of the wrong shape, and example names from the
    /// network and from the file.
    pub text: String,
    /// Number of parameters found by name and shape in the best candidate.
    pub found: usize,
    /// Number of parameters that are missing, unexpected or of the wrong shape.
    pub differences: usize,
}

impl Misfit {
    fn of(graph: &Graph, archive: &Archive, key: Option<&str>, candidates: &[Candidate]) -> Self {
        let wanted = graph.parameters();
        let asked = candidates.iter().filter(|candidate| key.is_none_or(|key| candidate.answers(key)));
        let Some(best) = asked.min_by_key(|p| std::cmp::Reverse((p.found, p.named))) else {
            let mut labels: Vec<_> = candidates.iter().filter(|p| p.found > 0).map(Candidate::label).collect();
            labels.extend(archive.dicts.iter().filter(|dict| is_network(dict)).map(|dict| dict.key.clone()));
            let mut seen = HashSet::new();
            labels.retain(|label| !label.is_empty() && seen.insert(label.clone()));
            let there = match labels.is_empty() {
                true => "the tensors have no common prefix".into(),
                false => format!("there are {}", few(&labels, quoted)),
            };
            let text = format!("the file has no state dict \"{}\"; {there}", shown(key.unwrap_or_default()));
            return Self { text, found: 0, differences: wanted.len() };
        };
        let given = || {
            let names = best.view.names.iter();
            names.filter(|(n, e)| !counter(n, &e.shape, e.is_whole())).map(|(n, e)| (n.as_ref(), &e.shape[..]))
        };
        let shapes: BTreeMap<_, _> = given().filter_map(|(n, shape)| Some((best.inside(n)?, shape))).collect();
        let problems = graph.misfit(&shapes).unwrap_or_default();
        let below = match best.prefix {
            "" => String::new(),
            prefix => format!(" under \"{}\"", shown(prefix)),
        };
        let mut text = format!("the weights do not fit the architecture: {problems}{below}");
        let unread = best.view.dict.unread.iter().next();
        if let Some((name, function)) = unread {
            text.push_str(&format!("; \"{}\" is created by {function}, which is not supported", shown(name)));
        }
        let ours: Vec<_> = wanted.iter().map(|p| p.name.as_str()).collect();
        let theirs: Vec<_> = given().map(|(n, _)| n).collect();
        let holder = match best.view.dict.key.as_str() {
            "" => "the file".into(),
            key => format!("the state dict \"{}\"", shown(key)),
        };
        text.push_str(&format!("; the architecture has {}, {holder} has {}", few(&ours, shown), few(&theirs, shown)));
        let differences = wanted.len() - best.found + shapes.len().saturating_sub(best.named);
        Self { text, found: best.found, differences }
    }
}

fn quoted(label: &str) -> String {
    if label.is_empty() { "the names without a prefix".into() } else { format!("\"{}\"", shown(label)) }
}

/// Formats a list of names, abbreviated after the first few: `a, b, c and 4 more`.
pub fn few<S: AsRef<str>>(names: &[S], show: impl Fn(&str) -> String) -> String {
    let list = names.iter().take(SHOWN).map(|name| show(name.as_ref())).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

//! The list of methods: groups that fold, with the most recently used methods first.

use super::State;
use crate::script::summary::{Frame, MethodRow};
use std::collections::{BTreeMap, BTreeSet};

/// The heading above the most recently used methods.
pub const RECENT: &str = "recent";

/// The order of the groups. Other groups follow in alphabetical order.
const GROUPS: [&str; 12] = [
    "attribution",
    "attack",
    "fidelity",
    "feature visualization",
    "features",
    "network",
    "circuits",
    "data set",
    "robustness",
    "defense",
    "training",
    "example",
];

/// Maximum number of recently used methods that are listed.
const RECENTS: usize = 5;

/// What the user did with the list of methods in this session.
#[derive(Debug)]
pub struct MethodList {
    /// The unfolded groups.
    open: BTreeSet<String>,
    /// Names of recently used methods, latest first.
    recent: Vec<String>,
    /// The duration of the last run of each method, by name.
    took: BTreeMap<String, Took>,
}

/// How long the last run of a method took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Took {
    /// A run without steps, in milliseconds.
    Millis(f64),
    /// A run with steps.
    Steps,
}

/// A row in the list of methods.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MethodListRow<'a> {
    /// The heading of a group.
    Group {
        /// Name of the group.
        name: &'a str,
        /// Number of methods in the group.
        count: usize,
        /// Whether the methods of the group are listed.
        open: bool,
    },
    /// A method.
    Method(&'a MethodRow),
}

impl Default for MethodList {
    fn default() -> Self {
        let open = [RECENT, GROUPS[0]].map(str::to_owned).into();
        Self { open, recent: Vec::new(), took: BTreeMap::new() }
    }
}

impl MethodList {
    /// Folds or unfolds a group.
    pub fn fold(&mut self, group: &str, folded: bool) {
        match folded {
            true => drop(self.open.remove(group)),
            false => drop(self.open.insert(group.to_owned())),
        }
    }

    /// Moves a method to the front of the recently used ones.
    pub fn used(&mut self, name: &str) {
        self.recent.retain(|other| other != name);
        self.recent.insert(0, name.to_owned());
        self.recent.truncate(RECENTS);
    }

    /// Whether a method is the one used last.
    pub fn is_latest(&self, name: &str) -> bool {
        self.recent.first().is_some_and(|latest| latest == name)
    }

    /// Whether a method is among the recently used ones.
    pub fn is_recent(&self, name: &str) -> bool {
        self.recent.iter().any(|recent| recent == name)
    }

    /// Records how long a run of a method took.
    pub fn ran(&mut self, name: &str, stepped: bool, frame: &Frame) {
        let took = if stepped { Took::Steps } else { Took::Millis(frame.millis) };
        self.took.insert(name.to_owned(), took);
    }

    /// How long the last run of a method took; `None` if it has not been run.
    pub fn took(&self, name: &str) -> Option<Took> {
        self.took.get(name).copied()
    }
}

impl State {
    /// The rows of the list of methods: all matches if there is a filter, otherwise the groups with the methods of the unfolded ones.
    pub fn method_rows(&self) -> Vec<MethodListRow<'_>> {
        if !self.method_filter.is_empty() {
            return self.listed().into_iter().map(MethodListRow::Method).collect();
        }
        let recent = self.method_list.recent.iter().filter_map(|name| self.methods.iter().find(|m| m.name == *name));
        let mut groups: Vec<(&str, Vec<&MethodRow>)> = vec![(RECENT, recent.collect())];
        groups.extend(self.grouped());
        let mut rows = Vec::new();
        for (name, methods) in groups.into_iter().filter(|(_, methods)| !methods.is_empty()) {
            let open = self.method_list.open.contains(name);
            rows.push(MethodListRow::Group { name, count: methods.len(), open });
            rows.extend(methods.into_iter().filter(|_| open).map(MethodListRow::Method));
        }
        rows
    }

    /// The groups in the order in which they are listed, each with its methods by title.
    pub fn grouped(&self) -> impl Iterator<Item = (&str, Vec<&MethodRow>)> {
        self.groups().into_iter().map(|name| {
            let mut methods: Vec<_> = self.methods.iter().filter(|m| m.group == name).collect();
            methods.sort_by_key(|method| method.title().to_lowercase());
            (name, methods)
        })
    }

    /// The groups of all methods in the order in which they are listed. Methods whose script is broken may have no group.
    fn groups(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.methods.iter().map(|m| m.group.as_str()).collect();
        let place = |name: &str| GROUPS.iter().position(|group| *group == name).unwrap_or(GROUPS.len());
        names.sort_by_key(|name| (place(name), *name));
        names.dedup();
        names
    }

    /// The row of a method in the list: the one under its group rather than among the recently used ones. Unfolds the group.
    pub fn reveal_method(&mut self, name: &str) -> Option<usize> {
        let group = self.methods.iter().find(|m| m.name == name)?.group.clone();
        if self.method_filter.is_empty() && !self.method_list.is_recent(name) {
            self.method_list.fold(&group, false);
        }
        self.method_rows().iter().position(|row| matches!(row, MethodListRow::Method(m) if m.name == name))
    }
}

//! The layers of a model as a tree, split at the dots in their names.

use crate::script::summary::{LayerRow, parents};
use std::collections::HashSet;

/// The layers of a model as a tree with foldable groups. Shape arithmetic is hidden by default.
#[derive(Clone, Debug, Default)]
pub struct LayerTree {
    layers: Vec<LayerRow>,
    folded: HashSet<String>,
    /// Whether shape arithmetic is shown.
    all: bool,
    /// The layer in use, which is shown even if it is shape arithmetic.
    used: String,
    /// The text that filters the layers; empty if all are shown.
    text: String,
    rows: Vec<TreeRow>,
}

/// A visible row of the tree: a layer, or a group of layers.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeRow {
    /// Depth of the row in the tree; 0 for the top level.
    pub depth: usize,
    /// Last part of the name of the layer or group.
    pub label: String,
    /// Full name of the layer or group, such as `features.3`.
    pub name: String,
    /// Kind of the layer; empty for a group.
    pub kind: String,
    /// Output shape of the layer, or of the last layer in a group.
    pub shape: Vec<usize>,
    /// Number of parameters of the layer, or of all layers in a group.
    pub parameters: usize,
    /// Whether the group is unfolded; `None` for a layer.
    pub group: Option<bool>,
}

/// Trees with more layers than this start with all groups folded.
const LONG: usize = 60;

impl LayerTree {
    /// Builds the tree of a model's layers. `all` also shows shape arithmetic.
    pub fn new(layers: &[LayerRow], all: bool) -> Self {
        let mut tree = Self { layers: layers.to_vec(), all, ..Self::default() };
        if layers.iter().filter(|layer| tree.lists(layer)).count() > LONG {
            let groups = layers.iter().flat_map(|l| parents(&l.name)).map(str::to_owned);
            tree.folded = groups.collect();
        }
        tree.lay_out();
        tree
    }

    /// The visible rows, from top to bottom.
    pub fn rows(&self) -> &[TreeRow] {
        &self.rows
    }

    /// Shows only layers whose name, kind or shape contains `text`, with all groups unfolded. If `text` is empty, shows all
    /// layers and restores the folded groups.
    pub fn filter(&mut self, text: &str) {
        self.text = text.to_owned();
        self.lay_out();
    }

    /// Whether shape arithmetic is shown.
    pub fn all(&self) -> bool {
        self.all
    }

    /// Shows or hides shape arithmetic.
    pub fn show_all(&mut self, all: bool) {
        self.all = all;
        self.lay_out();
    }

    /// Number of layers hidden as shape arithmetic.
    pub fn hidden(&self) -> usize {
        if self.text.is_empty() { self.layers.iter().filter(|layer| !self.lists(layer)).count() } else { 0 }
    }

    /// Whether the tree includes a layer, possibly in a folded group.
    pub fn lists(&self, layer: &LayerRow) -> bool {
        self.all || !layer.shape_arithmetic || layer.name == self.used
    }

    /// Folds or unfolds the group with this name.
    pub fn fold(&mut self, name: &str, folded: bool) {
        match folded {
            true => self.folded.insert(name.to_owned()),
            false => self.folded.remove(name),
        };
        self.lay_out();
    }

    /// Sets the layer in use, unfolds the groups that contain it, and returns the index of its row, if any.
    pub fn reveal(&mut self, name: &str) -> Option<usize> {
        for group in parents(name) {
            self.folded.remove(group);
        }
        self.used = name.to_owned();
        self.lay_out();
        self.rows.iter().position(|r| r.name == name && r.group.is_none())
    }

    /// Whether a row is a folded group that contains the layer in use.
    pub fn holds_used(&self, row: &TreeRow) -> bool {
        row.group == Some(false) && parents(&self.used).any(|group| group == row.name)
    }

    fn lay_out(&mut self) {
        self.rows.clear();
        let filtered = !self.text.is_empty();
        let mut seen: HashSet<String> = HashSet::new();
        for layer in &self.layers {
            if !(if filtered { matches(layer, &self.text) } else { self.lists(layer) }) {
                continue;
            }
            for group in parents(&layer.name) {
                if seen.insert(group.to_owned()) && (filtered || !self.is_folded(group)) {
                    self.rows.push(self.group_row(group));
                }
            }
            if filtered || !self.is_folded(&layer.name) {
                self.rows.push(layer_row(layer));
            }
        }
    }

    /// Whether a layer or group is inside a folded group.
    fn is_folded(&self, name: &str) -> bool {
        parents(name).any(|group| self.folded.contains(group))
    }

    fn group_row(&self, group: &str) -> TreeRow {
        let inside = |l: &&LayerRow| l.name.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'));
        let last = self.layers.iter().rev().find(inside);
        TreeRow {
            depth: group.matches('.').count(),
            label: last_part(group),
            name: group.to_owned(),
            kind: String::new(),
            shape: last.map_or_else(Vec::new, |l| l.shape.clone()),
            parameters: self.layers.iter().filter(inside).map(|l| l.parameters).sum(),
            group: Some(!self.text.is_empty() || !self.folded.contains(group)),
        }
    }
}

/// Formats a shape: `[64, 112, 112]` as `64×112²`.
pub fn shape(sizes: &[usize]) -> String {
    match sizes {
        [c, h, w] if h == w => format!("{c}×{h}²"),
        [c, h, w] => format!("{c}×{h}×{w}"),
        other => other.iter().map(usize::to_string).collect::<Vec<_>>().join("×"),
    }
}

/// Formats a count compactly: `1234567` as `1.2M`.
pub fn short(count: usize) -> String {
    match count {
        0 => String::new(),
        1..=9_999 => count.to_string(),
        10_000..=999_999 => format!("{}k", count / 1000),
        _ => format!("{:.1}M", count as f64 / 1e6),
    }
}

fn layer_row(layer: &LayerRow) -> TreeRow {
    TreeRow {
        depth: layer.name.matches('.').count(),
        label: last_part(&layer.name),
        name: layer.name.clone(),
        kind: layer.kind.clone(),
        shape: layer.shape.clone(),
        parameters: layer.parameters,
        group: None,
    }
}

fn matches(layer: &LayerRow, text: &str) -> bool {
    let text = text.to_lowercase();
    [&layer.name, &layer.kind, &shape(&layer.shape)].iter().any(|s| s.to_lowercase().contains(&text))
}

fn last_part(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Vec<LayerRow> {
        let row = |name: &str, size, parameters| LayerRow {
            name: name.into(),
            kind: "conv".into(),
            shape: vec![8, size, size],
            parameters,
            shape_arithmetic: name.contains("shape"),
        };
        vec![row("stem", 32, 10), row("block.0.conv1", 16, 20), row("block.0.conv2", 16, 30), row("block.1", 8, 40)]
    }

    fn labels(tree: &LayerTree) -> Vec<String> {
        tree.rows().iter().map(|r| format!("{}{}", " ".repeat(r.depth), r.label)).collect()
    }

    #[test]
    fn dots_in_names_make_groups() {
        let tree = LayerTree::new(&layers(), false);
        assert_eq!(labels(&tree), ["stem", "block", " 0", "  conv1", "  conv2", " 1"]);
        assert_eq!((tree.rows()[1].parameters, shape(&tree.rows()[1].shape)), (90, "8×8²".into()));
    }

    #[test]
    fn a_folded_group_hides_its_layers_until_one_is_wanted() {
        let mut tree = LayerTree::new(&layers(), false);
        tree.fold("block", true);
        assert_eq!(labels(&tree), ["stem", "block"]);
        assert_eq!(tree.reveal("block.0.conv2"), Some(4));
    }

    #[test]
    fn shape_arithmetic_is_hidden_until_asked_for_or_in_use() {
        let mut all = layers();
        all.push(LayerRow { name: "block.1.reshape".into(), shape_arithmetic: true, ..all[3].clone() });
        all.push(LayerRow { name: "tail.reshape".into(), shape_arithmetic: true, ..all[3].clone() });
        let mut tree = LayerTree::new(&all, false);
        let short = labels(&tree);
        assert_eq!((short.last().unwrap().as_str(), tree.hidden()), (" 1", 2));
        tree.show_all(true);
        assert_eq!(
            (labels(&tree)[short.len()..].to_vec(), tree.hidden()),
            (vec![" 1".into(), "  reshape".into(), "tail".into(), " reshape".into()], 0)
        );
        tree.show_all(false);
        tree.filter("tail");
        assert_eq!(labels(&tree), ["tail", " reshape"], "the filter finds every layer");
        tree.filter("");
        assert_eq!((tree.reveal("tail.reshape"), tree.hidden()), (Some(7), 1));
    }

    #[test]
    fn the_filter_matches_names_and_shapes() {
        let mut tree = LayerTree::new(&layers(), false);
        tree.filter("conv2");
        assert_eq!(labels(&tree), ["block", " 0", "  conv2"]);
        tree.filter("32²");
        assert_eq!(labels(&tree), ["stem"]);
    }

    #[test]
    fn counts_are_short() {
        assert_eq!([short(0), short(950), short(12_345), short(25_600_000)], ["", "950", "12k", "25.6M"]);
    }
}

//! The layers of a model as a tree, split at the dots in their names.

use crate::script::summary::LayerRow;
use std::collections::HashSet;

/// The layers of a model as a tree whose groups can be folded.
#[derive(Clone, Debug, Default)]
pub struct LayerTree {
    layers: Vec<LayerRow>,
    folded: HashSet<String>,
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
    /// Builds the tree of a model's layers.
    pub fn new(layers: &[LayerRow]) -> Self {
        let mut tree = Self { layers: layers.to_vec(), ..Self::default() };
        if layers.len() > LONG {
            let groups = layers.iter().flat_map(|l| prefixes(&l.name)).map(str::to_owned);
            tree.folded = groups.collect();
        }
        tree.lay_out("");
        tree
    }

    /// The visible rows, from top to bottom.
    pub fn rows(&self) -> &[TreeRow] {
        &self.rows
    }

    /// Shows only layers whose name, kind or shape contains `text`, with all groups unfolded. If `text` is empty, shows all
    /// layers, with the groups folded as before.
    pub fn filter(&mut self, text: &str) {
        self.lay_out(text);
    }

    /// Folds or unfolds the group with a name.
    pub fn fold(&mut self, name: &str, folded: bool) {
        match folded {
            true => self.folded.insert(name.to_owned()),
            false => self.folded.remove(name),
        };
        self.lay_out("");
    }

    /// Unfolds the groups that contain a layer, and returns the index of the layer's row; `None` if there is no such layer.
    pub fn reveal(&mut self, name: &str) -> Option<usize> {
        for group in prefixes(name) {
            self.folded.remove(group);
        }
        self.lay_out("");
        self.rows.iter().position(|r| r.name == name)
    }

    fn lay_out(&mut self, text: &str) {
        self.rows.clear();
        let mut seen: HashSet<String> = HashSet::new();
        for layer in self.layers.iter().filter(|l| matches(l, text)) {
            for group in prefixes(&layer.name) {
                if seen.insert(group.to_owned()) && (!text.is_empty() || !self.hidden(group)) {
                    self.rows.push(self.group_row(group, text));
                }
            }
            if !text.is_empty() || !self.hidden(&layer.name) {
                self.rows.push(layer_row(layer));
            }
        }
    }

    fn hidden(&self, name: &str) -> bool {
        prefixes(name).any(|group| self.folded.contains(group))
    }

    fn group_row(&self, group: &str, text: &str) -> TreeRow {
        let inside = |l: &&LayerRow| l.name.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'));
        let last = self.layers.iter().rev().find(inside);
        TreeRow {
            depth: group.matches('.').count(),
            label: last_part(group),
            name: group.to_owned(),
            kind: String::new(),
            shape: last.map_or_else(Vec::new, |l| l.shape.clone()),
            parameters: self.layers.iter().filter(inside).map(|l| l.parameters).sum(),
            group: Some(!text.is_empty() || !self.folded.contains(group)),
        }
    }
}

/// Formats a shape, such as `[64, 112, 112]` as `64×112²`.
pub fn shape(sizes: &[usize]) -> String {
    match sizes {
        [c, h, w] if h == w => format!("{c}×{h}²"),
        [c, h, w] => format!("{c}×{h}×{w}"),
        other => other.iter().map(usize::to_string).collect::<Vec<_>>().join("×"),
    }
}

/// Formats a count briefly, such as `1234567` as `1.2M`.
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

/// Names of the groups that contain a layer: `a` and `a.b` for `a.b.c`.
pub(super) fn prefixes(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(at, _)| &name[..at])
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
        };
        vec![row("stem", 32, 10), row("block.0.conv1", 16, 20), row("block.0.conv2", 16, 30), row("block.1", 8, 40)]
    }

    fn labels(tree: &LayerTree) -> Vec<String> {
        tree.rows().iter().map(|r| format!("{}{}", " ".repeat(r.depth), r.label)).collect()
    }

    #[test]
    fn dots_in_names_make_groups() {
        let tree = LayerTree::new(&layers());
        assert_eq!(labels(&tree), ["stem", "block", " 0", "  conv1", "  conv2", " 1"]);
        assert_eq!((tree.rows()[1].parameters, shape(&tree.rows()[1].shape)), (90, "8×8²".into()));
    }

    #[test]
    fn a_folded_group_hides_its_layers_until_one_is_wanted() {
        let mut tree = LayerTree::new(&layers());
        tree.fold("block", true);
        assert_eq!(labels(&tree), ["stem", "block"]);
        assert_eq!(tree.reveal("block.0.conv2"), Some(4));
    }

    #[test]
    fn the_filter_matches_names_and_shapes() {
        let mut tree = LayerTree::new(&layers());
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

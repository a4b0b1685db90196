//! The shapes of the tensors in a weight file, found by the ends of their names, because any prefix may stand before them.

use super::weights::{Archive, name_starts, unwrapped};
use std::collections::HashMap;

/// The shapes of all tensors in a weight file.
#[derive(Clone, Debug, Default)]
pub struct TensorShapes {
    /// For each name without a prefix, the lengths of the prefixes it occurs with and the shapes, shortest prefix first.
    shapes: HashMap<String, Vec<(usize, Vec<usize>)>>,
}

impl TensorShapes {
    /// The shapes in all state dicts of a file; names count with and without wrapper segments such as `module.`.
    pub fn of(archive: &Archive) -> Self {
        let mut all = Self::default();
        for (name, entry) in archive.dicts.iter().flat_map(|dict| &dict.tensors) {
            all.add(name, &entry.shape);
            let plain = unwrapped(name);
            if plain != *name {
                all.add(&plain, &entry.shape);
            }
        }
        all.shapes.values_mut().for_each(|found| found.sort_by_key(|(prefix, _)| *prefix));
        all
    }

    fn add(&mut self, name: &str, shape: &[usize]) {
        for at in name_starts(name, usize::MAX) {
            let found = self.shapes.entry(name[at..].into()).or_default();
            if !found.iter().any(|(_, known)| known == shape) {
                found.push((at, shape.to_vec()));
            }
        }
    }

    /// The different shapes of tensors with this name, under any prefix, shortest prefix first.
    pub fn of_name(&self, name: &str) -> impl Iterator<Item = &[usize]> {
        self.shapes.get(name).into_iter().flatten().map(|(_, shape)| shape.as_slice())
    }
}

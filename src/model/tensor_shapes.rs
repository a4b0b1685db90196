//! The shapes of the tensors in a weight file. Tensors are looked up by the end of their names, because names may have any prefix.

use super::weights::{Archive, name_starts, unwrapped};
use std::collections::HashMap;

/// Maximum length in bytes of names that can be looked up without their prefix. Longer ones are stored only in full: all suffixes
/// of a name from a damaged file would take memory proportional to the square of its length.
const LONGEST: usize = 256;

/// The shapes of all tensors in a weight file.
#[derive(Clone, Debug, Default)]
pub struct TensorShapes {
    /// For each name without its prefix, the matching tensors: length of the prefix, and shape. The shortest prefix comes first.
    shapes: HashMap<String, Vec<(usize, Vec<usize>)>>,
}

impl TensorShapes {
    /// The shapes in all state dicts of a file; names are stored with and without wrapper segments such as `module.`.
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
        let whole = (name.len() > LONGEST).then_some(0);
        for at in whole.into_iter().chain(name_starts(name, LONGEST)) {
            let found = self.shapes.entry(name[at..].into()).or_default();
            if !found.iter().any(|(_, known)| known == shape) {
                found.push((at, shape.to_vec()));
            }
        }
    }

    /// The distinct shapes of the tensors called `name` under any prefix, starting with the shortest prefix.
    pub fn of_name(&self, name: &str) -> impl Iterator<Item = &[usize]> {
        self.shapes.get(name).into_iter().flatten().map(|(_, shape)| shape.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(name: &str) -> TensorShapes {
        let mut shapes = TensorShapes::default();
        shapes.add(name, &[2, 3]);
        shapes
    }

    #[test]
    fn a_name_is_found_under_any_prefix() {
        for end in ["model.fc.weight", "fc.weight", "weight"] {
            assert_eq!(shapes("model.fc.weight").of_name(end).collect::<Vec<_>>(), [[2, 3]], "{end}");
        }
        assert_eq!(shapes("model.fc.weight").of_name("c.weight").count(), 0);
    }

    #[test]
    fn a_long_name_is_found_in_full_and_by_its_short_suffixes() {
        let name = "a.".repeat(500_000) + "fc.weight";
        let shapes = shapes(&name);
        assert!(shapes.of_name(&name).count() == 1 && shapes.of_name("fc.weight").count() == 1);
        assert!(shapes.shapes.keys().map(String::len).sum::<usize>() < name.len() + LONGEST * LONGEST);
    }
}

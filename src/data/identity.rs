//! Finds the index of a picture within a data set by how the picture was opened rather than by its pixels.

use super::dataset::Dataset;
use super::source::{numbered, open};
use std::path::Path;

impl Dataset {
    /// The index of the picture opened as `opened_as`, a file or `cifar10:FILE[17]`; `None` if it is not in this data set. A copy
    /// of a file counts as a different picture.
    pub fn number_of(&self, opened_as: &str) -> Option<usize> {
        let Some((spec, number)) = numbered(opened_as) else { return self.number_of_file(Path::new(opened_as)) };
        if spec == self.name {
            return Some(number).filter(|n| *n < self.len());
        }
        let other = open(spec).ok()?;
        match other.path(number) {
            Some(file) => self.number_of_file(file),
            None => Some(number).filter(|_| other.fingerprint().ok() == self.fingerprint().ok()),
        }
    }

    fn number_of_file(&self, file: &Path) -> Option<usize> {
        let file = file.canonicalize().ok()?;
        (0..self.len()).find(|&i| self.path(i).and_then(|own| own.canonicalize().ok()).as_ref() == Some(&file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_identified_by_its_index_however_its_data_set_is_spelled() {
        let set = open("made:shapes").unwrap();
        assert_eq!(set.number_of("made:shapes[7]"), Some(7));
        assert_eq!(set.number_of("made:shapes#test[7]"), Some(7));
        assert_eq!(set.number_of("made:shapes#train[7]"), None);
        assert_eq!(set.number_of("made:digits[7]"), None);
        assert_eq!(set.number_of("made:shapes[100000]"), None);
    }

    #[test]
    fn a_file_is_identified_by_its_path_and_a_copy_is_another_picture() {
        let folder = tempfile::tempdir().unwrap();
        let save = |name: &str| image::GrayImage::new(3, 2).save(folder.path().join(name)).unwrap();
        ["a.png", "b.png", "c.png"].into_iter().for_each(save);
        let set = open(&format!("folder:{}", folder.path().display())).unwrap();
        let at = |text: String| set.number_of(&text);
        assert_eq!(at(folder.path().join("b.png").display().to_string()), Some(1));
        assert_eq!(at(folder.path().join(".").join("c.png").display().to_string()), Some(2));
        assert_eq!(at(format!("folder:{}/./[2]", folder.path().display())), Some(2));
        let other = tempfile::tempdir().unwrap();
        std::fs::copy(folder.path().join("b.png"), other.path().join("b.png")).unwrap();
        assert_eq!(at(other.path().join("b.png").display().to_string()), None);
    }
}

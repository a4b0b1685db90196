//! The gallery: results of several methods for several classes, and what is marked for the next one.

use crate::render::Figure;
use crate::worker::message::GalleryCell;

/// What is marked for the gallery, and the gallery on the screen.
#[derive(Debug, Default)]
pub struct Gallery {
    /// Names of the marked methods, in the order in which they were marked.
    pub methods: Vec<String>,
    /// Indices of the marked classes, in the order in which they were marked.
    pub classes: Vec<usize>,
    /// The gallery on the screen.
    pub shown: Option<ShownGallery>,
}

/// A gallery on the screen.
#[derive(Debug)]
pub struct ShownGallery {
    /// Titles of the methods, one for each column.
    pub methods: Vec<String>,
    /// Names of the classes, one for each row.
    pub classes: Vec<String>,
    /// The results, row by row; `None` until they arrive.
    pub cells: Vec<Option<GalleryCell>>,
    /// ID of the gallery's first figure; those of the others follow.
    pub id: u64,
}

impl ShownGallery {
    /// A gallery without results.
    pub fn new(methods: Vec<String>, classes: Vec<String>, id: u64) -> Self {
        let cells = vec![None; methods.len() * classes.len()];
        Self { methods, classes, cells, id }
    }

    /// The number of results that have arrived.
    pub fn complete(&self) -> usize {
        self.cells.iter().flatten().count()
    }

    /// What the result at `index` shows, such as `Saliency → star`.
    pub fn caption(&self, index: usize) -> String {
        let columns = self.methods.len().max(1);
        let name = |names: &[String], at: usize| names.get(at).cloned().unwrap_or_default();
        format!("{} → {}", name(&self.methods, index % columns), name(&self.classes, index / columns))
    }

    /// The main figure of the result at `index`; `None` if it has not arrived or failed.
    pub fn figure(&self, index: usize) -> Option<&Figure> {
        match self.cells.get(index)? {
            Some(GalleryCell::Figures(figures)) => figures.iter().find(|figure| !figure.is_summary()),
            _ => None,
        }
    }
}

/// Marks an item, or unmarks it if it was marked.
pub fn toggle<T: PartialEq>(marked: &mut Vec<T>, item: T) {
    match marked.iter().position(|other| *other == item) {
        Some(at) => drop(marked.remove(at)),
        None => marked.push(item),
    }
}

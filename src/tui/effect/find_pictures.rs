//! Finds picture files and reads their thumbnails.

use super::editor::home;
use super::find_files;
use crate::data::formats::folder::is_picture;
use crate::data::{Dataset, Picture, source};
use crate::panics::caught;
use crate::sync::LockUnpoisoned;
use crate::tui::event::Event;
use anyhow::Result;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Maximum depth of the subfolders to search.
const DEPTH: usize = 3;
/// Longer side of a thumbnail in pixels.
const SIDE: u32 = 192;

/// Finds picture files in the working directory and `folder`, outer folders first.
pub fn find(folder: Option<&Path>) -> Vec<String> {
    let folders = std::iter::once(Path::new(".")).chain(folder).map(|folder| (folder, DEPTH));
    let found = find_files::find(folders, |name| is_picture(Path::new(name)));
    found.iter().filter_map(|path| path.to_str().map(String::from)).collect()
}

/// Reads the thumbnail of a picture; the event contains `None` if the picture cannot be read.
pub fn preview(name: String) -> Event {
    let small = || {
        let text = if name.starts_with("~/") { home(&name).to_string_lossy().into_owned() } else { name.clone() };
        picture(&text).and_then(|picture| picture.thumbnail(SIDE)).ok().map(Arc::new)
    };
    let image = caught(small).ok().flatten();
    Event::Preview(name, image)
}

/// The most recently used data set and its specification, cached because opening a data set is slower than reading a picture from it.
static LAST: Mutex<Option<(String, Dataset)>> = Mutex::new(None);

fn picture(text: &str) -> Result<Picture> {
    let Some((spec, number)) = source::numbered(text) else { return Ok(source::picture(text)?.1) };
    let mut last = LAST.lock_unpoisoned();
    let known = match last.take().filter(|(name, _)| name == spec) {
        Some(known) => known,
        None => (spec.into(), source::open(spec)?),
    };
    last.insert(known).1.picture(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_are_found_including_those_in_subfolders() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        for name in ["b.PNG", "notes.txt", ".hidden.png", "sub/a.jpg"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = find(Some(folder.path()));
        let here: Vec<_> = found.iter().filter_map(|f| Path::new(f).strip_prefix(folder.path()).ok()).collect();
        assert_eq!(here, [Path::new("b.PNG"), Path::new("sub/a.jpg")]);
    }

    #[test]
    fn a_picture_has_a_thumbnail_and_a_damaged_one_has_none() {
        let Event::Preview(_, Some(image)) = preview("made:welcome[0]".into()) else {
            panic!("there is a welcome picture")
        };
        assert!(image.width().max(image.height()) <= SIDE);
        assert!(matches!(preview("no such file.png".into()), Event::Preview(_, None)));
        let folder = tempfile::tempdir().unwrap();
        for length in [1, 5, 767] {
            let file = folder.path().join(format!("{length}.png"));
            std::fs::write(&file, crate::data::damaged::png_with_palette(length)).unwrap();
            assert!(matches!(preview(file.display().to_string()), Event::Preview(_, None)), "{length}");
        }
    }
}

//! Where the picture and the command of a session came from, for `result.json`.

use crate::data::picture::MAX_BYTES;
use crate::data::source::numbered;
use crate::data::{read_whole, sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the picture of a session came from.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureOrigin {
    /// The name by which the picture was opened, such as `photos/cat.png` or `made:shapes[3]`.
    pub source: Arc<str>,
    /// The absolute path of the picture's file; `None` for a picture of a data set.
    pub path: Option<PathBuf>,
    /// Height and width before preprocessing, if known.
    pub size: Option<[usize; 2]>,
    /// SHA-256 of the picture's file, in hexadecimal; `None` for a picture of a data set.
    pub sha256: Option<String>,
}

impl PictureOrigin {
    /// The origin of a picture opened as `source`. A picture file is read again to compute its hash.
    pub fn new(source: &str, size: Option<[usize; 2]>) -> Self {
        let file = Some(Path::new(source)).filter(|path| numbered(source).is_none() && path.is_file());
        // A file that has just been moved or cannot be read again has no hash.
        let hash = file.and_then(|path| Some(sha256(&read_whole(path, MAX_BYTES).ok()?)));
        Self { source: source.into(), path: file.and_then(|path| std::path::absolute(path).ok()), size, sha256: hash }
    }
}

/// A command line that computes a session's result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommandLine {
    /// The program's name and its arguments.
    pub words: Vec<String>,
    /// The folder to which relative paths in the arguments refer.
    pub folder: Option<PathBuf>,
}

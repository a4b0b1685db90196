//! What a file is chosen for, and which files fit by their names.

use crate::data::formats::folder::is_picture;
use crate::data::source;
use crate::script::architecture::open_model::{is_graph_file, is_weight_file};
use std::path::Path;

/// What a file is chosen for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileGoal {
    /// The data set.
    Data,
    /// The weights of the network.
    Weights,
    /// The picture.
    Picture,
    /// The parameter with this name, which is an array.
    Array(String),
    /// The parameter with this name, which is a list of pictures.
    Pictures(String),
}

impl FileGoal {
    /// Title of the file browser.
    pub fn title(&self) -> &str {
        match self {
            Self::Data => "data set",
            Self::Weights => "weights",
            Self::Picture => "picture",
            Self::Array(name) | Self::Pictures(name) => name,
        }
    }

    /// Whether the name of a file is that of a suitable file.
    pub fn fits(&self, file: &Path) -> bool {
        let name = file.to_string_lossy();
        match self {
            Self::Data => source::looks_like(file).is_some(),
            Self::Weights => is_weight_file(&name) || is_graph_file(&name),
            Self::Picture | Self::Pictures(_) => is_picture(file),
            Self::Array(_) => file.extension().is_some_and(|ending| ending == "npy"),
        }
    }
}

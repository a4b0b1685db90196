//! Values of a network's card that its architecture does not set: from flags, from card files next to the weights, and from the
//! model file.
//!
//! A [`CardValues`] holds the values of one source. [`Card::with_values`](crate::model::Card::with_values) applies sources in order
//! of increasing precedence: the model file, torchvision's table, Hugging Face's files, timm's file, `NAME.card.json`, flags.

mod source;
mod values;
mod entry;
mod names;
mod literal;
mod own;
mod timm;
mod torchvision;
mod hugging_face;
mod metadata;
mod beside;
mod apply;
mod graph_card;
mod describe;

pub use beside::{beside, path_beside, timm_architecture};
pub use describe::{CardRow, document, rows};
pub use graph_card::of_graph;
pub use metadata::of_metadata;
pub use names::of_file as names_of_file;
pub use own::{json as own_json, of_json as of_own_json};
pub use source::{Source, Sources};
pub use torchvision::of_torchvision;
pub use values::{CardValues, ChannelOrder, Crop, Given, InputSize, PerChannel};

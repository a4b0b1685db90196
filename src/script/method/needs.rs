//! What a method needs besides a network and a picture, declared by `needs:` in `PLUGIN`.

use super::data::Data;
use crate::model::Model;
use anyhow::{Result, bail};

/// Something that a method needs besides a network and a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A data set.
    Data,
    /// A network with attention.
    Attention,
    /// A network whose pictures have a single row, such as waveforms.
    Waveform,
}

/// The needs that a script can declare, by name.
const NEEDS: [(&str, Need); 3] = [("data", Need::Data), ("attention", Need::Attention), ("waveform", Need::Waveform)];

impl Need {
    /// The need with this name. Errors if there is none, listing all names.
    pub fn named(name: &str) -> Result<Self> {
        match NEEDS.iter().find(|(known, _)| *known == name) {
            Some((_, need)) => Ok(*need),
            None => {
                let names: Vec<_> = NEEDS.iter().map(|(known, _)| *known).collect();
                bail!("PLUGIN's `needs` has an unknown entry \"{name}\"; expected some of {}", names.join(", "))
            }
        }
    }

    /// Why a method with these needs cannot run on this network and data set; `None` if it can.
    pub fn first_unmet(needs: &[Self], model: &Model, data: &Data) -> Option<&'static str> {
        needs.iter().find_map(|need| need.unmet(model, data))
    }

    /// Why a method with this need cannot run on this network and data set; `None` if it can.
    pub fn unmet(self, model: &Model, data: &Data) -> Option<&'static str> {
        match self {
            Self::Data => data.name().is_none().then_some("needs a data set"),
            Self::Attention => model.graph.attention().is_empty().then_some("needs attention"),
            Self::Waveform => (model.card.input[..2] != [1, 1]).then_some("needs waveforms"),
        }
    }
}

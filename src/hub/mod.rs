//! Networks on hubs, such as `hf:timm/resnet50.a1_in1k` or `torchvision:resnet50`. Their files come from the caches shared with the
//! Python libraries, or are downloaded into them.

mod name;
mod settings;
mod access;
mod reply;
#[cfg(feature = "hub")]
mod http;
#[cfg(not(feature = "hub"))]
#[path = "no_http.rs"]
mod http;
mod download;
mod repository;
mod hugging_face;
mod torchvision;
mod timm;
#[cfg(test)]
#[cfg(feature = "hub")]
#[path = "../../tests/common/file_server.rs"]
mod file_server;

pub use access::{Access, Found, Transfer};
pub use name::{HubName, is_hub_name};
pub use torchvision::{TorchvisionWeights, torchvision_weights};

use anyhow::Result;
use settings::Settings;

/// Finds the files of a network in the caches and downloads the missing ones.
///
/// Errors if a file is missing and downloads are not allowed or fail. The message suggests which file to copy, and where to.
pub fn find(name: &HubName, access: &Access) -> Result<Found> {
    let settings = Settings::of_process()?;
    match name {
        HubName::HuggingFace(name) => hugging_face::find(name, &settings, access),
        HubName::Timm(name) => hugging_face::find(&timm::cached(name, &settings)?, &settings, access),
        HubName::Torchvision(name) => torchvision::find(name, &settings, access),
    }
}

//! Pictures in the terminal: encoding, placing on the screen, and the protocols that send them.

pub mod blocks;
pub mod driver;
mod encode;
mod fit;
mod png;
mod sample;
mod stage;
mod stream;

pub use encode::{EncodeJob, EncodedPicture, start};
pub use fit::{fit, ring};
pub use stage::{PictureStage, Placement, WantedPictures};
pub use stream::id as stream_id;

//! Running a network: forward, with interventions, with windows of the picture covered, and what a run leaves for the way
//! back.

mod absorbed;
mod batch_statistics;
mod derived_weights;
mod finite;
mod fused;
mod intervention;
mod occlusion;
mod pixel_window;
mod run;
mod site;
mod trace;

pub use absorbed::Absorbed;
pub use batch_statistics::BatchStatistics;
pub use finite::ScoresNotFinite;
pub use fused::{Gradients, Masks, Run, Wanted};
pub use intervention::Edit;
pub use pixel_window::PixelWindow;
pub use run::MAX_BATCH_ELEMENTS;
pub use site::Site;
pub use trace::Trace;

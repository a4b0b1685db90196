//! Execution of a network: forward passes, interventions, occlusion, and the traces that backward passes read.

mod absorbed;
mod batch_statistics;
mod derived_weights;
mod finite;
mod fused;
mod intervention;
mod occlusion;
mod pixel_window;
mod run;
mod run_options;
mod layer_context;
mod trace;

pub use absorbed::Absorbed;
pub use batch_statistics::BatchStatistics;
pub use finite::ScoresNotFinite;
pub use fused::{FusedRun, GradientTargets, Gradients, Masks};
pub use intervention::Intervention;
pub use layer_context::LayerContext;
pub use pixel_window::PixelWindow;
pub use run::MAX_BATCH_ELEMENTS;
pub use run_options::{Precision, RunOptions};
pub use trace::Trace;

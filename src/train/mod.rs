//! Training: from a network, a data set and options to weights, one batch a step.

mod init;
mod optimizer;
mod schedule;
mod batch;
mod adversary;
mod options;
mod dropout;
mod perceptual;
mod fingerprint;
mod trainer;
mod checkpoint;
mod training_loop;

pub use adversary::Adversary;
pub use checkpoint::{labels, write_weights};
pub use init::Init;
pub use optimizer::Optimizer;
pub use options::Options;
pub use perceptual::{Perceptual, Weights};
pub use schedule::Schedule;
pub use trainer::{Report, Trainer};
pub use training_loop::{Course, News};

//! Training: turns a network, a data set and options into weights, one batch per step.

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
pub use options::TrainingOptions;
pub use perceptual::{LossWeights, Perceptual};
pub use schedule::Schedule;
pub use trainer::{StepReport, Trainer};
pub use training_loop::{TrainEvent, TrainingLoop};

//! The device and precision with which networks run.

use crate::backend::Accumulation;
use crate::graph::Graph;
use anyhow::{Error, Result, bail};
use candle_core::{DType, Device};
use std::fmt;
use std::str::FromStr;

/// The device and precision with which networks run. A network [placed](Graph::placed) with these options stores them implicitly: the
/// weights determine the device and dtype, and the convolutions determine the accumulation.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The device of weights, pictures and tensors created by scripts.
    pub device: Device,
    /// How weights are stored and results are computed.
    pub precision: Precision,
}

/// How weights are stored and results are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precision {
    /// The dtype of the weights. Activations and sums are in f32 even if weights are stored in bf16 or f16.
    pub storage: DType,
    /// How convolutions and matrix products compute their sums.
    pub accumulation: Accumulation,
}

impl Default for RunOptions {
    /// The CPU, in f32 with direct convolution.
    fn default() -> Self {
        Self { device: Device::Cpu, precision: Precision { storage: DType::F32, accumulation: Accumulation::Direct } }
    }
}

/// The precisions that can be selected by name.
const NAMES: [(&str, Precision); 5] = [
    ("f32", Precision { storage: DType::F32, accumulation: Accumulation::Winograd }),
    ("f64", Precision { storage: DType::F64, accumulation: Accumulation::Direct }),
    ("tf32", Precision { storage: DType::F32, accumulation: Accumulation::Tf32 }),
    ("bf16", Precision { storage: DType::BF16, accumulation: Accumulation::Bf16 }),
    ("f16", Precision { storage: DType::F16, accumulation: Accumulation::Winograd }),
];

impl FromStr for Precision {
    type Err = Error;

    /// Parses `f32`, `f64`, `tf32`, `bf16` or `f16`.
    fn from_str(text: &str) -> Result<Self> {
        match NAMES.iter().find(|(name, _)| *name == text) {
            Some((_, precision)) => Ok(*precision),
            None => bail!("unknown precision; expected one of {}", NAMES.map(|(name, _)| name).join(", ")),
        }
    }
}

impl fmt::Display for Precision {
    /// The name by which users select the precision.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match (self.storage, self.accumulation) {
            (DType::F32, Accumulation::Tf32) => "tf32",
            (storage, _) => storage.as_str(),
        })
    }
}

impl Graph {
    /// The same network with its weights on the given device, in the given precision.
    pub fn placed(&self, options: &RunOptions) -> Result<Self> {
        let Precision { storage, accumulation } = options.precision;
        self.with_accumulation(accumulation).to(storage, &options.device)
    }

    /// The precision in which the network runs.
    pub fn precision(&self) -> Precision {
        Precision { storage: self.storage(), accumulation: self.accumulation() }
    }
}

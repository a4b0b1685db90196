//! `--device`, `--precision` and `--exact`: the device and precision of computations.

use super::args::HostArgs;
use super::usage::usage;
use crate::backend::{self, Accumulation};
use crate::exec::{Precision, RunOptions};
use anyhow::{Context, Result, anyhow, ensure};
use candle_core::Device;

/// Opens the device and parses the precision given by the arguments.
pub fn run_options(args: &HostArgs) -> Result<RunOptions> {
    let device = device(&args.device)?;
    let refused = |why: anyhow::Error| usage(why.context(format!("--precision {}", args.precision)));
    let mut precision: Precision = args.precision.parse().map_err(refused)?;
    if precision.accumulation == Accumulation::Tf32 {
        let fits = || -> Result<()> {
            ensure!(device.is_cuda(), "only CUDA devices support tf32; add --device cuda:0, or use f32");
            ensure!(!args.exact, "tf32 rounds products, which --exact forbids; omit one of the two options");
            Ok(())
        };
        fits().map_err(refused)?;
    }
    if args.exact {
        precision.accumulation = Accumulation::Direct;
    }
    Ok(RunOptions { device, precision })
}

/// Opens the device with the given name, such as `cpu` or `cuda:0`.
pub fn device(name: &str) -> Result<Device> {
    let opened = match name.split_once(':').unwrap_or((name, "0")) {
        ("cpu", _) if name == "cpu" => return Ok(Device::Cpu),
        ("cuda", number) => {
            let number = number.parse().map_err(|_| unknown(name))?;
            built(name, "cuda", cfg!(feature = "cuda"))?;
            Device::new_cuda(number)
        }
        ("metal", number) => {
            let number = number.parse().map_err(|_| unknown(name))?;
            built(name, "metal", cfg!(feature = "metal"))?;
            Device::new_metal(number)
        }
        _ => return Err(unknown(name)),
    };
    let device = opened.with_context(|| format!("--device {name}: cannot open the device"))?;
    backend::keep_freed_memory_of(&device);
    Ok(device)
}

fn unknown(name: &str) -> anyhow::Error {
    usage(anyhow!("unknown device \"{name}\"; expected cpu, cuda:0 (or another index) or metal"))
}

fn built(name: &str, feature: &str, has: bool) -> Result<()> {
    let lacks = || {
        anyhow!("--device {name}: not supported by this build; build with `cargo build --release --features {feature}`")
    };
    if has { Ok(()) } else { Err(usage(lacks())) }
}

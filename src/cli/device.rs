//! `--device`: the device that networks run on.

use super::usage::usage;
use crate::backend;
use crate::tensor::set_device;
use anyhow::{Context, Result, anyhow};
use candle_core::Device;

/// Opens the device with the given name, such as `cpu` or `cuda:0`, and makes it the default for new tensors.
pub fn choose(name: &str) -> Result<()> {
    let opened = match name.split_once(':').unwrap_or((name, "0")) {
        ("cpu", _) if name == "cpu" => return Ok(()),
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
    let device = opened.with_context(|| format!("--device {name}: cannot open it"))?;
    backend::keep_freed_memory_of(&device);
    set_device(device);
    Ok(())
}

fn unknown(name: &str) -> anyhow::Error {
    usage(anyhow!("no device \"{name}\"; expected cpu, cuda:0 (or another index) or metal"))
}

fn built(name: &str, feature: &str, has: bool) -> Result<()> {
    let lacks =
        || anyhow!("--device {name}: missing from this build; build with `cargo build --release --features {feature}`");
    if has { Ok(()) } else { Err(usage(lacks())) }
}

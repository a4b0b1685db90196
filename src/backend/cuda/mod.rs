//! The GPU kernels: cuDNN's convolutions, and gradscope's elementwise and pooling kernels, which are compiled on first use.
//!
//! The kernels support only f32. Everything else is computed by [`super::portable`], with candle's operations.

mod conv;
mod elementwise;
mod pool;

pub use conv::{conv2d, conv2d_input_vjp, conv2d_weight_vjp};
pub use elementwise::{batch_norm, channel_affine, relu, relu_vjp};
pub use pool::{max_pool2d, max_pool2d_vjp};

use anyhow::Result;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaStream, CudaView, LaunchArgs, LaunchConfig,
};
use candle_core::cuda_backend::cudarc::nvrtc::compile_ptx;
use candle_core::cuda_backend::{CudaDevice, CudaStorage, WrapErr};
use candle_core::{DType, Layout, Tensor};
use std::sync::{Arc, OnceLock};

const KERNELS: &str = include_str!("kernels.cu");
/// Maximum number of blocks per launch. Larger inputs have several elements per thread.
const BLOCKS: u32 = 16 * 1024;
const THREADS: u32 = 256;

/// Whether the kernels of this module support a tensor.
pub fn serves(x: &Tensor) -> bool {
    x.device().is_cuda() && x.dtype() == DType::F32 && x.elem_count() > 0 && u32::try_from(x.elem_count()).is_ok()
}

/// A kernel compiled for a device.
struct Kernel {
    function: CudaFunction,
    stream: Arc<CudaStream>,
}

impl Kernel {
    fn builder(&self) -> LaunchArgs<'_> {
        self.stream.launch_builder(&self.function)
    }
}

fn kernel(device: &CudaDevice, name: &str) -> candle_core::Result<Kernel> {
    static COMPILED: OnceLock<String> = OnceLock::new();
    let ptx = match COMPILED.get() {
        Some(ptx) => ptx,
        None => {
            let ptx = compile_ptx(KERNELS).w()?.to_src();
            COMPILED.get_or_init(|| ptx)
        }
    };
    let function = device.get_or_load_custom_func(name, "gradscope", ptx)?.into_cuda_function();
    Ok(Kernel { function, stream: device.cuda_stream() })
}

/// A launch with one thread per element, up to `BLOCKS` blocks.
fn threads(count: usize) -> LaunchConfig {
    let blocks = (count as u32).div_ceil(THREADS).clamp(1, BLOCKS);
    LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 }
}

/// The elements of a contiguous tensor on a GPU.
fn view<'a>(storage: &'a CudaStorage, layout: &Layout) -> candle_core::Result<CudaView<'a, f32>> {
    let all: &CudaSlice<f32> = storage.as_cuda_slice()?;
    Ok(all.slice(layout.start_offset()..layout.start_offset() + layout.shape().elem_count()))
}

/// The error for an operation `name` called on a device other than a GPU.
fn elsewhere<O>(name: &str) -> candle_core::Result<O> {
    candle_core::bail!("\"{name}\" runs only on a GPU")
}

/// Copies tensors that are not contiguous to row-major order.
fn contiguous<const N: usize>(tensors: [&Tensor; N]) -> Result<[Tensor; N]> {
    let all = tensors.iter().map(|t| Ok(t.contiguous()?)).collect::<Result<Vec<_>>>()?;
    all.try_into().map_err(|_| anyhow::anyhow!("copying does not change the number of tensors"))
}

//! Elementwise passes on a GPU.

use super::{contiguous, elsewhere, kernel, threads, view};
use anyhow::{Result, ensure};
use candle_core::cuda_backend::cudarc::driver::PushKernelArg;
use candle_core::cuda_backend::{CudaStorage, WrapErr};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, InplaceOp2, Layout, Shape, Storage, Tensor};

struct Relu;
struct ReluVjp;
struct Affine;
struct AddBias;

/// Batch norm with given statistics, or its VJP, which does not depend on the mean and the shift.
struct BatchNorm {
    epsilon: f64,
    /// Shift β and mean μ; `None` for the VJP.
    moved: Option<(Tensor, Tensor)>,
}

/// `max(0, x)`, elementwise. Propagates NaN.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    Ok(x.contiguous()?.apply_op1_no_bwd(&Relu)?)
}

/// The VJP of [`relu`]: `dy` where `x` is positive, else 0.
pub fn relu_vjp(dy: &Tensor, x: &Tensor) -> Result<Tensor> {
    ensure!(dy.dims() == x.dims(), "shapes {:?} and {:?} differ", dy.dims(), x.dims());
    let [dy, x] = contiguous([dy, x])?;
    Ok(dy.apply_op2_no_bwd(&x, &ReluVjp)?)
}

/// `scale[c] · x + shift[c]` for each channel `c` of `(N, C, …)`.
pub fn channel_affine(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let [x, scale, shift] = contiguous([x, scale, shift])?;
    Ok(x.apply_op3_no_bwd(&scale, &shift, &Affine)?)
}

/// `γ (x − μ) / √(σ² + ε) + β` for each channel of `(N, C, …)`. `moved` holds β and μ; `None` means 0 for both.
pub fn batch_norm(
    x: &Tensor,
    gamma: &Tensor,
    variance: &Tensor,
    epsilon: f64,
    moved: Option<(&Tensor, &Tensor)>,
) -> Result<Tensor> {
    let [x, gamma, variance] = contiguous([x, gamma, variance])?;
    let moved = moved.map(|(beta, mean)| anyhow::Ok((beta.contiguous()?, mean.contiguous()?))).transpose()?;
    Ok(x.apply_op3_no_bwd(&gamma, &variance, &BatchNorm { epsilon, moved })?)
}

/// Adds `b[c]` to each channel `c` of `(N, C, …)` in place; the storage of `y` must not be shared.
pub(super) fn add_bias(y: &Tensor, b: &Tensor) -> Result<()> {
    Ok(y.inplace_op2(&b.contiguous()?, &AddBias)?)
}

impl InplaceOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add_bias"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> candle_core::Result<()> {
        elsewhere("add_bias")
    }

    fn cuda_fwd(
        &self,
        y: &mut CudaStorage,
        y_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> candle_core::Result<()> {
        let shape = y_layout.shape();
        let count = shape.elem_count();
        let function = kernel(&y.device, "add_bias")?;
        let (y, b) = (view(y, y_layout)?, view(b, b_layout)?);
        let size = shape.dims()[2..].iter().product::<usize>() as u32;
        let (channels, n) = (shape.dims()[1] as u32, count as u32);
        // SAFETY: `y` has `count` elements, which are written only by this call, and the bias has one element per channel.
        unsafe {
            function.builder().arg(&y).arg(&b).arg(&size).arg(&channels).arg(&n).launch(threads(count)).w()?;
        }
        Ok(())
    }
}

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        elsewhere("relu")
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> candle_core::Result<(CudaStorage, Shape)> {
        let (device, count) = (&x.device, layout.shape().elem_count());
        let function = kernel(device, "relu")?;
        let (x, n) = (view(x, layout)?, count as u32);
        // SAFETY: the kernel reads and writes each of the `count` elements once.
        let y = unsafe {
            let y = device.alloc::<f32>(count)?;
            function.builder().arg(&x).arg(&y).arg(&n).launch(threads(count)).w()?;
            y
        };
        Ok((CudaStorage::wrap_cuda_slice(y, device.clone()), layout.shape().clone()))
    }
}

impl CustomOp2 for ReluVjp {
    fn name(&self) -> &'static str {
        "relu_vjp"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        elsewhere("relu_vjp")
    }

    fn cuda_fwd(
        &self,
        dy: &CudaStorage,
        dy_layout: &Layout,
        x: &CudaStorage,
        x_layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (device, count) = (&x.device, x_layout.shape().elem_count());
        let function = kernel(device, "relu_vjp")?;
        let (dy, x, n) = (view(dy, dy_layout)?, view(x, x_layout)?, count as u32);
        // SAFETY: both inputs have `count` elements, and the kernel writes `count` elements.
        let dx = unsafe {
            let dx = device.alloc::<f32>(count)?;
            function.builder().arg(&dy).arg(&x).arg(&dx).arg(&n).launch(threads(count)).w()?;
            dx
        };
        Ok((CudaStorage::wrap_cuda_slice(dx, device.clone()), x_layout.shape().clone()))
    }
}

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        elsewhere("affine")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        scale: &CudaStorage,
        scale_layout: &Layout,
        shift: &CudaStorage,
        shift_layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (device, shape) = (&x.device, x_layout.shape());
        let count = shape.elem_count();
        let function = kernel(device, "affine")?;
        let (x, scale, shift) = (view(x, x_layout)?, view(scale, scale_layout)?, view(shift, shift_layout)?);
        let size = shape.dims()[2..].iter().product::<usize>() as u32;
        let (channels, n) = (shape.dims()[1] as u32, count as u32);
        // SAFETY: `x` has `count` elements, `scale` and `shift` have one per channel, and the kernel writes `count` elements.
        let y = unsafe {
            let y = device.alloc::<f32>(count)?;
            let mut launch = function.builder();
            launch.arg(&x).arg(&scale).arg(&shift).arg(&y).arg(&size).arg(&channels).arg(&n);
            launch.launch(threads(count)).w()?;
            y
        };
        Ok((CudaStorage::wrap_cuda_slice(y, device.clone()), shape.clone()))
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        elsewhere("batch_norm")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        gamma: &CudaStorage,
        gamma_layout: &Layout,
        variance: &CudaStorage,
        variance_layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (device, shape) = (&x.device, x_layout.shape());
        let count = shape.elem_count();
        let function = kernel(device, "batch_norm")?;
        let (x, gamma) = (view(x, x_layout)?, view(gamma, gamma_layout)?);
        let variance = view(variance, variance_layout)?;
        let held = self.moved.as_ref().map(|(beta, mean)| (beta.storage_and_layout(), mean.storage_and_layout()));
        let (beta, mean) = match &held {
            Some(((beta, beta_layout), (mean, mean_layout))) => {
                (view(cuda(beta)?, beta_layout)?, view(cuda(mean)?, mean_layout)?)
            }
            None => (gamma.slice(..), gamma.slice(..)),
        };
        let size = shape.dims()[2..].iter().product::<usize>() as u32;
        let (channels, n) = (shape.dims()[1] as u32, count as u32);
        let (moved, epsilon) = (u32::from(self.moved.is_some()), self.epsilon as f32);
        // SAFETY: `x` has `count` elements, the others have one per channel, and the kernel writes `count` elements.
        let y = unsafe {
            let y = device.alloc::<f32>(count)?;
            let mut launch = function.builder();
            launch.arg(&x).arg(&gamma).arg(&variance).arg(&beta).arg(&mean).arg(&moved).arg(&epsilon);
            launch.arg(&y).arg(&size).arg(&channels).arg(&n).launch(threads(count)).w()?;
            y
        };
        Ok((CudaStorage::wrap_cuda_slice(y, device.clone()), shape.clone()))
    }
}

fn cuda(storage: &Storage) -> candle_core::Result<&CudaStorage> {
    match storage {
        Storage::Cuda(storage) => Ok(storage),
        _ => candle_core::bail!("the statistics of a batch norm must be on the same device as its input"),
    }
}

//! Max pooling on a GPU.

use super::{contiguous, elsewhere, kernel, threads, view};
use crate::backend::window::pool_sizes;
use crate::backend::{Pool2d, Window};
use anyhow::{Result, ensure};
use candle_core::cuda_backend::cudarc::driver::{DeviceRepr, PushKernelArg};
use candle_core::cuda_backend::{CudaStorage, WrapErr};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape, Tensor};

/// The pooling windows along one axis, in the kernels' layout.
#[derive(Clone, Copy)]
#[repr(C)]
struct Axis {
    size: u32,
    windows: u32,
    kernel: u32,
    stride: u32,
    padding: u32,
    dilation: u32,
}

// SAFETY: plain integers in C layout, matching `struct Axis` in kernels.cu.
unsafe impl DeviceRepr for Axis {}

/// Max pooling for feature maps of one size.
struct Max {
    h: Axis,
    w: Axis,
    /// Shape of the output, `(N, C, oh, ow)`.
    shape: [usize; 4],
}

/// The VJP of [`Max`].
struct MaxVjp(Max);

/// The maximum of each window, `(N, C, oh, ow)`; NaN counts as the maximum.
pub fn max_pool2d(x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    Ok(x.contiguous()?.apply_op1_no_bwd(&Max::new(x.dims(), pool)?)?)
}

/// The VJP of [`max_pool2d`]: each window's gradient is routed to its maximum (in a tie, the first in row-major order).
pub fn max_pool2d_vjp(dy: &Tensor, x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    let max = Max::new(x.dims(), pool)?;
    ensure!(
        dy.dims() == max.shape,
        "a gradient of shape {:?} does not match the output shape {:?}",
        dy.dims(),
        max.shape
    );
    let [dy, x] = contiguous([dy, x])?;
    Ok(dy.apply_op2_no_bwd(&x, &MaxVjp(max))?)
}

impl Max {
    fn new(x: &[usize], pool: &Pool2d) -> Result<Self> {
        let [n, c, h, w, oh, ow] = pool_sizes(x, pool)?;
        let axis = |window: &Window, size: usize, windows: usize| Axis {
            size: size as u32,
            windows: windows as u32,
            kernel: window.kernel as u32,
            stride: window.stride as u32,
            padding: window.padding as u32,
            dilation: window.dilation as u32,
        };
        Ok(Self { h: axis(&pool.h, h, oh), w: axis(&pool.w, w, ow), shape: [n, c, oh, ow] })
    }
}

impl CustomOp1 for Max {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        elsewhere("max_pool")
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> candle_core::Result<(CudaStorage, Shape)> {
        let (device, count) = (&x.device, self.shape.iter().product::<usize>());
        let function = kernel(device, "max_pool")?;
        let (x, n) = (view(x, layout)?, count as u32);
        // SAFETY: the sizes match `x`, only its elements are read, and `count` elements are written.
        let y = unsafe {
            let y = device.alloc::<f32>(count)?;
            function.builder().arg(&x).arg(&y).arg(&self.h).arg(&self.w).arg(&n).launch(threads(count)).w()?;
            y
        };
        Ok((CudaStorage::wrap_cuda_slice(y, device.clone()), Shape::from(&self.shape)))
    }
}

impl CustomOp2 for MaxVjp {
    fn name(&self) -> &'static str {
        "max_pool_vjp"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        elsewhere("max_pool_vjp")
    }

    fn cuda_fwd(
        &self,
        dy: &CudaStorage,
        dy_layout: &Layout,
        x: &CudaStorage,
        x_layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let Self(Max { h, w, .. }) = self;
        let (device, count, windows) = (&x.device, x_layout.shape().elem_count(), dy_layout.shape().elem_count());
        let (find, gather) = (kernel(device, "max_pool_taps")?, kernel(device, "max_pool_vjp")?);
        let (dy, x, n, many) = (view(dy, dy_layout)?, view(x, x_layout)?, count as u32, windows as u32);
        // SAFETY: the sizes match `x` and `dy`; one tap is written per window, and one element per input position.
        let dx = unsafe {
            let taps = device.alloc::<u32>(windows)?;
            find.builder().arg(&x).arg(&taps).arg(h).arg(w).arg(&many).launch(threads(windows)).w()?;
            let dx = device.alloc::<f32>(count)?;
            gather.builder().arg(&dy).arg(&taps).arg(&dx).arg(h).arg(w).arg(&n).launch(threads(count)).w()?;
            dx
        };
        Ok((CudaStorage::wrap_cuda_slice(dx, device.clone()), x_layout.shape().clone()))
    }
}

//! Helpers for pooling: windows built from arguments, and random windows for test cases.

use super::{Attributes, Draw, maps};
use crate::backend::{Pool2d, Window};
use anyhow::{Result, ensure};

/// The pooling windows described by the arguments, with the given dilation.
pub(super) fn windows(a: &Attributes, dilation: (usize, usize)) -> Result<Pool2d> {
    let (kernel, stride, padding) = (a.pair("kernel_size")?, a.pair("stride")?, a.pair("padding")?);
    ensure!(
        2 * padding.0 <= kernel.0 && 2 * padding.1 <= kernel.1,
        "the padding must be at most half the kernel size, got {padding:?} for a kernel of size {kernel:?}"
    );
    Ok(Pool2d {
        h: Window::new(kernel.0, stride.0, padding.0, dilation.0),
        w: Window::new(kernel.1, stride.1, padding.1, dilation.1),
        ceil_mode: a.bool("ceil_mode")?,
    })
}

/// The output shape of a pool for its only input, `(N, C, H, W)`.
pub(super) fn pooled(x: &[&[usize]], pool: &Pool2d) -> Result<Vec<usize>> {
    let [n, c, h, w] = maps(x)?;
    let (oh, ow) = pool.output(h, w)?;
    Ok(vec![n, c, oh, ow])
}

/// Random pooling windows, with dilation if `dilated`.
pub(super) fn draw(d: &mut Draw, dilated: bool) -> Pool2d {
    let mut window = || {
        let dilation = if dilated { d.between(1, 2) } else { 1 };
        let kernel = d.between(1, if dilation == 1 { 5 } else { 3 });
        Window::new(kernel, d.between(1, 4), d.between(0, kernel / 2), dilation)
    };
    Pool2d { h: window(), w: window(), ceil_mode: d.coin() }
}

/// A random input shape `(N, C, H, W)` for a pool: a large one, or the smallest one that the windows fit.
pub(super) fn mapped(d: &mut Draw, pool: &Pool2d) -> [usize; 4] {
    let [n, c, h, w] = d.map();
    [n, c, side(d, pool, h), side(d, pool, w)]
}

/// A random size of one axis: `large`, or the smallest size at which each window contains an element. Windows may extend beyond
/// the axis.
fn side(d: &mut Draw, pool: &Pool2d, large: usize) -> usize {
    let reads = |w: &Window, i: usize, size: usize| (0..w.kernel).any(|t| w.at(i, t, size).is_some());
    let takes = |size: &usize| {
        let all = |w: &Window, count: usize| (0..count).all(|i| reads(w, i, *size));
        pool.output(*size, *size).is_ok_and(|(h, w)| all(&pool.h, h) && all(&pool.w, w))
    };
    if d.coin() { large } else { (1..large).find(takes).unwrap_or(large) }
}

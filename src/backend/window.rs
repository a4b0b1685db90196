//! Sliding windows of convolution and pooling, with PyTorch's size formulas.

use super::accumulation::Accumulation;
use anyhow::{Result, ensure};

/// A window that slides along one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Number of taps of the window.
    pub kernel: usize,
    /// Step between adjacent windows.
    pub stride: usize,
    /// Padding at each end of the axis.
    pub padding: usize,
    /// Dilation, the spacing between taps.
    pub dilation: usize,
}

/// A pooling window, which slides along both axes of a feature map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool2d {
    /// The window along the height.
    pub h: Window,
    /// The window along the width.
    pub w: Window,
    /// Whether the last window may extend past the end of the padded feature map. Each window must start inside the feature map
    /// or the leading padding. A sole window may exceed the feature map by less than its stride.
    pub ceil_mode: bool,
}

/// Stride, padding, dilation, groups and accumulation of a convolution. By default, PyTorch's default parameters with direct
/// convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2d {
    /// Stride along height and width.
    pub stride: (usize, usize),
    /// Zero padding on both sides, along height and width.
    pub padding: (usize, usize),
    /// Dilation, the spacing between taps, along height and width.
    pub dilation: (usize, usize),
    /// Number of channel groups. Each output channel reads only the input channels of its group.
    pub groups: usize,
    /// How products are accumulated.
    pub accumulation: Accumulation,
}

impl Default for Conv2d {
    fn default() -> Self {
        Self { stride: (1, 1), padding: (0, 0), dilation: (1, 1), groups: 1, accumulation: Accumulation::default() }
    }
}

impl Window {
    /// A window of `kernel` taps with this stride, padding and dilation.
    pub fn new(kernel: usize, stride: usize, padding: usize, dilation: usize) -> Self {
        Self { kernel, stride, padding, dilation }
    }

    /// Number of windows on an axis of `size` positions. With `n = size + 2 padding` and the window's extent `k`, it is
    /// `⌊(n − k) / stride⌋ + 1`. With `ceil_mode`, it is `⌈(n − k) / stride⌉ + 1`, excluding a window that would start past the input and
    /// its leading padding. PyTorch's `pooling_output_shape`.
    ///
    /// Errors if no window fits.
    pub fn count(&self, size: usize, ceil_mode: bool) -> Result<usize> {
        ensure!(
            self.kernel > 0 && self.stride > 0 && self.dilation > 0,
            "kernel size, stride and dilation must be at least 1"
        );
        let span = self.dilation * (self.kernel - 1) + 1;
        let padded = size + 2 * self.padding;
        let over = if ceil_mode { self.stride - 1 } else { 0 };
        ensure!(
            size > 0 && padded + over >= span,
            "a kernel that spans {span} positions does not fit an axis of {padded} positions, padding included"
        );
        let count = (padded + over - span) / self.stride + 1;
        let starts_behind = ceil_mode && (count - 1) * self.stride >= size + self.padding;
        Ok(if starts_behind { count - 1 } else { count })
    }

    /// The position that tap `tap` of window `index` reads; `None` if it lies outside an axis of `size` positions.
    #[inline]
    pub fn at(&self, index: usize, tap: usize, size: usize) -> Option<usize> {
        let place = (index * self.stride + tap * self.dilation).wrapping_sub(self.padding);
        (place < size).then_some(place)
    }
}

impl Pool2d {
    /// Number of windows along the height and width of a feature map of height `h` and width `w`.
    pub fn output(&self, h: usize, w: usize) -> Result<(usize, usize)> {
        Ok((self.h.count(h, self.ceil_mode)?, self.w.count(w, self.ceil_mode)?))
    }
}

impl Conv2d {
    /// Height and width of the output for a weight `(O, C/groups, kh, kw)` and an input of height `h` and width `w`.
    pub fn output(&self, weight: &[usize], h: usize, w: usize) -> Result<(usize, usize)> {
        let (kh, kw) = self.windows(weight);
        Ok((kh.count(h, false)?, kw.count(w, false)?))
    }

    /// The windows along height and width of a convolution with a weight of shape `weight`.
    pub(super) fn windows(&self, weight: &[usize]) -> (Window, Window) {
        (
            Window::new(weight[2], self.stride.0, self.padding.0, self.dilation.0),
            Window::new(weight[3], self.stride.1, self.padding.1, self.dilation.1),
        )
    }

    /// Height and width of the output for an input of shape `x` and a weight of shape `weight`.
    ///
    /// Errors if the shapes do not match each other or the convolution.
    pub(super) fn check(&self, x: &[usize], weight: &[usize]) -> Result<(usize, usize)> {
        ensure!(
            x.len() == 4 && weight.len() == 4,
            "cannot convolve {x:?} with a weight of shape {weight:?}; both must have rank 4"
        );
        let g = self.groups;
        ensure!(
            g > 0 && x[1] == weight[1] * g && weight[0].is_multiple_of(g),
            "cannot convolve {x:?} with a weight of shape {weight:?} in {g} groups: channels do not match"
        );
        ensure!(
            x[1..].iter().chain(weight).all(|&n| n > 0),
            "cannot convolve {x:?} with a weight of shape {weight:?}: a dimension has size 0"
        );
        self.output(weight, x[2], x[3])
    }
}

/// The sizes of a pool's input and output, `[N, C, H, W, oh, ow]`, for an input of shape `x`.
///
/// Errors if `x` is not the shape `(N, C, H, W)` of non-empty feature maps, or if the windows do not fit.
pub(super) fn pool_sizes(x: &[usize], pool: &Pool2d) -> Result<[usize; 6]> {
    ensure!(x.len() == 4 && x[2] > 0 && x[3] > 0, "pooling expects a non-empty (N, C, H, W), got {x:?}");
    for (window, axis) in [(pool.h, "height"), (pool.w, "width")] {
        ensure!(
            window.padding * 2 <= window.kernel,
            "the padding along the {axis} must be at most half the kernel size, got {} for a kernel of size {}",
            window.padding,
            window.kernel
        );
    }
    let (oh, ow) = pool.output(x[2], x[3])?;
    Ok([x[0], x[1], x[2], x[3], oh, ow])
}

/// The divisor of window `(i, j)` in average pooling of an `h × w` feature map. Padding counts only if `include_pad`; positions
/// past the padding never count.
pub fn divisor(pool: &Pool2d, (h, w): (usize, usize), (i, j): (usize, usize), include_pad: bool) -> f64 {
    (counted(&pool.h, i, h, include_pad) * counted(&pool.w, j, w, include_pad)) as f64
}

/// The divisor of window `index` along one axis of `size` positions.
pub(super) fn counted(window: &Window, index: usize, size: usize, include_pad: bool) -> usize {
    if include_pad {
        window.kernel.min((size + 2 * window.padding).saturating_sub(index * window.stride))
    } else {
        (0..window.kernel).filter(|&t| window.at(index, t, size).is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_counted_as_pytorch_counts_them() {
        assert_eq!(Window::new(3, 2, 0, 1).count(109, true).unwrap(), 54);
        assert_eq!(Window::new(3, 2, 0, 1).count(54, true).unwrap(), 27);
        assert_eq!(Window::new(2, 2, 1, 1).count(3, true).unwrap(), 2);
        assert_eq!(Window::new(7, 2, 3, 1).count(224, false).unwrap(), 112);
        assert!(Window::new(5, 1, 0, 1).count(4, false).is_err());
    }

    #[test]
    fn a_window_larger_than_the_map_counts_where_less_than_its_stride_hangs_over() {
        for (window, size, expected) in [
            (Window::new(3, 2, 0, 1), 2, Some(1)),
            (Window::new(3, 2, 0, 1), 1, None),
            (Window::new(3, 1, 0, 1), 2, None),
            (Window::new(5, 4, 0, 1), 2, Some(1)),
            (Window::new(5, 4, 0, 1), 1, None),
            (Window::new(3, 3, 1, 2), 1, Some(1)),
            (Window::new(3, 1, 1, 2), 2, None),
        ] {
            assert_eq!(window.count(size, true).ok(), expected, "{window:?} over {size}");
        }
    }
}

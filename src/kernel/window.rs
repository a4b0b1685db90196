//! The sizes of sliding windows, as PyTorch counts them.

use anyhow::{Result, ensure};

/// A window along one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Taps.
    pub kernel: usize,
    /// Positions between two windows.
    pub stride: usize,
    /// Positions added at either end.
    pub padding: usize,
    /// Positions between two taps.
    pub dilation: usize,
}

/// A window over both axes of a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool2d {
    /// Along the height.
    pub h: Window,
    /// Along the width.
    pub w: Window,
    /// Whether a last window that hangs over the end counts; it must start inside the input or its left padding. The
    /// only window may be larger than the map, by less than its stride.
    pub ceil_mode: bool,
}

impl Window {
    /// A window of `kernel` taps.
    pub fn new(kernel: usize, stride: usize, padding: usize, dilation: usize) -> Self {
        Self { kernel, stride, padding, dilation }
    }

    /// Number of windows over an axis of `size` positions, with `n = size + 2 padding` and `k` the window's span:
    /// `⌊(n − k) / stride⌋ + 1`, or, with `ceil_mode`, `⌈(n − k) / stride⌉ + 1` without a window that would start behind
    /// the input and its left padding. PyTorch's `pooling_output_shape`.
    ///
    /// Errors where that is less than 1.
    pub fn count(&self, size: usize, ceil_mode: bool) -> Result<usize> {
        ensure!(
            self.kernel > 0 && self.stride > 0 && self.dilation > 0,
            "kernel, stride and dilation must be 1 or more"
        );
        let span = self.dilation * (self.kernel - 1) + 1;
        let padded = size + 2 * self.padding;
        let over = if ceil_mode { self.stride - 1 } else { 0 };
        ensure!(
            size > 0 && padded + over >= span,
            "a window of {span} positions does not fit an axis of {padded}, padding included"
        );
        let count = (padded + over - span) / self.stride + 1;
        let starts_behind = ceil_mode && (count - 1) * self.stride >= size + self.padding;
        Ok(if starts_behind { count - 1 } else { count })
    }

    /// Where tap `tap` of window `index` reads, if inside an axis of `size`.
    #[inline]
    pub fn at(&self, index: usize, tap: usize, size: usize) -> Option<usize> {
        let place = (index * self.stride + tap * self.dilation).wrapping_sub(self.padding);
        (place < size).then_some(place)
    }
}

impl Pool2d {
    /// Number of windows over a map of height `h` and width `w`.
    pub fn output(&self, h: usize, w: usize) -> Result<(usize, usize)> {
        Ok((self.h.count(h, self.ceil_mode)?, self.w.count(w, self.ceil_mode)?))
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

//! im2col and col2im: copying the patches of a feature map to the columns of a matrix, and summing the columns back into a
//! feature map.

use crate::backend::storage::Real;
use crate::backend::window::Window;

/// Dimensions of the patch matrix of one group: `channels` input feature maps of size `h × w`, with `oh × ow` windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patches {
    pub channels: usize,
    pub h: usize,
    pub w: usize,
    pub oh: usize,
    pub ow: usize,
    pub kh: Window,
    pub kw: Window,
}

impl Patches {
    /// Number of rows of the matrix, one per channel and tap.
    pub fn rows(&self) -> usize {
        self.channels * self.kh.kernel * self.kw.kernel
    }

    /// Number of columns of the matrix, one per window.
    pub fn columns(&self) -> usize {
        self.oh * self.ow
    }

    /// Whether the patch matrix equals the feature maps themselves, so that nothing has to be copied.
    pub fn is_map(&self) -> bool {
        [self.kh, self.kw].iter().all(|k| k.kernel == 1 && k.stride == 1 && k.padding == 0)
    }

    fn row(&self, row: usize) -> (usize, usize, usize) {
        let taps = self.kh.kernel * self.kw.kernel;
        (row / taps, row % taps / self.kw.kernel, row % self.kw.kernel)
    }

    /// The range of those of `count` windows whose tap `tap` falls inside an axis of `size` positions.
    fn inside(k: Window, tap: usize, size: usize, count: usize) -> (usize, usize) {
        let shift = tap * k.dilation;
        let first = k.padding.saturating_sub(shift).div_ceil(k.stride).min(count);
        let end = (size + k.padding).saturating_sub(shift).div_ceil(k.stride).min(count);
        (first, end.max(first))
    }

    /// Writes row `row` of the patch matrix of `x`, `(channels, h, w)`, to `out`.
    pub fn gather<T: Real>(&self, x: &[T], row: usize, out: &mut [T]) {
        let (c, th, tw) = self.row(row);
        let map = &x[c * self.h * self.w..][..self.h * self.w];
        let (first, end) = Self::inside(self.kw, tw, self.w, self.ow);
        for (i, line) in out.chunks_exact_mut(self.ow).enumerate() {
            let Some(y) = self.kh.at(i, th, self.h) else {
                line.fill(T::zero());
                continue;
            };
            line[..first].fill(T::zero());
            line[end..].fill(T::zero());
            if first == end {
                continue;
            }
            let start = y * self.w + first * self.kw.stride + tw * self.kw.dilation - self.kw.padding;
            if self.kw.stride == 1 {
                line[first..end].copy_from_slice(&map[start..start + end - first]);
            } else {
                let taps = map[start..].iter().step_by(self.kw.stride);
                line[first..end].iter_mut().zip(taps).for_each(|(o, &v)| *o = v);
            }
        }
    }

    /// Adds the rows of channel `c` of a patch matrix to the `h × w` feature map of that channel.
    pub fn scatter<T: Real>(&self, columns: &[T], c: usize, map: &mut [T]) {
        let taps = self.kh.kernel * self.kw.kernel;
        for row in c * taps..(c + 1) * taps {
            let (_, th, tw) = self.row(row);
            let (first, end) = Self::inside(self.kw, tw, self.w, self.ow);
            if first == end {
                continue;
            }
            for (i, line) in columns[row * self.columns()..][..self.columns()].chunks_exact(self.ow).enumerate() {
                let Some(y) = self.kh.at(i, th, self.h) else { continue };
                let start = y * self.w + first * self.kw.stride + tw * self.kw.dilation - self.kw.padding;
                let places = map[start..].iter_mut().step_by(self.kw.stride);
                places.zip(&line[first..end]).for_each(|(m, &v)| *m += v);
            }
        }
    }
}

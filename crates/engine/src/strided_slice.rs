//! Spatially strided slices of feature maps, padded with zero channels, as in parameter-free residual shortcuts.

use crate::map::{Map, MapMut};
use crate::size::{bounded, positive};
use crate::thread_team;

/// Selects every `step`-th pixel starting at `start`, and adds zero channels before and after the existing channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StridedSlice {
    /// First selected row and column.
    pub start: (usize, usize),
    /// Stride between selected pixels, in rows and columns.
    pub step: (usize, usize),
    /// Number of zero channels before the existing channels.
    pub before: usize,
}

impl StridedSlice {
    /// The composition of this slice with a slice of its result.
    ///
    /// # Panics
    /// If the sizes are too large for any feature map.
    pub fn then(self, next: Self) -> Self {
        bounded(&[self.start.0, self.start.1, self.step.0, self.step.1, self.before]);
        bounded(&[next.start.0, next.start.1, next.step.0, next.step.1, next.before]);
        Self {
            start: (self.start.0 + next.start.0 * self.step.0, self.start.1 + next.start.1 * self.step.1),
            step: (self.step.0 * next.step.0, self.step.1 * next.step.1),
            before: self.before + next.before,
        }
    }

    /// Copies the selected pixels of `x` to `y` and zeros the other channels of `y`.
    ///
    /// # Panics
    /// If `y` is larger than the slice, has too few channels, or has a different number of pictures than `x`.
    pub fn forward(&self, x: &Map, y: &mut MapMut) {
        self.check(x, [y.n, y.h, y.w, y.c]);
        let y = &*y;
        thread_team::ranges(y.n * y.h, (1 << 13) / (y.w * y.c).max(1) + 1, |rows| {
            for row in rows {
                let (n, i) = (row / y.h, row % y.h);
                for j in 0..y.w {
                    let at = (n * x.h + self.start.0 + i * self.step.0) * x.w + self.start.1 + j * self.step.1;
                    // SAFETY: `check` has checked the sizes, and each row is written by one task.
                    unsafe {
                        let from = std::slice::from_raw_parts(x.at.add(at * x.pitch), x.c);
                        let to = std::slice::from_raw_parts_mut(y.at.add((row * y.w + j) * y.pitch), y.c);
                        to[..self.before].fill(0.0);
                        to[self.before..self.before + x.c].copy_from_slice(from);
                        to[self.before + x.c..].fill(0.0);
                    }
                }
            }
        });
    }

    /// The VJP of [`StridedSlice::forward`]: writes the gradient `dy` to the selected pixels of `dx`, and 0 elsewhere.
    ///
    /// # Panics
    /// If the sizes do not match.
    pub fn backward(&self, dy: &Map, dx: &mut MapMut) {
        self.check(&dx.read(), [dy.n, dy.h, dy.w, dy.c]);
        let picked = |place: usize, start: usize, step: usize, count: usize| {
            let i = place.checked_sub(start)?;
            (i.is_multiple_of(step) && i / step < count).then_some(i / step)
        };
        let dx = &*dx;
        thread_team::ranges(dx.n * dx.h, (1 << 13) / (dx.w * dx.c).max(1) + 1, |rows| {
            for row in rows {
                let (n, line) = (row / dx.h, picked(row % dx.h, self.start.0, self.step.0, dy.h));
                for j in 0..dx.w {
                    // SAFETY: `check` has checked the sizes, and each row is written by one task.
                    let to = unsafe { std::slice::from_raw_parts_mut(dx.at.add((row * dx.w + j) * dx.pitch), dx.c) };
                    match line.zip(picked(j, self.start.1, self.step.1, dy.w)) {
                        Some((i, j)) => {
                            let at = ((n * dy.h + i) * dy.w + j) * dy.pitch + self.before;
                            // SAFETY: `check` has checked the sizes.
                            to.copy_from_slice(unsafe { std::slice::from_raw_parts(dy.at.add(at), dx.c) });
                        }
                        None => to.fill(0.0),
                    }
                }
            }
        });
    }

    fn check(&self, x: &Map, [n, h, w, c]: [usize; 4]) {
        positive(&[self.step.0, self.step.1]);
        bounded(&[self.start.0, self.start.1, self.before]);
        let fits = |size: usize, count: usize, start: usize, step: usize| {
            count.checked_sub(1).is_none_or(|last| start + last * step < size)
        };
        let inside = fits(x.h, h, self.start.0, self.step.0) && fits(x.w, w, self.start.1, self.step.1);
        assert!(inside && x.n == n && self.before + x.c <= c, "{self:?} of {x:?} does not produce {n}x{h}x{w}x{c}");
    }
}

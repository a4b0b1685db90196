//! Some pixels of maps, among channels of zeros: the shortcuts of networks that have no weights for them.

use crate::map::{Map, MapMut};
use crate::team;

/// Every so-many-th pixel, its channels behind `before` zeros.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pick {
    /// The first row and column.
    pub start: (usize, usize),
    /// Rows and columns from one to the next.
    pub step: (usize, usize),
    /// Channels of zeros before.
    pub before: usize,
}

impl Pick {
    /// This, then another.
    pub fn then(self, next: Self) -> Self {
        Self {
            start: (self.start.0 + next.start.0 * self.step.0, self.start.1 + next.start.1 * self.step.1),
            step: (self.step.0 * next.step.0, self.step.1 * next.step.1),
            before: self.before + next.before,
        }
    }

    /// `y = x` at the picked pixels; channels of `y` that `x` has none for are 0.
    ///
    /// # Panics
    /// Where `y` is larger than what can be picked, or has too few channels.
    pub fn forward(&self, x: &Map, y: &mut MapMut) {
        self.check((x.h, x.w, x.c), (y.h, y.w, y.c));
        let y = &*y;
        team::ranges(y.n * y.h, (1 << 13) / (y.w * y.c).max(1) + 1, |rows| {
            for row in rows {
                let (n, i) = (row / y.h, row % y.h);
                for j in 0..y.w {
                    let at = (n * x.h + self.start.0 + i * self.step.0) * x.w + self.start.1 + j * self.step.1;
                    // SAFETY: checked above; rows are written by one task each.
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

    /// The way back: the gradient at the picked pixels, 0 elsewhere.
    ///
    /// # Panics
    /// Where sizes do not fit one another.
    pub fn backward(&self, dy: &Map, dx: &mut MapMut) {
        self.check((dx.h, dx.w, dx.c), (dy.h, dy.w, dy.c));
        let picked = |place: usize, start: usize, step: usize, count: usize| {
            let i = place.checked_sub(start)?;
            (i.is_multiple_of(step) && i / step < count).then_some(i / step)
        };
        let dx = &*dx;
        team::ranges(dx.n * dx.h, (1 << 13) / (dx.w * dx.c).max(1) + 1, |rows| {
            for row in rows {
                let (n, line) = (row / dx.h, picked(row % dx.h, self.start.0, self.step.0, dy.h));
                for j in 0..dx.w {
                    // SAFETY: as above.
                    let to = unsafe { std::slice::from_raw_parts_mut(dx.at.add((row * dx.w + j) * dx.pitch), dx.c) };
                    match line.zip(picked(j, self.start.1, self.step.1, dy.w)) {
                        Some((i, j)) => {
                            let at = ((n * dy.h + i) * dy.w + j) * dy.pitch + self.before;
                            // SAFETY: as above.
                            to.copy_from_slice(unsafe { std::slice::from_raw_parts(dy.at.add(at), dx.c) });
                        }
                        None => to.fill(0.0),
                    }
                }
            }
        });
    }

    fn check(&self, x: (usize, usize, usize), y: (usize, usize, usize)) {
        let fits = |size: usize, count: usize, start: usize, step: usize| {
            count == 0 || (step > 0 && start + (count - 1) * step < size)
        };
        let inside = fits(x.0, y.0, self.start.0, self.step.0) && fits(x.1, y.1, self.start.1, self.step.1);
        assert!(inside && self.before + x.2 <= y.2, "{self:?} of {x:?} to {y:?}");
    }
}

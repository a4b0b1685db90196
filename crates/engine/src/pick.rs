//! Some pixels of maps, among channels of zeros: the shortcuts of networks that have no weights for them.

use crate::map::{Map, MapMut};
use crate::size::{bounded, positive};
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
    ///
    /// # Panics
    /// Where both together are too large for any map.
    pub fn then(self, next: Self) -> Self {
        bounded(&[self.start.0, self.start.1, self.step.0, self.step.1, self.before]);
        bounded(&[next.start.0, next.start.1, next.step.0, next.step.1, next.before]);
        Self {
            start: (self.start.0 + next.start.0 * self.step.0, self.start.1 + next.start.1 * self.step.1),
            step: (self.step.0 * next.step.0, self.step.1 * next.step.1),
            before: self.before + next.before,
        }
    }

    /// `y = x` at the picked pixels; channels of `y` that `x` has none for are 0.
    ///
    /// # Panics
    /// Where `y` is larger than what can be picked, has too few channels or another number of pictures.
    pub fn forward(&self, x: &Map, y: &mut MapMut) {
        self.check(x, [y.n, y.h, y.w, y.c]);
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
        self.check(&dx.read(), [dy.n, dy.h, dy.w, dy.c]);
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

    fn check(&self, x: &Map, [n, h, w, c]: [usize; 4]) {
        positive(&[self.step.0, self.step.1]);
        bounded(&[self.start.0, self.start.1, self.before]);
        let fits = |size: usize, count: usize, start: usize, step: usize| {
            count.checked_sub(1).is_none_or(|last| start + last * step < size)
        };
        let inside = fits(x.h, h, self.start.0, self.step.0) && fits(x.w, w, self.start.1, self.step.1);
        assert!(inside && x.n == n && self.before + x.c <= c, "{self:?} of {x:?} to {n}x{h}x{w}x{c}");
    }
}

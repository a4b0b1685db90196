//! Crops of one feature map, with a window replaced in each: the inputs of a convolution under occlusion.

use crate::im2col::copy;
use crate::map::{Map, MapMut};
use crate::simd::{self, Simd, Task};
use crate::size::MOST;
use crate::thread_team;

/// Writes crops of a single feature map, `base`, to `y`. Crop `k` starts at row and column `from[k]` of `base`. In this crop,
/// feature map `k` of `changed` replaces the window of `base` that starts at `at[k]`. Pixels beyond the edges of `base` are set
/// to `outside`.
///
/// # Panics
/// If the sizes do not match, or a changed window extends beyond `base`.
pub fn crop(
    base: &Map,
    (changed, at): (&Map, &[(usize, usize)]),
    y: &mut MapMut,
    from: &[(isize, isize)],
    outside: f32,
) {
    assert!(base.n == 1 && base.c == y.c && changed.c == y.c, "cannot crop {base:?} with {changed:?} to {y:?}");
    assert!(
        changed.n == y.n && at.len() == y.n && from.len() == y.n,
        "expected one window and one position per crop of {y:?}"
    );
    let fits = |start: usize, count: usize, size: usize| size.checked_sub(count).is_some_and(|last| start <= last);
    let inside = at.iter().all(|&(i, j)| fits(i, changed.h, base.h) && fits(j, changed.w, base.w));
    assert!(inside, "a window of {changed:?} extends beyond {base:?}");
    let near = |place: isize| place.unsigned_abs() <= MOST;
    assert!(from.iter().all(|&(i, j)| near(i) && near(j)), "crop positions {from:?} are too large");
    let y = &*y;
    thread_team::ranges(y.n * y.h, (1 << 13) / (y.w * y.c).max(1) + 1, |rows| {
        simd::run(Rows { base, changed, at, y, from, outside, rows });
    });
}

struct Rows<'a> {
    base: &'a Map<'a>,
    changed: &'a Map<'a>,
    at: &'a [(usize, usize)],
    y: &'a MapMut<'a>,
    from: &'a [(isize, isize)],
    outside: f32,
    rows: std::ops::Range<usize>,
}

impl Task for Rows<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `crop` checked the sizes, and each row of a crop belongs to one task.
        unsafe {
            for row in self.rows.start..self.rows.end {
                self.row::<S>(row / self.y.h, row % self.y.h);
            }
        }
    }
}

impl Rows<'_> {
    /// Writes one row of a crop, which consists of five segments: outside, base, changed, base, outside.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. `k` must be the index of a crop in `y`, and `i` the index of a row of that crop. No
    /// other thread may access the row.
    #[inline(always)]
    unsafe fn row<S: Simd>(&self, k: usize, i: usize) {
        // SAFETY: every column range is clamped to the row that it indexes; `crop` checked that the changed windows are
        // in bounds of `base`.
        unsafe {
            let (y, base, changed) = (self.y, self.base, self.changed);
            let (row, left) = (self.from[k].0 + i as isize, self.from[k].1);
            let to = y.at.add((k * y.h + i) * y.w * y.pitch);
            // The columns of the crop that correspond to columns `low..high` of the base.
            let columns = |low: usize, high: usize| {
                let inside = |place: usize| (place as isize - left).clamp(0, y.w as isize) as usize;
                (inside(low), inside(high))
            };
            let (first, end) = if (0..base.h as isize).contains(&row) { columns(0, base.w) } else { (0, 0) };
            self.blank(to, 0, first);
            self.blank(to, end.max(first), y.w);
            if first >= end {
                return;
            }
            // Before the map if the crop begins to the left of its first row.
            let line = base.at.wrapping_offset((row * base.w as isize + left) * base.pitch as isize);
            let (top, start) = self.at[k];
            let within = row as usize >= top && (row as usize) < top + changed.h;
            let (low, high) = if within { columns(start, start + changed.w) } else { (end, end) };
            let pixels = |from: *const f32, pitch: usize, low: usize, high: usize| {
                let to = to.wrapping_add(low * y.pitch);
                if pitch == y.c && y.pitch == y.c {
                    copy::<S>(from, to, high.saturating_sub(low) * y.c);
                } else {
                    for j in 0..high.saturating_sub(low) {
                        copy::<S>(from.add(j * pitch), to.add(j * y.pitch), y.c);
                    }
                }
            };
            pixels(line.wrapping_add(first * base.pitch), base.pitch, first, low);
            if low < high {
                let skip = (low as isize + left) as usize - start;
                let from = changed.at.add(((k * changed.h + row as usize - top) * changed.w + skip) * changed.pitch);
                pixels(from, changed.pitch, low, high);
            }
            pixels(line.wrapping_add(high * base.pitch), base.pitch, high, end);
        }
    }

    /// Fills columns `low..high` of the row at `to` with `outside`.
    ///
    /// # Safety
    /// `to` must point to the start of a row of `y`, `low..high` must be in bounds of its columns, and no other thread may access the row.
    #[inline(always)]
    unsafe fn blank(&self, to: *mut f32, low: usize, high: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            for j in low..high {
                std::slice::from_raw_parts_mut(to.add(j * self.y.pitch), self.y.c).fill(self.outside);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_holds_the_map_with_its_changes_and_what_is_outside() {
        let (h, w, pitch) = (7, 9, 5);
        for c in [1, 3, 5] {
            let base: Vec<f32> = (0..h * w * pitch).map(|i| i as f32).collect();
            let value = |y: isize, x: isize, k: usize| {
                let inside = (0..h as isize).contains(&y) && (0..w as isize).contains(&x);
                if inside { base[(y as usize * w + x as usize) * pitch + k] } else { -7.0 }
            };
            for (ch, cw) in [(1, 1), (3, 4), (7, 9)] {
                let at: Vec<_> = (0..8).map(|k| (k % (h - ch + 1), (k * 3) % (w - cw + 1))).collect();
                let changed: Vec<f32> = (0..8 * ch * cw * c).map(|i| -100.0 - i as f32).collect();
                let from: Vec<_> = (0..8).map(|k| (k as isize - 4, 2 * k as isize - 9)).collect();
                for (ph, pw) in [(1, 1), (4, 6), (12, 15)] {
                    let mut y = vec![0f32; 8 * ph * pw * c];
                    crop(
                        &Map::new(&base, [1, h, w, c], pitch),
                        (&Map::new(&changed, [8, ch, cw, c], c), &at),
                        &mut MapMut::new(&mut y, [8, ph, pw, c], c),
                        &from,
                        -7.0,
                    );
                    for (n, v) in y.iter().enumerate() {
                        let (k, i, j, channel) = (n / (ph * pw * c), n / (pw * c) % ph, n / c % pw, n % c);
                        let (row, column) = (from[k].0 + i as isize, from[k].1 + j as isize);
                        let (di, dj) = (row - at[k].0 as isize, column - at[k].1 as isize);
                        let covered = (0..ch as isize).contains(&di) && (0..cw as isize).contains(&dj);
                        let expected = match covered {
                            true => changed[((k * ch + di as usize) * cw + dj as usize) * c + channel],
                            false => value(row, column, channel),
                        };
                        assert!(*v == expected, "piece {k} of {ph}x{pw} at {i}, {j}: {v} for {expected}");
                    }
                }
            }
        }
    }
}

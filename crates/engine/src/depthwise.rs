//! Depthwise convolutions.

use crate::im2col::Patches;
use crate::map::{Map, MapMut};
use crate::simd::{self, Simd, Task};
use crate::thread_team;
use crate::tile::{Epilogue, Exit, finish};

/// Weights of a depthwise convolution: for each phase of the stride, one vector per tap, with one weight per channel.
#[derive(Debug)]
pub(crate) struct Depthwise {
    pub parts: Vec<(Patches, Vec<Vec<f32>>)>,
}

impl Depthwise {
    pub fn bytes(&self) -> usize {
        self.parts.iter().flat_map(|(_, taps)| taps).map(|t| t.len() * 4).sum()
    }

    pub fn run(&self, x: &Map, y: &MapMut, epilogue: Epilogue) {
        for (patches, taps) in &self.parts {
            let columns = patches.grid.1.max(1);
            let rows = x.n * patches.grid.0;
            let grain = 1 + (1 << 14) / (columns * y.c * taps.len().max(1)).max(1);
            thread_team::ranges(rows, grain, |rows| simd::run(Rows { x, y, patches, taps, rows, epilogue }));
        }
    }
}

struct Rows<'a> {
    x: &'a Map<'a>,
    y: &'a MapMut<'a>,
    patches: &'a Patches,
    taps: &'a [Vec<f32>],
    rows: std::ops::Range<usize>,
    epilogue: Epilogue<'a>,
}

impl Task for Rows<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: taps outside the map are skipped, `Filter::run` checked the sizes, `taps` has an element for each channel, and
        // each output row belongs to one task.
        unsafe {
            let p = self.patches;
            let exit = Exit { epilogue: self.epilogue, more: false, last: true };
            let places: Vec<_> = p.runs.iter().flat_map(|r| (0..r.taps).map(|t| (r.dy, r.dx + t as isize))).collect();
            let mut inside = Vec::with_capacity(places.len());
            for i in self.rows.start * p.grid.1..self.rows.end * p.grid.1 {
                let place = p.place(i);
                let pixel = p.pixel(place);
                inside.clear();
                for (&(dy, dx), w) in places.iter().zip(self.taps) {
                    let row = (place.1 * p.step.0) as isize + dy;
                    let column = (place.2 * p.step.1) as isize + dx;
                    if row >= 0 && row < self.x.h as isize && column >= 0 && column < self.x.w as isize {
                        let at = (place.0 * self.x.h + row as usize) * self.x.w + column as usize;
                        inside.push((self.x.at.add(at * self.x.pitch), w.as_ptr()));
                    }
                }
                let mut c = 0;
                while c < self.y.c {
                    let n = self.y.c - c;
                    let mut sum = S::splat(0.0);
                    for &(x, w) in &inside {
                        let (x, w) = if n >= S::LANES {
                            (S::load(x.add(c)), S::load(w.add(c)))
                        } else {
                            (S::load_part(x.add(c), n), S::load_part(w.add(c), n))
                        };
                        sum = S::fma(x, w, sum);
                    }
                    finish::<S>(sum, self.y.at.add(pixel * self.y.pitch + c), pixel, c, n, &exit);
                    c += S::LANES;
                }
            }
        }
    }
}

//! The weights of ONNX's `Resize` along one axis, in all its variants.

use anyhow::{Result, bail};

/// How one axis is resized.
pub struct Axis<'a> {
    /// The size of the input.
    pub from: usize,
    /// The size of the output.
    pub to: usize,
    /// Output size per input size, as the file says.
    pub scale: f64,
    /// `nearest`, `linear` or `cubic`.
    pub mode: &'a str,
    /// How output positions correspond to input positions.
    pub coordinates: &'a str,
    /// How `nearest` rounds.
    pub nearest: &'a str,
    /// The coefficient of the cubic kernel.
    pub cubic: f64,
    /// Whether positions outside the input get no weight, instead of the value at the edge.
    pub exclude_outside: bool,
    /// Whether kernels are wider for smaller outputs.
    pub antialias: bool,
}

impl Axis<'_> {
    /// The matrix `(to, from)`, in row-major order, by which the axis is multiplied.
    ///
    /// Errors if a variant is not supported.
    pub fn matrix(&self) -> Result<Vec<f64>> {
        let mut matrix = vec![0.0; self.to * self.from];
        for (i, row) in matrix.chunks_exact_mut(self.from.max(1)).enumerate() {
            let x = self.position(i)?;
            let last = self.from as i64 - 1;
            if self.mode == "nearest" {
                row[self.rounded(x)?.clamp(0, last) as usize] = 1.0;
                continue;
            }
            let (taps, mut total) = (self.taps(x)?, 0.0);
            for (at, weight) in taps {
                if self.exclude_outside && !(0..=last).contains(&at) {
                    continue;
                }
                row[at.clamp(0, last) as usize] += weight;
                total += weight;
            }
            // Weights add up to 1, also where positions are left out.
            if total != 0.0 {
                row.iter_mut().for_each(|weight| *weight /= total);
            }
        }
        Ok(matrix)
    }

    /// The input position of output position `i`.
    fn position(&self, i: usize) -> Result<f64> {
        let (i, from, to, scale) = (i as f64, self.from as f64, self.to as f64, self.scale);
        Ok(match self.coordinates {
            "half_pixel" => (i + 0.5) / scale - 0.5,
            "pytorch_half_pixel" => {
                if self.to > 1 {
                    (i + 0.5) / scale - 0.5
                } else {
                    0.0
                }
            }
            "half_pixel_symmetric" => {
                let adjustment = to / (scale * from);
                from / 2.0 * (1.0 - adjustment) + (i + 0.5) / scale - 0.5
            }
            "align_corners" => {
                // ONNX counts the output before it is rounded to whole positions.
                let to = scale * from;
                if self.to > 1 { i * (from - 1.0) / (to - 1.0) } else { 0.0 }
            }
            "asymmetric" => i / scale,
            other => bail!("a Resize with the coordinates \"{other}\" is not supported"),
        })
    }

    fn rounded(&self, x: f64) -> Result<i64> {
        Ok(match self.nearest {
            "round_prefer_floor" => (x - 0.5).ceil(),
            "round_prefer_ceil" => (x + 0.5).floor(),
            "floor" => x.floor(),
            "ceil" => x.ceil(),
            other => bail!("a Resize that rounds by \"{other}\" is not supported"),
        } as i64)
    }

    /// The positions around `x` and their weights.
    fn taps(&self, x: f64) -> Result<Vec<(i64, f64)>> {
        let narrow = if self.antialias { self.scale.min(1.0) } else { 1.0 };
        let (kernel, reach): (&dyn Fn(f64) -> f64, f64) = match self.mode {
            "linear" => (&|d: f64| (1.0 - d.abs()).max(0.0), 1.0),
            "cubic" => (&|d: f64| cubic(d.abs(), self.cubic), 2.0),
            other => bail!("a Resize with the mode \"{other}\" is not supported"),
        };
        let (base, reach) = (x.floor() as i64, (reach / narrow).ceil() as i64);
        let tap = |at: i64| (at, kernel((at as f64 - x) * narrow));
        Ok((base - reach + 1..=base + reach).map(tap).filter(|(_, weight)| *weight != 0.0).collect())
    }
}

/// The cubic convolution kernel at distance `d` (Keys 1981, doi:10.1109/TASSP.1981.1163711).
fn cubic(d: f64, a: f64) -> f64 {
    match d {
        d if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
        d if d < 2.0 => a * (((d - 5.0) * d + 8.0) * d - 4.0),
        _ => 0.0,
    }
}

//! Interpolation weights of ONNX's `Resize`, in all its variants.

use super::evaluate::{check_size, place};
use super::program::Node;
use crate::tensor::numbers;
use anyhow::{Result, bail, ensure};
use candle_core::{DType, Device, Tensor};

/// How a `Resize` or `Upsample` operator resizes a value.
pub struct Resampling {
    /// The shape of the input.
    from: Vec<usize>,
    /// The shape of the output.
    pub to: Vec<usize>,
    /// Ratio of output size to input size for each axis, as given in the file.
    scale: Vec<f64>,
    mode: String,
    coordinates: String,
    nearest: String,
    cubic: f64,
    exclude_outside: bool,
    antialias: bool,
}

impl Resampling {
    /// Reads a `Resize` or `Upsample` operator for a value of shape `shape`. `given` holds the operator's inputs after the value.
    ///
    /// Errors if neither sizes nor scales are given.
    pub fn of(node: &Node, given: [Option<&Tensor>; 3], shape: &[usize], opset: i64) -> Result<Self> {
        let (a, rank) = (&node.attributes, shape.len());
        let values = |t: Option<&Tensor>| -> Result<Option<Vec<f64>>> {
            Ok(t.map(numbers).transpose()?.filter(|values| !values.is_empty()))
        };
        // Upsample has the scales as input 1, Resize since opset 11 as input 2, with the sizes as input 3.
        let old = node.op == "Upsample" || opset < 11;
        let (scales, sizes) = if old { (values(given[0])?, None) } else { (values(given[1])?, values(given[2])?) };
        let axes = match a.ints("axes") {
            Some(axes) => axes.iter().map(|&d| place(d, rank)).collect::<Result<Vec<_>>>()?,
            None => (0..rank).collect(),
        };
        let (mut to, mut scale) = (shape.to_vec(), vec![1.0; rank]);
        match (sizes, scales.or_else(|| a.floats("scales"))) {
            (Some(sizes), _) => {
                ensure!(sizes.len() == axes.len(), "Resize has {} sizes for {} axes", sizes.len(), axes.len());
                axes.iter().zip(&sizes).for_each(|(&d, &n)| (to[d], scale[d]) = (n as usize, n / shape[d] as f64));
                let policy = a.text("keep_aspect_ratio_policy", "stretch");
                if policy != "stretch" {
                    let all = axes.iter().map(|&d| scale[d]);
                    let larger = policy != "not_larger";
                    let one = if larger { all.fold(0.0, f64::max) } else { all.fold(f64::INFINITY, f64::min) };
                    axes.iter().for_each(|&d| (to[d], scale[d]) = ((one * shape[d] as f64).round() as usize, one));
                }
            }
            (None, Some(scales)) => {
                ensure!(scales.len() == axes.len(), "Resize has {} scales for {} axes", scales.len(), axes.len());
                for (&d, &s) in axes.iter().zip(&scales) {
                    (to[d], scale[d]) = ((shape[d] as f64 * s + 1e-9).floor() as usize, s);
                }
            }
            (None, None) => bail!("Resize has neither sizes nor scales"),
        }
        ensure!(to.iter().all(|&n| n > 0), "Resize to an empty tensor is not supported");
        let changed = shape.iter().zip(&to).filter(|(from, to)| from != to);
        let most = changed.flat_map(|(&from, &to)| [from, to]).max().unwrap_or_default();
        ensure!(most < 1 << 16, "Resize is limited to 65,535 positions per axis");
        Ok(Self {
            from: shape.to_vec(),
            to,
            scale,
            mode: a.text("mode", "nearest"),
            coordinates: a.text("coordinate_transformation_mode", if old { "asymmetric" } else { "half_pixel" }),
            nearest: a.text("nearest_mode", if old { "floor" } else { "round_prefer_floor" }),
            cubic: a.float("cubic_coeff_a", -0.75),
            exclude_outside: a.int("exclude_outside", 0) == 1,
            antialias: a.int("antialias", 0) == 1,
        })
    }

    /// The equivalent mode of `interpolate`; `None` if there is none.
    pub fn of_maps(&self) -> Option<&'static str> {
        let far = |d: usize| (self.scale[d] * self.from[d] as f64 - self.to[d] as f64).abs();
        if self.antialias || (2..self.from.len()).any(|d| far(d) > 1e-3) {
            return None;
        }
        let whole = self.to.iter().zip(&self.from).all(|(to, from)| to.is_multiple_of((*from).max(1)));
        match (self.mode.as_str(), self.coordinates.as_str()) {
            ("nearest", "asymmetric") if self.nearest == "floor" => Some("nearest"),
            ("nearest", "half_pixel") if whole && self.nearest.starts_with("round") => Some("nearest"),
            ("linear", "half_pixel") => Some("bilinear"),
            ("linear", "pytorch_half_pixel") if self.to.iter().skip(2).all(|&n| n > 1) => Some("bilinear"),
            ("linear", "align_corners") => Some("bilinear_corners"),
            _ => None,
        }
    }

    /// The axes whose size changes, each with the matrix `(in, out)` that it is multiplied by.
    ///
    /// Errors if the variant is not supported.
    pub fn matrices(&self) -> Result<Vec<(usize, Tensor)>> {
        let changes = |d: &usize| (self.to[*d], self.scale[*d]) != (self.from[*d], 1.0);
        let matrix = |d: usize| {
            let axis = Axis {
                from: self.from[d],
                to: self.to[d],
                scale: self.scale[d],
                mode: &self.mode,
                coordinates: &self.coordinates,
                nearest: &self.nearest,
                cubic: self.cubic,
                exclude_outside: self.exclude_outside,
                antialias: self.antialias,
            };
            let matrix = Tensor::from_vec(axis.matrix()?, (self.to[d], self.from[d]), &Device::Cpu)?;
            Ok((d, matrix.t()?.to_dtype(DType::F32)?))
        };
        (0..self.from.len()).filter(changes).map(matrix).collect()
    }

    /// Resizes a constant.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        check_size(&self.to)?;
        let mut y = x.to_dtype(DType::F32)?;
        for (d, matrix) in self.matrices()? {
            let last = y.rank() - 1;
            let rows = y.transpose(d, last)?.contiguous()?;
            let (shape, input) = (rows.dims().to_vec(), self.from[d]);
            let product = rows.reshape(((), input))?.matmul(&matrix.contiguous()?)?;
            y = product.reshape([&shape[..last], &[self.to[d]]].concat())?.transpose(d, last)?;
        }
        Ok(y.contiguous()?.to_dtype(x.dtype())?)
    }
}

/// How one axis is resized.
struct Axis<'a> {
    /// Size of the axis in the input.
    from: usize,
    /// Size of the axis in the output.
    to: usize,
    /// Ratio of output size to input size, as given in the file.
    scale: f64,
    /// `nearest`, `linear` or `cubic`.
    mode: &'a str,
    /// How output positions map to input positions, as in ONNX's `coordinate_transformation_mode`.
    coordinates: &'a str,
    /// How the mode `nearest` rounds positions.
    nearest: &'a str,
    /// The coefficient `a` of the cubic kernel.
    cubic: f64,
    /// Whether positions outside the input have zero weight; otherwise, they have the value at the edge.
    exclude_outside: bool,
    /// Whether the kernel is widened when downscaling.
    antialias: bool,
}

impl Axis<'_> {
    /// The matrix `(to, from)`, in row-major order, by which the axis is multiplied.
    ///
    /// Errors if a variant is not supported.
    fn matrix(&self) -> Result<Vec<f64>> {
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
            // Weights are normalized to sum to 1, even if positions are excluded.
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
                // ONNX uses the output size before rounding it to an integer.
                let to = scale * from;
                if self.to > 1 { i * (from - 1.0) / (to - 1.0) } else { 0.0 }
            }
            "asymmetric" => i / scale,
            other => bail!("the coordinate transformation \"{other}\" of Resize is not supported"),
        })
    }

    fn rounded(&self, x: f64) -> Result<i64> {
        Ok(match self.nearest {
            "round_prefer_floor" => (x - 0.5).ceil(),
            "round_prefer_ceil" => (x + 0.5).floor(),
            "floor" => x.floor(),
            "ceil" => x.ceil(),
            other => bail!("the rounding mode \"{other}\" of Resize is not supported"),
        } as i64)
    }

    /// The input positions that contribute to the value at `x`, with their weights.
    fn taps(&self, x: f64) -> Result<Vec<(i64, f64)>> {
        let narrow = if self.antialias { self.scale.min(1.0) } else { 1.0 };
        let (kernel, reach): (&dyn Fn(f64) -> f64, f64) = match self.mode {
            "linear" => (&|d: f64| (1.0 - d.abs()).max(0.0), 1.0),
            "cubic" => (&|d: f64| cubic(d.abs(), self.cubic), 2.0),
            other => bail!("the mode \"{other}\" of Resize is not supported"),
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

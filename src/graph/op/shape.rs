//! Operations that move numbers and change none.

use super::{Form, Op, Site, maps};
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;
use gradscope_engine::Pick;

/// `(N, …)` to `(N, features)`; PyTorch's `Flatten`.
#[derive(Debug)]
pub struct Flatten;

/// `(N, …)` to `(N, dims…)`.
#[derive(Debug)]
pub struct Reshape {
    /// Sizes behind the batch.
    pub dims: Vec<usize>,
}

/// Inputs one behind the other along channels (dimension 1).
#[derive(Debug)]
pub struct Concat;

/// `start, start + step, … < end` of one dimension.
#[derive(Debug)]
pub struct Slice {
    /// Which dimension; 0 is the batch and cannot be sliced.
    pub dim: usize,
    /// First index.
    pub start: usize,
    /// Behind the last index.
    pub end: usize,
    /// Distance of indices.
    pub step: usize,
}

/// Zeros before and behind one dimension.
#[derive(Debug)]
pub struct Pad {
    /// Which dimension; 0 is the batch and cannot be padded.
    pub dim: usize,
    /// Zeros before.
    pub before: usize,
    /// Zeros behind.
    pub after: usize,
}

/// Rows and columns around a map, mirrored at its borders, which are not repeated; PyTorch's `ReflectionPad2d`.
#[derive(Debug)]
pub struct ReflectPad {
    /// Rows above and below; fewer than there are.
    pub rows: usize,
    /// Columns left and right; fewer than there are.
    pub columns: usize,
}

/// A map without its outermost rows and columns; PyTorch's `pad` by negative sizes.
#[derive(Debug)]
pub struct Crop {
    /// Rows left out above and below.
    pub rows: usize,
    /// Columns left out left and right.
    pub columns: usize,
}

/// Nothing, outside of training; in training a share of the values, or of whole channels, is set to 0 and the others are
/// divided by what is left (Srivastava et al. 2014; PyTorch's `Dropout` and `Dropout2d`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropout {
    /// The share that training drops, in `[0, 1]`.
    pub p: f64,
    /// Whether whole channels are dropped.
    pub channels: bool,
}

impl Op for Flatten {
    fn kind(&self) -> &'static str {
        "flatten"
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Flatten
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(vec![x[0][0], x[0][1..].iter().product()])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].flatten_from(1)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.reshape(at.dims(0)?)?)
    }
}

impl Op for Reshape {
    fn kind(&self) -> &'static str {
        "reshape"
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let (from, to): (usize, usize) = (x[0][1..].iter().product(), self.dims.iter().product());
        ensure!(from == to, "{from} values cannot have the shape {:?}", self.dims);
        Ok(std::iter::once(x[0][0]).chain(self.dims.iter().copied()).collect())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let dims: Vec<_> = std::iter::once(x[0].dim(0)?).chain(self.dims.iter().copied()).collect();
        Ok(x[0].reshape(dims)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.reshape(at.dims(0)?)?)
    }
}

impl Op for Concat {
    fn kind(&self) -> &'static str {
        "concat"
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Concat
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let fits = |s: &&[usize]| s.len() == x[0].len() && s.len() >= 2 && s[2..] == x[0][2..];
        ensure!(!x.is_empty() && x.iter().all(fits), "its inputs may differ in channels only, got {x:?}");
        let mut shape = x[0].to_vec();
        shape[1] = x.iter().map(|s| s[1]).sum();
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(Tensor::cat(x, 1)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        let channels = |i: usize| Ok(at.dims(i)?[1]);
        let start = (0..i).map(channels).sum::<Result<_>>()?;
        Ok(dy.narrow(1, start, channels(i)?)?.contiguous()?)
    }
}

impl Op for Slice {
    fn kind(&self) -> &'static str {
        "slice"
    }

    fn form(&self, x: &[usize]) -> Form {
        let (start, step) = (self.start, self.step);
        match (self.dim, x.len()) {
            (2, 4) => Form::Pick(Pick { start: (start, 0), step: (step, 1), before: 0 }),
            (3, 4) => Form::Pick(Pick { start: (0, start), step: (1, step), before: 0 }),
            _ => Form::Other,
        }
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let Some(&size) = x[0].get(self.dim).filter(|_| self.dim > 0) else {
            bail!("no dimension {} to slice in {:?}; the batch stays whole", self.dim, x[0]);
        };
        ensure!(
            self.step > 0 && self.start < self.end && self.end <= size,
            "{}..{} by {} does not fit dimension {} of {:?}",
            self.start,
            self.end,
            self.step,
            self.dim,
            x[0]
        );
        let mut shape = x[0].to_vec();
        shape[self.dim] = (self.end - self.start).div_ceil(self.step);
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].index_select(&self.places(x[0])?, self.dim)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(at.x(0)?.zeros_like()?.index_add(&self.places(dy)?, &dy.contiguous()?, self.dim)?)
    }
}

impl Slice {
    fn places(&self, like: &Tensor) -> Result<Tensor> {
        let places: Vec<_> = (self.start as u32..self.end as u32).step_by(self.step).collect();
        Ok(Tensor::new(places, like.device())?)
    }
}

impl Op for Pad {
    fn kind(&self) -> &'static str {
        "pad"
    }

    fn form(&self, x: &[usize]) -> Form {
        match (self.dim, x.len()) {
            (1, 4) => Form::Pick(Pick { start: (0, 0), step: (1, 1), before: self.before }),
            _ => Form::Other,
        }
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(self.dim > 0 && self.dim < x[0].len(), "no dimension {} to pad in {:?}", self.dim, x[0]);
        let mut shape = x[0].to_vec();
        shape[self.dim] += self.before + self.after;
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].pad_with_zeros(self.dim, self.before, self.after)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.narrow(self.dim, self.before, at.dims(0)?[self.dim])?.contiguous()?)
    }
}

impl Op for ReflectPad {
    fn kind(&self) -> &'static str {
        "reflect_pad"
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, h, w] = maps(x)?;
        let (rows, columns) = (self.rows, self.columns);
        ensure!(rows < h && columns < w, "{rows} rows and {columns} columns cannot be mirrored of {h}x{w}");
        Ok(vec![n, c, h + 2 * rows, w + 2 * columns])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (rows, columns) = (mirrored(x[0], 2, self.rows)?, mirrored(x[0], 3, self.columns)?);
        Ok(x[0].index_select(&rows, 2)?.index_select(&columns, 3)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let x = at.x(0)?;
        let (rows, columns) = (mirrored(x, 2, self.rows)?, mirrored(x, 3, self.columns)?);
        let wide = dy.narrow(3, 0, x.dim(3)?)?.zeros_like()?;
        Ok(x.zeros_like()?.index_add(&rows, &wide.index_add(&columns, &dy.contiguous()?, 3)?, 2)?)
    }
}

impl Op for Crop {
    fn kind(&self) -> &'static str {
        "crop"
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Pick(Pick { start: (self.rows, self.columns), step: (1, 1), before: 0 })
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, h, w] = maps(x)?;
        let (rows, columns) = (self.rows, self.columns);
        ensure!(
            2 * rows < h && 2 * columns < w,
            "{rows} rows and {columns} columns of each side leave nothing of {h}x{w}"
        );
        Ok(vec![n, c, h - 2 * rows, w - 2 * columns])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (_, _, h, w) = x[0].dims4()?;
        let rows = x[0].narrow(2, self.rows, h - 2 * self.rows)?;
        Ok(rows.narrow(3, self.columns, w - 2 * self.columns)?.contiguous()?)
    }

    fn vjp(&self, _: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.pad_with_zeros(2, self.rows, self.rows)?.pad_with_zeros(3, self.columns, self.columns)?)
    }
}

/// Which place of a dimension stands at each place of the padded one.
fn mirrored(x: &Tensor, dim: usize, pad: usize) -> Result<Tensor> {
    let (size, pad) = (x.dim(dim)? as i64, pad as i64);
    let at = |i: i64| (size - 1 - (size - 1 - i.abs()).abs()) as u32;
    let places: Vec<_> = (-pad..size + pad).map(at).collect();
    Ok(Tensor::new(places, x.device())?)
}

impl Op for Dropout {
    fn kind(&self) -> &'static str {
        "dropout"
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Same
    }

    fn dropout(&self) -> Option<Dropout> {
        Some(*self)
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].clone())
    }

    fn vjp(&self, _: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.clone())
    }
}

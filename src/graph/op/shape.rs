//! Operations that move numbers and change none.

use super::{Form, Op, Site, maps};
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;
use gradscope_engine::Pick;

/// `(N, …)` to `(N, features)`; PyTorch's `Flatten`.
#[derive(Debug)]
pub struct Flatten;

/// `(N, …)` to `(N, dims…)`; PyTorch's `view`.
#[derive(Debug)]
pub struct Reshape {
    /// Sizes behind the batch; `None`, once at most, is what is left.
    pub dims: Vec<Option<usize>>,
}

/// Inputs one behind the other along channels (dimension 1).
#[derive(Debug)]
pub struct Concat;

/// `start, start + step, … < end` of one dimension; PyTorch's `x[:, :, start:end:step]`.
#[derive(Debug)]
pub struct Slice {
    /// Which dimension; 0 is the batch and cannot be sliced.
    pub dim: usize,
    /// First index; negative ones count from the end.
    pub start: i64,
    /// Index behind the last, negative ones counted from the end; `None` is the end, whatever the size.
    pub end: Option<i64>,
    /// Distance of indices, 1 or more.
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

/// Rows and columns around a map, mirrored at its borders, which are not repeated; PyTorch's `ReflectionPad2d`. Of a map no
/// larger than its padding, which PyTorch refuses, they go back and forth as NumPy's `reflect` does.
#[derive(Debug)]
pub struct ReflectPad {
    /// Rows above and below.
    pub rows: usize,
    /// Columns left and right.
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
        let values: usize = x[0][1..].iter().product();
        let known: usize = self.dims.iter().flatten().product();
        let open = self.dims.iter().filter(|d| d.is_none()).count();
        let fits = match open {
            0 => known == values,
            1 => known > 0 && values.is_multiple_of(known),
            _ => bail!("only one size of a reshape can be left open, got {open}"),
        };
        ensure!(fits, "{values} values cannot have the shape {}", self.text());
        let dims = self.dims.iter().map(|d| d.unwrap_or_else(|| values / known.max(1)));
        Ok(std::iter::once(x[0][0]).chain(dims).collect())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].reshape(self.shape(&[x[0].dims()])?)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.reshape(at.dims(0)?)?)
    }
}

impl Reshape {
    /// `[16, -1]`, as scripts have it.
    fn text(&self) -> String {
        let dims: Vec<_> = self.dims.iter().map(|d| d.map_or_else(|| "-1".into(), |d| d.to_string())).collect();
        format!("[{}]", dims.join(", "))
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
        let (Some(&size), step) = (x.get(self.dim), self.step) else { return Form::Other };
        let start = self.range(size).start;
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
        ensure!(self.step > 0, "the step of a slice is 1 or more, got 0");
        let range = self.range(size);
        ensure!(!range.is_empty(), "{} takes nothing of dimension {} of {:?}", self.text(), self.dim, x[0]);
        let mut shape = x[0].to_vec();
        shape[self.dim] = range.len().div_ceil(self.step);
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        self.shape(&[x[0].dims()])?;
        Ok(x[0].index_select(&self.places(x[0])?, self.dim)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let x = at.x(0)?;
        Ok(x.zeros_like()?.index_add(&self.places(x)?, &dy.contiguous()?, self.dim)?)
    }
}

impl Slice {
    /// First index and the one behind the last, in a dimension of `size`.
    fn range(&self, size: usize) -> std::ops::Range<usize> {
        let place = |n: i64| if n < 0 { n.saturating_add(size as i64) } else { n }.clamp(0, size as i64) as usize;
        place(self.start)..self.end.map_or(size, place)
    }

    /// The indices that are taken of `x`.
    fn places(&self, x: &Tensor) -> Result<Tensor> {
        let range = self.range(x.dim(self.dim)?);
        let places: Vec<_> = (range.start as u32..range.end as u32).step_by(self.step).collect();
        Ok(Tensor::new(places, x.device())?)
    }

    /// `1:-1:2`, as Python has it.
    fn text(&self) -> String {
        format!("{}:{}:{}", self.start, self.end.map_or_else(String::new, |end| end.to_string()), self.step)
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
        ensure!(h > 0 && w > 0, "a map of {h}x{w} has nothing to mirror");
        Ok(vec![n, c, h + 2 * self.rows, w + 2 * self.columns])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (rows, columns) = (mirrored(x[0], 2, self.rows)?, mirrored(x[0], 3, self.columns)?);
        Ok(x[0].index_select(&rows, 2)?.index_select(&columns, 3)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let x = at.x(0)?;
        let (rows, columns) = (mirrored(x, 2, self.rows)?, mirrored(x, 3, self.columns)?);
        let wide = Tensor::zeros((x.dim(0)?, x.dim(1)?, dy.dim(2)?, x.dim(3)?), x.dtype(), x.device())?;
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
    let period = (2 * size - 2).max(1);
    let at = |i: i64| {
        let place = i.rem_euclid(period);
        place.min(period - place) as u32 % size as u32
    };
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

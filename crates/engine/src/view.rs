//! Strided views: tensors whose elements lie anywhere in a slice, such as the queries of one head in the output of a linear layer.

use crate::packed::SharedPtr;
use crate::simd::{self, Simd, Task};
use crate::size::bounded;
use crate::thread_team;
use crate::transpose::transpose;
use std::ops::Range;

/// Where the elements of a tensor are in a slice: element `(i, j, …)` is at `offset + i · strides[0] + j · strides[1] + …`, as in PyTorch's
/// `as_strided`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Index of the first element.
    pub offset: usize,
    /// Size of each dimension.
    pub dims: Vec<usize>,
    /// Distance between adjacent elements along each dimension.
    pub strides: Vec<usize>,
}

impl View {
    /// Contiguous elements in row-major order.
    ///
    /// # Panics
    /// If the number of elements exceeds the address space.
    pub fn dense(dims: &[usize]) -> Self {
        let mut strides = vec![1usize; dims.len()];
        for d in (1..dims.len()).rev() {
            strides[d - 1] = strides[d].checked_mul(dims[d].max(1)).expect("the dimensions exceed the address space");
        }
        Self { offset: 0, dims: dims.to_vec(), strides }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// The dimensions in another order; PyTorch's `permute`.
    ///
    /// # Panics
    /// If a dimension is out of range.
    pub fn permute(&self, order: &[usize]) -> Self {
        let by = |all: &[usize]| order.iter().map(|&d| all[d]).collect();
        Self { offset: self.offset, dims: by(&self.dims), strides: by(&self.strides) }
    }

    /// Two dimensions swapped; PyTorch's `transpose`.
    ///
    /// # Panics
    /// If a dimension is out of range.
    pub fn transpose(&self, dim0: usize, dim1: usize) -> Self {
        let mut order: Vec<_> = (0..self.dims.len()).collect();
        order.swap(dim0, dim1);
        self.permute(&order)
    }

    /// One index of a dimension, which is removed; PyTorch's `select`.
    ///
    /// # Panics
    /// If the dimension or the index is out of range.
    pub fn select(&self, dim: usize, index: usize) -> Self {
        let mut view = self.slice(dim, index, 1, 1);
        view.dims.remove(dim);
        view.strides.remove(dim);
        view
    }

    /// `len` indices of a dimension, starting at `start`, with distance `step`.
    ///
    /// # Panics
    /// If the dimension or an index is out of range.
    pub fn slice(&self, dim: usize, start: usize, len: usize, step: usize) -> Self {
        assert!(len == 0 || start + (len - 1) * step < self.dims[dim], "the slice exceeds {self:?}");
        let mut view = self.clone();
        view.offset += start * self.strides[dim];
        view.dims[dim] = len;
        view.strides[dim] *= step;
        view
    }

    /// The same elements with other dimensions; PyTorch's `view`. `None` if no strides describe that.
    ///
    /// # Panics
    /// If the number of elements differs.
    pub fn reshape(&self, dims: &[usize]) -> Option<Self> {
        assert!(dims.iter().product::<usize>() == self.elements(), "cannot view {self:?} as {dims:?}");
        if self.elements() == 0 {
            return Some(Self { offset: self.offset, ..Self::dense(dims) });
        }
        let merged = self.merged();
        let (mut strides, mut to) = (vec![0; dims.len()], dims.len());
        // Each merged dimension, from the innermost, is split into as many new dimensions as it takes.
        for (&size, &stride) in merged.dims.iter().zip(&merged.strides).rev() {
            let mut covered = 1;
            while covered < size {
                to = to.checked_sub(1)?;
                strides[to] = covered * stride;
                covered *= dims[to];
            }
            if covered != size {
                return None;
            }
        }
        // The remaining dimensions have size 1.
        strides[..to].fill(1);
        Some(Self { offset: self.offset, dims: dims.to_vec(), strides })
    }

    /// A new first dimension of size `n`, with the given stride.
    pub fn batch(&self, n: usize, stride: usize) -> Self {
        let with = |first: usize, all: &[usize]| [&[first], all].concat();
        Self { offset: self.offset, dims: with(n, &self.dims), strides: with(stride, &self.strides) }
    }

    /// Length of the shortest slice that holds all elements.
    ///
    /// # Panics
    /// If a size is too large.
    pub fn extent(&self) -> usize {
        bounded(&self.dims);
        bounded(&self.strides);
        assert!(self.dims.len() == self.strides.len(), "expected one stride per dimension of {self:?}");
        if self.dims.contains(&0) {
            return 0;
        }
        let last = self
            .dims
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |at, (&size, &stride)| at.checked_add((size - 1).checked_mul(stride)?));
        last.and_then(|last| last.checked_add(1)).unwrap_or_else(|| panic!("{self:?} exceeds the address space"))
    }

    /// Whether no two indices refer to the same element. May be false for views that interleave dimensions.
    pub fn is_injective(&self) -> bool {
        let mut axes: Vec<_> = self.strides.iter().zip(&self.dims).filter(|(_, size)| **size > 1).collect();
        axes.sort_unstable();
        let mut reach = 0;
        axes.iter().all(|&(&stride, &size)| {
            let free = stride > reach;
            reach += (size - 1) * stride;
            free
        })
    }

    /// Index of the first element of block `i`, where blocks are the indices of the first `rank` dimensions in row-major order.
    #[inline(always)]
    pub(crate) fn block(&self, rank: usize, mut i: usize) -> usize {
        let mut at = self.offset;
        for d in (0..rank).rev() {
            at += i % self.dims[d] * self.strides[d];
            i /= self.dims[d];
        }
        at
    }

    /// Whether both views have the same elements in the same order, whatever their dimensions.
    pub fn is_same(&self, other: &Self) -> bool {
        self.merged() == other.merged()
    }

    /// The same elements in the same order, with as few dimensions as possible.
    fn merged(&self) -> Self {
        let (mut dims, mut strides): (Vec<usize>, Vec<usize>) = (vec![], vec![]);
        for (&size, &stride) in self.dims.iter().zip(&self.strides).filter(|(size, _)| **size != 1) {
            match (dims.last_mut(), strides.last_mut()) {
                (Some(outer), Some(apart)) if *apart == size * stride => (*outer, *apart) = (*outer * size, stride),
                _ => {
                    dims.push(size);
                    strides.push(stride);
                }
            }
        }
        Self { offset: self.offset, dims, strides }
    }
}

/// Copies the elements of `x` that `view` selects to `y`, in row-major order.
///
/// # Panics
/// If `view` exceeds `x`, or `y` has another number of elements.
pub fn gather(x: &[f32], view: &View, y: &mut [f32]) {
    assert!(view.extent() <= x.len() && y.len() == view.elements(), "{view:?} does not match the slices");
    // Only the scattering variant writes to `x`.
    walk::<false>(SharedPtr(x.as_ptr().cast_mut()), view, SharedPtr(y.as_mut_ptr()));
}

/// Adds `dy`, in row-major order, to the elements of `dx` that `view` selects: the VJP of [`gather`].
///
/// # Panics
/// If `view` exceeds `dx` or selects an element twice, or `dy` has another number of elements.
pub fn scatter_add(dy: &[f32], view: &View, dx: &mut [f32]) {
    assert!(view.extent() <= dx.len() && dy.len() == view.elements(), "{view:?} does not match the slices");
    assert!(view.is_injective(), "{view:?} selects an element twice");
    walk::<true>(SharedPtr(dx.as_mut_ptr()), view, SharedPtr(dy.as_ptr().cast_mut()));
}

/// Computes `y = x + z`, where `view` selects an element of `z` for each of `x`, in row-major order. Broadcast dimensions have stride 0.
///
/// # Panics
/// If `view` exceeds `z`, or the numbers of elements differ.
pub fn add_view(x: &[f32], z: &[f32], view: &View, y: &mut [f32]) {
    assert!(view.extent() <= z.len() && x.len() == view.elements() && y.len() == x.len(), "{view:?} does not match");
    let mut view = view.merged();
    if view.dims.is_empty() {
        (view.dims, view.strides) = (vec![1], vec![1]);
    }
    let last = view.dims.len() - 1;
    let (len, stride) = (view.dims[last].max(1), view.strides[last]);
    let to = SharedPtr(y.as_mut_ptr());
    thread_team::ranges(x.len() / len, GRAIN / len + 1, |rows| {
        simd::run(Sum { x, z, view: &view, stride, len, y: to.get(), rows });
    });
}

/// A task that adds some rows.
struct Sum<'a> {
    x: &'a [f32],
    z: &'a [f32],
    view: &'a View,
    /// Distance between adjacent elements of a row of `z`.
    stride: usize,
    len: usize,
    y: *mut f32,
    rows: Range<usize>,
}

impl Task for Sum<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `add_view` checked the lengths and that the view is in bounds; each row belongs to one task.
        unsafe {
            let (len, outer) = (self.len, self.view.dims.len() - 1);
            for row in self.rows {
                let from = self.view.block(outer, row);
                let (x, z, y) = (self.x.as_ptr().add(row * len), self.z.as_ptr().add(from), self.y.add(row * len));
                let mut i = 0;
                while i < len {
                    let n = (len - i).min(S::LANES);
                    match self.stride {
                        1 => S::store_part(y.add(i), n, S::add(S::load_part(x.add(i), n), S::load_part(z.add(i), n))),
                        0 => S::store_part(y.add(i), n, S::add(S::load_part(x.add(i), n), S::splat(*z))),
                        stride => (i..i + n).for_each(|i| *y.add(i) = *x.add(i) + *z.add(i * stride)),
                    }
                    i += S::LANES;
                }
            }
        }
    }
}

/// Number of elements per task.
const GRAIN: usize = 1 << 14;
/// Number of columns that are transposed at once.
const SIDE: usize = 16;

/// Copies the elements of `x` to `y` or, if `SCATTER`, adds those of `y` to `x`, on all cores.
fn walk<const SCATTER: bool>(x: SharedPtr, view: &View, y: SharedPtr) {
    let mut view = view.merged();
    if view.dims.is_empty() {
        (view.dims, view.strides) = (vec![1], vec![1]);
    }
    if view.dims.contains(&0) {
        return;
    }
    let last = view.dims.len() - 1;
    let (len, stride) = (view.dims[last], view.strides[last]);
    let dense = View::dense(&view.dims).strides;
    // If another dimension is contiguous in memory, it is walked in blocks together with the last one.
    let inner = (0..last).find(|&d| stride != 1 && view.strides[d] == 1);
    let (count, apart) = inner.map_or((1, 0), |d| (view.dims[d], dense[d]));
    let outer: Vec<_> =
        (0..last).filter(|d| Some(*d) != inner).map(|d| [view.dims[d], view.strides[d], dense[d]]).collect();
    let rows: usize = outer.iter().map(|d| d[0]).product();
    // A single matrix is split along its contiguous dimension.
    let splits = if rows < 8 { count.div_ceil(SIDE) } else { 1 };
    thread_team::ranges(rows * splits, GRAIN / (len * count / splits).max(1) + 1, |range| {
        let part = Part { x: x.get(), y: y.get(), offset: view.offset, outer: &outer, splits, range };
        simd::run(Strided::<SCATTER> { part, row: (len, stride), column: (count, apart) });
    });
}

/// The rows that one task walks. Each outer dimension has a size, a stride in `x`, and a stride in `y`.
struct Part<'a> {
    x: *mut f32,
    y: *mut f32,
    offset: usize,
    outer: &'a [[usize; 3]],
    splits: usize,
    range: Range<usize>,
}

struct Strided<'a, const SCATTER: bool> {
    part: Part<'a>,
    /// Length of a row, and the stride of its elements in `x`.
    row: (usize, usize),
    /// Number of elements of the dimension that is contiguous in `x`, and their stride in `y`.
    column: (usize, usize),
}

impl<const SCATTER: bool> Task for Strided<'_, SCATTER> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `gather` and `scatter_add` checked that all elements of the view are in bounds. In the slice that is written, no two
        // indices refer to the same element, so each belongs to one task.
        unsafe {
            let Part { x, y, offset, outer, splits, range } = self.part;
            let (count, apart) = self.column;
            for i in range {
                let (mut row, first) = (i / splits, i % splits * SIDE);
                let columns = first..if splits == 1 { count } else { (first + SIDE).min(count) };
                let (mut from, mut to) = (offset + columns.start, columns.start * apart);
                for &[size, stride, dense] in outer.iter().rev() {
                    from += row % size * stride;
                    to += row % size * dense;
                    row /= size;
                }
                let (from, to) = (x.add(from), y.add(to));
                if self.row.1 == 1 {
                    line::<S, SCATTER>(from, to, self.row.0);
                } else {
                    transposed::<S, SCATTER>((from, self.row.1), (to, apart), (columns.len(), self.row.0));
                }
            }
        }
    }
}

/// Walks contiguous elements.
///
/// # Safety
/// The CPU must support the instruction set `S`. Both pointers must be valid for `len` elements, and no other thread may access those that
/// are written.
#[inline(always)]
unsafe fn line<S: Simd, const SCATTER: bool>(x: *mut f32, y: *mut f32, len: usize) {
    // SAFETY: the caller guarantees that `len` elements are valid; the last vector is partial.
    unsafe {
        if !SCATTER {
            return std::ptr::copy_nonoverlapping(x, y, len);
        }
        let mut i = 0;
        while i < len {
            let n = (len - i).min(S::LANES);
            S::store_part(x.add(i), n, S::add(S::load_part(x.add(i), n), S::load_part(y.add(i), n)));
            i += S::LANES;
        }
    }
}

/// Walks `columns` × `len` elements: columns are adjacent in `x` and have stride `apart` in `y`; elements of a row have stride `stride` in
/// `x` and are adjacent in `y`.
///
/// # Safety
/// The CPU must support the instruction set `S`. All these elements must be valid, and no other thread may access those that are written.
#[inline(always)]
unsafe fn transposed<S: Simd, const SCATTER: bool>(
    (x, stride): (*mut f32, usize),
    (y, apart): (*mut f32, usize),
    (columns, len): (usize, usize),
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if !SCATTER {
            return transpose::<S>((x, stride), (y, apart), (len, columns));
        }
        for first in (0..columns).step_by(SIDE) {
            for i in 0..len {
                for c in first..(first + SIDE).min(columns) {
                    *x.add(c + i * stride) += *y.add(c * apart + i);
                }
            }
        }
    }
}

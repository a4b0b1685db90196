//! Activations. Each is defined by formulas for its value and its derivative, which are compiled for every instruction set.

use crate::lanes::Lanes;
use crate::real::Real;
use crate::simd::{self, LEVELS, Level, Simd, Task};
use crate::thread_team;
use std::fmt;

/// The value from which an activation's derivative is computed: its input or its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saves {
    /// The input `x`.
    Input,
    /// The output `y`.
    Output,
}

/// An elementwise function with up to two parameters, defined by formulas.
///
/// Implementations and everything they call must be `#[inline(always)]`, since they are compiled once per instruction set.
pub trait Pointwise: 'static {
    /// The value from which [`slope`](Self::slope) is computed: the input or the output.
    const SAVES: Saves;
    /// `f(x)`.
    fn value<R: Real>(x: R, parameters: [R; 2]) -> R;
    /// `f′(x)`, computed from `x` or `f(x)` according to [`SAVES`](Self::SAVES).
    fn slope<R: Real>(saved: R, parameters: [R; 2]) -> R;
}

/// An activation that kernels can apply in their epilogue.
#[derive(Clone, Copy, PartialEq)]
pub enum Activation {
    /// `max(0, x)`, with derivative 0 at 0.
    Relu,
    /// An activation other than ReLU, with its parameters.
    Other(&'static Compiled, [f32; 2]),
}

/// Rows of values that a function updates in place, and the values from which it computes derivatives.
#[derive(Clone, Copy)]
pub(crate) struct Region {
    /// The first value, and the stride between rows.
    pub value: (*mut f32, usize),
    /// The first saved value, and the stride between rows.
    pub saved: (*const f32, usize),
    pub rows: usize,
    pub columns: usize,
}

/// A function that updates a region.
type OnRegion = unsafe fn(region: Region, parameters: [f32; 2]);

/// A [`Pointwise`] compiled for each instruction set.
pub struct Compiled {
    saves: Saves,
    value: [OnRegion; LEVELS],
    slope: [OnRegion; LEVELS],
}

impl Compiled {
    /// Compiles a formula: `static GELU: Compiled = Compiled::of::<Gelu>();`
    pub const fn of<P: Pointwise>() -> Self {
        let value: [OnRegion; LEVELS] = [value_at::<P, 0>, value_at::<P, 1>, value_at::<P, 2>, value_at::<P, 3>];
        let slope: [OnRegion; LEVELS] = [slope_at::<P, 0>, slope_at::<P, 1>, slope_at::<P, 2>, slope_at::<P, 3>];
        Self { saves: P::SAVES, value, slope }
    }
}

impl PartialEq for Compiled {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relu => f.write_str("Relu"),
            Self::Other(_, parameters) => write!(f, "Other({parameters:?})"),
        }
    }
}

impl Activation {
    /// The value from which the activation's derivative is computed: its input or its output.
    pub fn saves(&self) -> Saves {
        match self {
            Self::Relu => Saves::Output,
            Self::Other(compiled, _) => compiled.saves,
        }
    }

    /// Computes `y = f(x)`, elementwise, on all cores.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn value(&self, x: &[f32], y: &mut [f32]) {
        y.copy_from_slice(x);
        on_all(y, None, *self);
    }

    /// Computes `dx = f′ · dy`, elementwise, on all cores. `saved` holds the inputs or the outputs, depending on
    /// [`saves`](Self::saves).
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn vjp(&self, saved: &[f32], dy: &[f32], dx: &mut [f32]) {
        assert!(saved.len() == dx.len(), "got {} saved values, expected {}", saved.len(), dx.len());
        dx.copy_from_slice(dy);
        on_all(dx, Some(saved), *self);
    }

    /// Applies the activation to a region or, if `slope`, multiplies the region by the derivatives computed from the saved values.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. The region's values must be valid for reads and writes, and the saved values for reads
    /// if `slope`; no other thread may access the values.
    #[inline(always)]
    pub(crate) unsafe fn on_region<S: Simd>(&self, region: Region, slope: bool) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            match self {
                Self::Other(compiled, parameters) if slope => compiled.slope[S::LEVEL](region, *parameters),
                Self::Other(compiled, parameters) => compiled.value[S::LEVEL](region, *parameters),
                Self::Relu => {
                    let Region { value, saved, rows, columns } = region;
                    for row in 0..rows {
                        let (value, saved) = (value.0.add(row * value.1), saved.0.wrapping_add(row * saved.1));
                        let mut i = 0;
                        while i < columns {
                            let n = (columns - i).min(S::LANES);
                            let v = S::load_part(value.add(i), n);
                            let v = if slope {
                                S::where_positive(S::load_part(saved.add(i), n), v)
                            } else {
                                S::max(S::splat(0.0), v)
                            };
                            S::store_part(value.add(i), n, v);
                            i += n;
                        }
                    }
                }
            }
        }
    }

    /// Applies the activation to a vector.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`.
    #[inline(always)]
    pub(crate) unsafe fn apply<S: Simd>(&self, v: S::V) -> S::V {
        match self {
            // SAFETY: the caller guarantees that the CPU supports the instruction set.
            Self::Relu => unsafe { S::max(S::splat(0.0), v) },
            Self::Other(compiled, parameters) => {
                let mut lanes = [0f32; simd::MOST_LANES];
                // SAFETY: `lanes` has room for a vector of any instruction set.
                unsafe {
                    S::store(lanes.as_mut_ptr(), v);
                    let value = (lanes.as_mut_ptr(), 0);
                    let region = Region { value, saved: (std::ptr::null(), 0), rows: 1, columns: S::LANES };
                    compiled.value[S::LEVEL](region, *parameters);
                    S::load(lanes.as_ptr())
                }
            }
        }
    }

    /// Multiplies `v` by the derivative computed from `saved`.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`.
    #[inline(always)]
    pub(crate) unsafe fn times_slope<S: Simd>(&self, v: S::V, saved: S::V) -> S::V {
        match self {
            Self::Relu => S::where_positive(saved, v),
            Self::Other(compiled, parameters) => {
                let (mut lanes, mut at) = ([0f32; simd::MOST_LANES], [0f32; simd::MOST_LANES]);
                // SAFETY: both have room for a vector of any instruction set.
                unsafe {
                    S::store(lanes.as_mut_ptr(), v);
                    S::store(at.as_mut_ptr(), saved);
                    let (value, saved) = ((lanes.as_mut_ptr(), 0), (at.as_ptr(), 0));
                    compiled.slope[S::LEVEL](Region { value, saved, rows: 1, columns: S::LANES }, *parameters);
                    S::load(lanes.as_ptr())
                }
            }
        }
    }
}

/// Applies the function to a region, using one instruction set.
///
/// # Safety
/// The CPU must support the instruction set with index `LEVEL`. The region's values must be valid for reads and writes.
unsafe fn value_at<P: Pointwise, const LEVEL: usize>(region: Region, parameters: [f32; 2]) {
    let task = OnRows::<P, false> { region, parameters, formula: std::marker::PhantomData };
    // SAFETY: guaranteed by the caller.
    unsafe { simd::run_at(Level::of(LEVEL), task) }
}

/// Multiplies the values of a region by the derivatives computed from the saved values, using one instruction set.
///
/// # Safety
/// The CPU must support the instruction set with index `LEVEL`. The region's values must be valid for reads and writes, and the saved values
/// for reads.
unsafe fn slope_at<P: Pointwise, const LEVEL: usize>(region: Region, parameters: [f32; 2]) {
    let task = OnRows::<P, true> { region, parameters, formula: std::marker::PhantomData };
    // SAFETY: guaranteed by the caller.
    unsafe { simd::run_at(Level::of(LEVEL), task) }
}

/// A task that applies a formula or, if `SLOPE`, multiplies by its derivative.
struct OnRows<P, const SLOPE: bool> {
    region: Region,
    parameters: [f32; 2],
    formula: std::marker::PhantomData<P>,
}

impl<P: Pointwise, const SLOPE: bool> Task for OnRows<P, SLOPE> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [a, b] = self.parameters;
        let parameters = [Lanes::<S>::of(f64::from(a)), Lanes::<S>::of(f64::from(b))];
        let Region { value, saved, rows, columns } = self.region;
        // SAFETY: the caller guarantees that the region is valid; the last vector of a row is partial.
        unsafe {
            for row in 0..rows {
                let (value, saved) = (value.0.add(row * value.1), saved.0.wrapping_add(row * saved.1));
                let mut i = 0;
                while i + S::LANES <= columns {
                    let v = Lanes::<S>(S::load(value.add(i)));
                    let v = if SLOPE {
                        v * P::slope(Lanes::<S>(S::load(saved.add(i))), parameters)
                    } else {
                        P::value(v, parameters)
                    };
                    S::store(value.add(i), v.0);
                    i += S::LANES;
                }
                if i < columns {
                    let n = columns - i;
                    let v = Lanes::<S>(S::load_part(value.add(i), n));
                    let v = if SLOPE {
                        v * P::slope(Lanes::<S>(S::load_part(saved.add(i), n)), parameters)
                    } else {
                        P::value(v, parameters)
                    };
                    S::store_part(value.add(i), n, v.0);
                }
            }
        }
    }
}

/// Applies an activation to each element of `values`. If `saved` is given, multiplies each element by the derivative instead.
fn on_all(values: &mut [f32], saved: Option<&[f32]>, activation: Activation) {
    let len = values.len();
    let at = crate::packed::SharedPtr(values.as_mut_ptr());
    thread_team::ranges(len.div_ceil(CHUNK), 4, |chunks| {
        let range = chunks.start * CHUNK..(chunks.end * CHUNK).min(len);
        simd::run(All { at: at.get(), saved, range, activation });
    });
}

/// Minimum number of elements per task.
const CHUNK: usize = 1024;

struct All<'a> {
    at: *mut f32,
    saved: Option<&'a [f32]>,
    range: std::ops::Range<usize>,
    activation: Activation,
}

impl Task for All<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (start, columns) = (self.range.start, self.range.len());
        // SAFETY: the range is in bounds of both slices, which have the same length, and belongs to one task.
        unsafe {
            let saved = self.saved.map_or(std::ptr::null(), |saved| saved.as_ptr().add(start));
            let region = Region { value: (self.at.add(start), 0), saved: (saved, 0), rows: 1, columns };
            self.activation.on_region::<S>(region, self.saved.is_some());
        }
    }
}

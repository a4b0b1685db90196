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

/// A function that updates the vector at `value` in place and may also read a vector at `saved`.
type OnVector = unsafe fn(value: *mut f32, saved: *const f32, parameters: [f32; 2]);

/// A [`Pointwise`] compiled for each instruction set.
pub struct Compiled {
    saves: Saves,
    value: [OnVector; LEVELS],
    slope: [OnVector; LEVELS],
}

impl Compiled {
    /// Compiles a formula: `static GELU: Compiled = Compiled::of::<Gelu>();`
    pub const fn of<P: Pointwise>() -> Self {
        let value: [OnVector; LEVELS] = [value_at::<P, 0>, value_at::<P, 1>, value_at::<P, 2>, value_at::<P, 3>];
        let slope: [OnVector; LEVELS] = [slope_at::<P, 0>, slope_at::<P, 1>, slope_at::<P, 2>, slope_at::<P, 3>];
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
                    compiled.value[S::LEVEL](lanes.as_mut_ptr(), std::ptr::null(), *parameters);
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
                    compiled.slope[S::LEVEL](lanes.as_mut_ptr(), at.as_ptr(), *parameters);
                    S::load(lanes.as_ptr())
                }
            }
        }
    }
}

/// Applies the function to the vector at `value`, using one instruction set.
///
/// # Safety
/// The CPU must support the instruction set with index `LEVEL`. `value` must be valid for reads and writes of one vector
/// of that instruction set.
unsafe fn value_at<P: Pointwise, const LEVEL: usize>(value: *mut f32, _: *const f32, parameters: [f32; 2]) {
    let task = Value::<P> { value, parameters, formula: std::marker::PhantomData };
    // SAFETY: guaranteed by the caller.
    unsafe { simd::run_at(Level::of(LEVEL), task) }
}

/// Multiplies the vector at `value` by the derivative computed from the vector at `saved`, using one instruction set.
///
/// # Safety
/// The CPU must support the instruction set with index `LEVEL`. `value` must be valid for reads and writes, and `saved` for reads, of one
/// vector of that instruction set.
unsafe fn slope_at<P: Pointwise, const LEVEL: usize>(value: *mut f32, saved: *const f32, parameters: [f32; 2]) {
    let task = Slope::<P> { value, saved, parameters, formula: std::marker::PhantomData };
    // SAFETY: guaranteed by the caller.
    unsafe { simd::run_at(Level::of(LEVEL), task) }
}

struct Value<P> {
    value: *mut f32,
    parameters: [f32; 2],
    formula: std::marker::PhantomData<P>,
}

impl<P: Pointwise> Task for Value<P> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let parameters = self.parameters.map(|p| Lanes::<S>::of(f64::from(p)));
        // SAFETY: the caller guarantees that `value` is valid for reads and writes of a vector.
        unsafe { S::store(self.value, P::value(Lanes::<S>(S::load(self.value)), parameters).0) }
    }
}

struct Slope<P> {
    value: *mut f32,
    saved: *const f32,
    parameters: [f32; 2],
    formula: std::marker::PhantomData<P>,
}

impl<P: Pointwise> Task for Slope<P> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let parameters = self.parameters.map(|p| Lanes::<S>::of(f64::from(p)));
        // SAFETY: the caller guarantees that `value` is valid for reads and writes, and `saved` for reads, of a vector.
        unsafe {
            let (v, saved) = (Lanes::<S>(S::load(self.value)), Lanes::<S>(S::load(self.saved)));
            S::store(self.value, (v * P::slope(saved, parameters)).0);
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
        let mut i = self.range.start;
        while i < self.range.end {
            let n = (self.range.end - i).min(S::LANES);
            // SAFETY: `i..i + n` is in bounds for both slices, which have the same length.
            unsafe {
                let v = S::load_part(self.at.add(i), n);
                let v = match self.saved {
                    None => self.activation.apply::<S>(v),
                    Some(saved) => self.activation.times_slope::<S>(v, S::load_part(saved.as_ptr().add(i), n)),
                };
                S::store_part(self.at.add(i), n, v);
            }
            i += n;
        }
    }
}

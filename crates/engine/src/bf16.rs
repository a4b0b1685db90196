//! Pairs of bf16 values in the 32 bits of an f32 lane, the operands of bf16 products.

use crate::simd::{self, Level, Simd, Task};

/// A task on f32 values or, with `PAIRS`, on pairs of bf16 values.
pub(crate) trait PairsTask {
    /// Runs the task; see [`Task::run`].
    ///
    /// # Safety
    /// The CPU must support the instruction set; with `PAIRS`, the task must run with [`simd::run_bf16`].
    unsafe fn run<S: Simd, const PAIRS: bool>(self);
}

/// A task for one of the two kinds of elements.
struct On<T, const PAIRS: bool>(T);

impl<T: PairsTask, const PAIRS: bool> Task for On<T, PAIRS> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: guaranteed by the caller; `run` runs tasks on pairs with `run_bf16`.
        unsafe { self.0.run::<S, PAIRS>() }
    }
}

/// Runs a task on f32 values, or on pairs of bf16 values if `pairs`, with the given instruction set.
///
/// # Panics
/// If the CPU does not support the instruction set, or if it has no products of pairs.
pub(crate) fn run(level: Level, pairs: bool, task: impl PairsTask) {
    if pairs { simd::run_bf16(level, On::<_, true>(task)) } else { simd::run_with(level, On::<_, false>(task)) }
}

/// Rounds to the nearest bf16 value, ties to even, as its 16 bits.
#[inline(always)]
fn round(v: f32) -> u32 {
    let bits = v.to_bits();
    let quiet = (bits >> 16) | 0x40;
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    if v.is_nan() { quiet } else { rounded }
}

/// Two values rounded to bf16, in the lower and the upper half of a lane.
#[inline(always)]
pub(crate) fn pair(low: f32, high: f32) -> f32 {
    f32::from_bits(round(low) | round(high) << 16)
}

/// The two values of a lane.
#[inline(always)]
pub(crate) fn unpair(lane: f32) -> (f32, f32) {
    let bits = lane.to_bits();
    (f32::from_bits(bits << 16), f32::from_bits(bits & 0xffff_0000))
}

/// Whether both values of a lane are finite.
#[inline(always)]
pub(crate) fn is_finite(lane: f32) -> bool {
    const EXPONENT: u32 = 0x7f80;
    let bits = lane.to_bits();
    bits & EXPONENT != EXPONENT && bits & EXPONENT << 16 != EXPONENT << 16
}

/// Number of lanes that `n` values occupy as pairs.
#[inline(always)]
pub(crate) const fn lanes(n: usize) -> usize {
    n.div_ceil(2)
}

/// Rounds `n` elements at `from` to pairs at `to`; an odd element is paired with 0.
///
/// # Safety
/// The task must run with [`run_bf16`](crate::simd::run_bf16), and the CPU must support the instruction set `S`. `from` must be valid for
/// reads of `n` elements, and `to` for writes of `lanes(n)` elements. `to` may equal `from`.
#[inline(always)]
pub(crate) unsafe fn to_pairs<S: Simd>(from: *const f32, to: *mut f32, n: usize) {
    // SAFETY: the loop stays below `n`; the last vectors are loaded and stored partially. Each store ends before the next load starts.
    unsafe {
        let mut i = 0;
        while i + 2 * S::LANES <= n {
            S::store(to.add(i / 2), S::round_pairs(S::load(from.add(i)), S::load(from.add(i + S::LANES))));
            i += 2 * S::LANES;
        }
        if i < n {
            let (rest, next) = (n - i, from.wrapping_add(i + S::LANES));
            let pairs =
                S::round_pairs(S::load_part(from.add(i), rest), S::load_part(next, rest.saturating_sub(S::LANES)));
            S::store_part(to.add(i / 2), lanes(rest), pairs);
        }
    }
}

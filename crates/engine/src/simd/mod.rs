//! Vectors of f32, one source for every instruction set, chosen while the program runs.
//!
//! Arithmetic is written once, generic over [`Simd`] and inlined always; a [`Task`] is the unit that is compiled for
//! each instruction set, and [`run`] picks the one that this machine has.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

use std::sync::atomic::{AtomicU8, Ordering};

/// A vector of `LANES` numbers.
///
/// # Safety
/// Every function needs the instruction set; pointers must be valid for the lanes that are read or written.
pub trait Simd: Copy + 'static {
    /// The vector.
    type V: Copy;
    /// Numbers in it, at most [`MOST_LANES`].
    const LANES: usize;
    /// Its number among instruction sets.
    const LEVEL: usize;
    /// Rows of the largest tile of two vectors.
    const ROWS: usize;

    /// All lanes alike.
    unsafe fn splat(v: f32) -> Self::V;
    /// Reads all lanes.
    unsafe fn load(at: *const f32) -> Self::V;
    /// Has a line of the cache brought nearer; any address will do.
    unsafe fn prefetch(at: *const f32);
    /// Reads the first `n` lanes, the others are 0.
    unsafe fn load_part(at: *const f32, n: usize) -> Self::V;
    /// Writes all lanes.
    unsafe fn store(at: *mut f32, v: Self::V);
    /// Writes the first `n` lanes.
    unsafe fn store_part(at: *mut f32, n: usize, v: Self::V);
    /// `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a − b`.
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b`.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, rounded once where the instruction set can.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The greater; `b` where either is NaN or both are 0.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The less; `b` where either is NaN or both are 0.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// The nearest whole number, halves to even.
    unsafe fn round(v: Self::V) -> Self::V;
    /// `2ⁿ` of whole numbers from -126 to 127; any number for others.
    unsafe fn exp2(n: Self::V) -> Self::V;
    /// `a` where `x > 0`, else `b`.
    unsafe fn choose(x: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// `b` where it is greater or NaN, else `a`.
    unsafe fn max_or_nan(a: Self::V, b: Self::V) -> Self::V;
    /// `v` where `a = b`, else 0.
    unsafe fn where_equal(a: Self::V, b: Self::V, v: Self::V) -> Self::V;
    /// `v` where `x > 0`, else 0.
    unsafe fn where_positive(x: Self::V, v: Self::V) -> Self::V;
    /// Whether all lanes are 0.
    unsafe fn is_zero(v: Self::V) -> bool;
    /// The sum of all lanes.
    unsafe fn sum(v: Self::V) -> f32;
}

/// Numbers in the longest vector.
pub const MOST_LANES: usize = 16;
/// How many instruction sets there are.
pub(crate) const LEVELS: usize = 4;

/// What an instruction set is chosen for.
pub trait Task {
    /// What it gives.
    type Out;
    /// Does it; `#[inline(always)]` down to the last loop.
    ///
    /// # Safety
    /// The machine has the instruction set.
    unsafe fn run<S: Simd>(self) -> Self::Out;
}

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Level {
    /// Plain arithmetic.
    Scalar = 1,
    /// 128 bits of every ARM of 64 bits.
    Neon = 2,
    /// 256 bits with fused multiply-add.
    Avx2 = 3,
    /// 512 bits.
    Avx512 = 4,
}

impl Level {
    /// The instruction set of this number, as [`Simd::LEVEL`] counts.
    pub(crate) fn of(number: usize) -> Self {
        [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512][number]
    }

    /// Numbers in one of its vectors.
    pub fn lanes(self) -> usize {
        match self {
            Self::Scalar => scalar::Scalar::LANES,
            Self::Neon => 4,
            Self::Avx2 => 8,
            Self::Avx512 => 16,
        }
    }
}

static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// The instruction set in use: the best there is, or what the environment variable `GRADSCOPE_SIMD` names
/// (`scalar`, `avx2`, `avx512`) where the machine has it.
pub fn level() -> Level {
    match CHOSEN.load(Ordering::Relaxed) {
        1 => Level::Scalar,
        2 => Level::Neon,
        3 => Level::Avx2,
        4 => Level::Avx512,
        _ => {
            let wish = std::env::var("GRADSCOPE_SIMD").unwrap_or_default();
            let level = available().into_iter().rev().find(|l| wish.is_empty() || name(*l) == wish);
            let level = level.unwrap_or_else(best);
            CHOSEN.store(level as u8, Ordering::Relaxed);
            level
        }
    }
}

/// Uses this instruction set from now on, for tests and measurements; weights that are packed for another stay usable
/// only at that one. Nothing happens where the machine lacks it.
pub fn set_level(level: Level) {
    if available().contains(&level) {
        CHOSEN.store(level as u8, Ordering::Relaxed);
    }
}

/// What an instruction set is called.
pub fn name(level: Level) -> &'static str {
    match level {
        Level::Scalar => "scalar",
        Level::Neon => "neon",
        Level::Avx2 => "avx2",
        Level::Avx512 => "avx512",
    }
}

/// The instruction sets that this machine has, the best last.
pub fn available() -> Vec<Level> {
    let mut all = vec![Level::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if fma {
            all.push(Level::Avx2);
        }
        if fma && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            all.push(Level::Avx512);
        }
    }
    #[cfg(target_arch = "aarch64")]
    all.push(Level::Neon);
    all
}

fn best() -> Level {
    available().last().copied().unwrap_or(Level::Scalar)
}

/// Runs a task with the instruction set in use.
pub fn run<T: Task>(task: T) -> T::Out {
    run_with(level(), task)
}

/// Runs a task with an instruction set that [`level`] gave.
pub(crate) fn run_with<T: Task>(level: Level, task: T) -> T::Out {
    // SAFETY: `level` gives only what the machine has.
    unsafe { run_at(level, task) }
}

/// Runs a task with this instruction set.
///
/// # Safety
/// The machine has it.
#[inline(always)]
pub(crate) unsafe fn run_at<T: Task>(level: Level, task: T) -> T::Out {
    // SAFETY: as the caller promises.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::run(task),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::run(task),
            #[cfg(target_arch = "aarch64")]
            Level::Neon => task.run::<neon::Neon>(),
            _ => task.run::<scalar::Scalar>(),
        }
    }
}

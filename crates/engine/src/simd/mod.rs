//! Vectors of f32: one source for all instruction sets, with the instruction set selected at run time.
//!
//! Arithmetic is written once, generic over [`Simd`] and always inlined. A [`Task`] is the unit compiled for each instruction
//! set, and [`run`] selects the best one that the CPU supports.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

use std::sync::atomic::{AtomicU8, Ordering};

/// A vector instruction set with `LANES` f32 lanes.
///
/// Arithmetic is safe because it takes vectors, which only unsafe functions create.
pub trait Simd: Copy + 'static {
    /// A vector. Its existence proves that the CPU supports the instruction set.
    type V: Copy;
    /// Number of lanes, at most [`MOST_LANES`].
    const LANES: usize;
    /// Index of the instruction set.
    const LEVEL: usize;
    /// Number of rows of the largest tile that is two vectors wide.
    const ROWS: usize;

    /// A vector with `v` in all lanes.
    ///
    /// # Safety
    /// The CPU must support the instruction set.
    unsafe fn splat(v: f32) -> Self::V;
    /// Loads all lanes from `at`, which need not be aligned.
    ///
    /// # Safety
    /// The CPU must support the instruction set, and `at` must be valid for reads of `LANES` elements.
    unsafe fn load(at: *const f32) -> Self::V;
    /// Prefetches the cache line of an address, which may be invalid.
    ///
    /// # Safety
    /// The CPU must support the instruction set.
    unsafe fn prefetch(at: *const f32);
    /// Loads the first `n` lanes from `at`, or all lanes if `n` is larger; the other lanes are 0.
    ///
    /// # Safety
    /// The CPU must support the instruction set, and `at` must be valid for reads of `min(n, LANES)` elements.
    unsafe fn load_part(at: *const f32, n: usize) -> Self::V;
    /// Stores all lanes to `at`, which need not be aligned.
    ///
    /// # Safety
    /// `at` must be valid for writes of `LANES` elements.
    unsafe fn store(at: *mut f32, v: Self::V);
    /// Stores the first `n` lanes to `at`, or all lanes if `n` is larger.
    ///
    /// # Safety
    /// `at` must be valid for writes of `min(n, LANES)` elements.
    unsafe fn store_part(at: *mut f32, n: usize, v: Self::V);
    /// `a + b`.
    fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a − b`.
    fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b`.
    fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(a: Self::V, b: Self::V) -> Self::V;
    /// The lanewise minimum; `b` if either is NaN or both are 0.
    fn min(a: Self::V, b: Self::V) -> Self::V;
    /// Rounds to the nearest integer, ties to even.
    fn round(v: Self::V) -> Self::V;
    /// `2ⁿ` for integers `n` from -126 to 127; unspecified for other values.
    fn exp2(n: Self::V) -> Self::V;
    /// `a` where `x > 0`, else `b`.
    fn choose(x: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, with a single rounding if the instruction set has fused multiply-add.
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The lanewise maximum; `b` if either is NaN or both are 0.
    fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `b` where it is greater than `a` or NaN, else `a`.
    fn max_or_nan(a: Self::V, b: Self::V) -> Self::V;
    /// `v` where `a = b`, else 0.
    fn where_equal(a: Self::V, b: Self::V, v: Self::V) -> Self::V;
    /// `v` where `x > 0`, else 0.
    fn where_positive(x: Self::V, v: Self::V) -> Self::V;
    /// Whether all lanes are 0.
    fn is_zero(v: Self::V) -> bool;
    /// The sum of all lanes.
    fn sum(v: Self::V) -> f32;
    /// Rounds `2 LANES` consecutive elements, given as two vectors, to pairs of bf16: lane `i` holds elements `2i` and `2i + 1`.
    ///
    /// # Safety
    /// The task must run with [`run_bf16`].
    #[inline(always)]
    unsafe fn round_pairs(first: Self::V, second: Self::V) -> Self::V {
        let _ = (first, second);
        unreachable!("this instruction set has no bf16 pairs")
    }
    /// Rounds two vectors to bf16 and pairs their lanes: lane `i` holds `low[i]` and `high[i]`.
    ///
    /// # Safety
    /// The task must run with [`run_bf16`].
    #[inline(always)]
    unsafe fn zip_pairs(low: Self::V, high: Self::V) -> Self::V {
        let _ = (low, high);
        unreachable!("this instruction set has no bf16 pairs")
    }
    /// `a₀ · b₀ + a₁ · b₁ + c`, where each lane of `a` and `b` holds a pair of bf16 values. Denormal values may count as 0.
    ///
    /// # Safety
    /// The task must run with [`run_bf16`].
    #[inline(always)]
    unsafe fn dot_pairs(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        let _ = (a, b, c);
        unreachable!("this instruction set has no bf16 pairs")
    }
    /// Transposes a block of `LANES` × `LANES` elements with row strides `from.1` and `to.1`.
    ///
    /// # Safety
    /// The CPU must support the instruction set. `from` must be valid for reads and `to` for writes of `LANES` rows of `LANES` elements,
    /// and they must not overlap.
    #[inline(always)]
    unsafe fn transpose(from: (*const f32, usize), to: (*mut f32, usize)) {
        for row in 0..Self::LANES {
            for column in 0..Self::LANES {
                // SAFETY: guaranteed by the caller.
                unsafe { *to.0.add(column * to.1 + row) = *from.0.add(row * from.1 + column) }
            }
        }
    }
}

/// Maximum number of lanes of any instruction set.
pub const MOST_LANES: usize = 16;
/// Number of instruction sets.
pub(crate) const LEVELS: usize = 4;

/// Work that is compiled for each instruction set.
pub trait Task {
    /// The task's result.
    type Out;
    /// Runs the task. This function and everything it calls must be `#[inline(always)]`; otherwise, they are compiled without the
    /// instruction set.
    ///
    /// # Safety
    /// The CPU must support the instruction set.
    unsafe fn run<S: Simd>(self) -> Self::Out;
}

/// A vector instruction set for which kernels are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Level {
    /// Plain arithmetic, without vector instructions.
    Scalar = 1,
    /// NEON: 128 bits, available on every 64-bit ARM CPU.
    Neon = 2,
    /// AVX2: 256 bits, with fused multiply-add.
    Avx2 = 3,
    /// AVX-512: 512 bits.
    Avx512 = 4,
}

impl Level {
    /// The instruction set with this index, as in [`Simd::LEVEL`].
    pub(crate) fn of(number: usize) -> Self {
        [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512][number]
    }

    /// Number of f32 lanes of a vector.
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

/// The instruction set in use: the one named by the environment variable `GRADSCOPE_SIMD` (`scalar`, `neon`, `avx2`, `avx512`) if
/// the CPU supports it, otherwise the best supported one.
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

/// Selects an instruction set, for tests and benchmarks. Does nothing if the CPU does not support it. Weights that are already
/// packed keep using the instruction set they were packed for.
pub fn set_level(level: Level) {
    if available().contains(&level) {
        CHOSEN.store(level as u8, Ordering::Relaxed);
    }
}

/// Whether kernels may multiply pairs of bf16 values; see [`multiplies_bf16`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Bf16 {
    /// If the CPU has an instruction for it.
    Detected,
    /// Never.
    Off,
    /// If the CPU has an instruction for it, or in plain arithmetic if [`Level::Scalar`] is in use. For tests.
    Emulated,
}

static BF16: AtomicU8 = AtomicU8::new(Bf16::Detected as u8);

/// Selects whether kernels may multiply pairs of bf16 values, for tests and benchmarks. Does not affect weights that are already packed.
pub fn set_bf16(bf16: Bf16) {
    BF16.store(bf16 as u8, Ordering::Relaxed);
}

/// Whether the instruction set in use multiplies pairs of bf16 values: AVX-512 on CPUs with AVX512-BF16. Products in AMX tiles are not
/// used.
pub fn multiplies_bf16() -> bool {
    let level = level();
    match BF16.load(Ordering::Relaxed) {
        off if off == Bf16::Off as u8 => false,
        emulated if emulated == Bf16::Emulated as u8 && level == Level::Scalar => true,
        _ => level == Level::Avx512 && has_bf16(),
    }
}

/// Whether the CPU supports AVX512-BF16.
fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        has(Level::Avx512) && is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// The name of an instruction set, as used by the environment variable `GRADSCOPE_SIMD`.
pub fn name(level: Level) -> &'static str {
    match level {
        Level::Scalar => "scalar",
        Level::Neon => "neon",
        Level::Avx2 => "avx2",
        Level::Avx512 => "avx512",
    }
}

/// The instruction sets that this CPU supports, from the slowest to the fastest.
pub fn available() -> Vec<Level> {
    [Level::Scalar, Level::Neon, Level::Avx2, Level::Avx512].into_iter().filter(|&level| has(level)).collect()
}

/// Whether the CPU supports an instruction set. The check is cheap because the standard library caches the result.
fn has(level: Level) -> bool {
    match level {
        Level::Scalar => true,
        Level::Neon => cfg!(target_arch = "aarch64"),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            has(Level::Avx2) && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq")
        }
        #[cfg(not(target_arch = "x86_64"))]
        Level::Avx2 | Level::Avx512 => false,
    }
}

fn best() -> Level {
    available().last().copied().unwrap_or(Level::Scalar)
}

/// Runs a task with the instruction set in use; see [`level`].
pub fn run<T: Task>(task: T) -> T::Out {
    run_with(level(), task)
}

/// Runs a task with the given instruction set.
///
/// # Panics
/// If the CPU does not support the instruction set.
pub(crate) fn run_with<T: Task>(level: Level, task: T) -> T::Out {
    assert!(has(level), "this CPU does not support {}", name(level));
    // SAFETY: the CPU supports the instruction set, as asserted above.
    unsafe { run_at(level, task) }
}

/// Runs a task that multiplies pairs of bf16 values with the given instruction set.
///
/// # Panics
/// If the CPU or the instruction set has no products of bf16 pairs.
pub(crate) fn run_bf16<T: Task>(level: Level, task: T) -> T::Out {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            assert!(has_bf16(), "this CPU does not support AVX512-BF16");
            // SAFETY: the CPU supports the instruction sets, as asserted above.
            unsafe { avx512::run_bf16(task) }
        }
        // SAFETY: plain arithmetic runs everywhere.
        Level::Scalar => unsafe { task.run::<scalar::Scalar>() },
        _ => panic!("{} has no products of bf16 pairs", name(level)),
    }
}

/// Runs a task with the given instruction set, without checking that the CPU supports it.
///
/// # Safety
/// The CPU must support the instruction set.
#[inline(always)]
pub(crate) unsafe fn run_at<T: Task>(level: Level, task: T) -> T::Out {
    // SAFETY: guaranteed by the caller.
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

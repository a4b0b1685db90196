//! Counts the elements of a tensor that are not finite.

use crate::backend::device::runs_portably;
use crate::backend::storage::{Real, by_type, read};
use crate::tensor;
use anyhow::Result;
use candle_core::{DType, Tensor};
use gradscope_engine::thread_team;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of elements per task.
const GRAIN: usize = 16 * 1024;

/// Number of NaN and infinite elements of a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotFinite {
    /// Number of NaN elements.
    pub nan: usize,
    /// Number of infinite elements, of either sign.
    pub infinite: usize,
    /// Total number of elements, including finite ones.
    pub total: usize,
}

impl NotFinite {
    /// Number of elements that are not finite.
    pub fn count(&self) -> usize {
        self.nan + self.infinite
    }
}

impl fmt::Display for NotFinite {
    /// Formats the counts, such as `1 of 1200 is NaN` or `3 of 10 are NaN or infinite`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.nan, self.infinite) {
            (_, 0) => "NaN",
            (0, _) => "infinite",
            _ => "NaN or infinite",
        };
        let verb = if self.count() == 1 { "is" } else { "are" };
        write!(f, "{} of {} {verb} {what}", self.count(), self.total)
    }
}

/// Counts the elements of a tensor that are not finite. Integer tensors have none.
pub fn not_finite(x: &Tensor) -> Result<NotFinite> {
    let total = x.elem_count();
    match x.dtype() {
        DType::F32 | DType::F64 if !runs_portably(x) => by_type!(x, count(x)),
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => Ok(tally(&tensor::numbers(x)?)),
        _ => Ok(NotFinite { total, ..NotFinite::default() }),
    }
}

fn tally<T: Real>(x: &[T]) -> NotFinite {
    let all = x.iter().map(|v| v.to_f64());
    let (nan, infinite) = all.fold((0, 0), |(n, i), v| (n + usize::from(v.is_nan()), i + usize::from(v.is_infinite())));
    NotFinite { nan, infinite, total: x.len() }
}

fn count<T: Real>(x: &Tensor) -> Result<NotFinite> {
    let (nan, infinite) = (AtomicUsize::new(0), AtomicUsize::new(0));
    read::<T, _>(x, |x| {
        thread_team::ranges(x.len(), GRAIN, |range| {
            let part = tally(&x[range]);
            if part.count() > 0 {
                nan.fetch_add(part.nan, Ordering::Relaxed);
                infinite.fetch_add(part.infinite, Ordering::Relaxed);
            }
        });
        Ok(NotFinite { nan: nan.load(Ordering::Relaxed), infinite: infinite.load(Ordering::Relaxed), total: x.len() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn every_non_finite_value_is_counted_wherever_it_is() {
        for dtype in [DType::F32, DType::F64] {
            let mut all = vec![1.0; 40_000];
            (all[0], all[17_000], all[39_999]) = (f64::NAN, f64::INFINITY, f64::NEG_INFINITY);
            let x = Tensor::new(all, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            assert_eq!(not_finite(&x).unwrap(), NotFinite { nan: 1, infinite: 2, total: 40_000 });
            assert_eq!(not_finite(&x.narrow(0, 1, 9).unwrap()).unwrap().count(), 0);
        }
        assert_eq!(not_finite(&Tensor::new(&[1u32, 2], &Device::Cpu).unwrap()).unwrap().to_string(), "0 of 2 are NaN");
    }

    #[test]
    fn counts_are_described_in_words() {
        let told = |nan, infinite| NotFinite { nan, infinite, total: 10 }.to_string();
        assert_eq!(
            [told(1, 0), told(0, 2), told(2, 1)],
            ["1 of 10 is NaN", "2 of 10 are infinite", "3 of 10 are NaN or infinite"]
        );
    }
}

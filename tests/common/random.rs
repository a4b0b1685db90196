//! Random numbers that are reproducible on every machine.

use candle_core::{Device, Tensor};

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, inclusive.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + (self.bits() % (high - low + 1) as u64) as usize
    }

    /// A number below `end`, or 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end.max(1) as u64) as usize
    }

    /// A random element.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Numbers in [-1, 1).
    pub fn uniform(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0).collect()
    }

    /// An f64 tensor with elements in [-1, 1).
    pub fn tensor(&mut self, shape: &[usize]) -> Tensor {
        Tensor::from_vec(self.uniform(shape.iter().product()), shape, &Device::Cpu).unwrap()
    }

    /// An f64 tensor whose elements differ by at least 0.05, and from zero by at least half of that, so that no kink is near.
    pub fn apart(&mut self, shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        let mut values: Vec<f64> = (0..count).map(|i| (i as f64 - count as f64 / 2.0 + 0.5) * 0.05).collect();
        for i in (1..count).rev() {
            values.swap(i, self.between(0, i));
        }
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }
}

/// All elements of a tensor.
pub fn numbers(t: &Tensor) -> Vec<f64> {
    t.to_dtype(candle_core::DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Asserts that two tensors have the same shape and differ by at most `bound` times the largest magnitude.
pub fn assert_close(what: &str, ours: &Tensor, expected: &Tensor, bound: f64) {
    assert_eq!(ours.dims(), expected.dims(), "{what}");
    let (a, b) = (numbers(ours), numbers(expected));
    let size = b.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
    let worst = a.iter().zip(&b).fold(0f64, |m, (a, b)| if (a - b).is_nan() { f64::NAN } else { m.max((a - b).abs()) });
    assert!(worst <= bound * size, "{what}: off by {worst:e}, with values up to {size:e}");
}

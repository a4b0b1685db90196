//! Matrix products computed in parts, so that long ones can be cancelled.

use crate::interrupt;
use anyhow::Result;
use candle_core::Tensor;

/// Number of multiplications between checks for cancellation (tens of milliseconds).
const MOST: usize = 1 << 30;

/// `a · b`, broadcast over all but the last two dimensions; PyTorch's `matmul` for rank 2 and above.
pub fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let rank = a.rank();
    let matrices = |t: &Tensor| t.dims().iter().rev().skip(2).product::<usize>();
    let again = matrices(b).div_ceil(matrices(a).max(1)).max(1);
    let work = a.elem_count().saturating_mul(*b.dims().last().unwrap_or(&1)).saturating_mul(again);
    if rank < 2 || b.rank() < 2 || work <= MOST {
        return Ok(a.broadcast_matmul(b)?);
    }
    let rows = a.dims()[rank - 2];
    let part = (rows as u128 * MOST as u128 / work as u128).max(1) as usize;
    let mut parts = vec![];
    for start in (0..rows).step_by(part) {
        interrupt::check()?;
        parts.push(a.narrow(rank - 2, start, part.min(rows - start))?.broadcast_matmul(b)?);
    }
    Ok(Tensor::cat(&parts, parts[0].rank() - 2)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_product_computed_in_parts_equals_the_whole_product() {
        let numbers = |shape: &[usize]| {
            let count: usize = shape.iter().product();
            let values: Vec<_> = (0..count).map(|i| (i as f32 * 0.754_877).fract() - 0.5).collect();
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        for (a, b) in [(vec![1100, 1000], vec![1000, 1000]), (vec![2, 600, 1000], vec![1000, 1000])] {
            let (a, b) = (numbers(&a), numbers(&b));
            let (parts, whole) = (matmul(&a, &b).unwrap(), a.broadcast_matmul(&b).unwrap());
            assert_eq!(parts.dims(), whole.dims());
            let far = (parts - whole).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(far < 1e-4, "{far}");
        }
    }
}

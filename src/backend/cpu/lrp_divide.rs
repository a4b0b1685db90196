//! LRP's division of relevance by a stabilized denominator, and the relevance that the division absorbs.

use crate::backend::shares::Shares;
use crate::backend::storage::{Real, by_type, read, tensor};
use anyhow::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// Number of elements per task.
const GRAIN: usize = 16 * 1024;
/// Number of independent accumulators.
const LANES: usize = 8;

/// Divides `r` by the stabilized `z`, both `(N, C, …)`, in one pass. Sums are computed in f64, in an order that does not depend
/// on the number of cores.
pub fn lrp_divide(r: &Tensor, z: &Tensor, bias: Option<&Tensor>, epsilon: f64) -> Result<Shares> {
    by_type!(r, divided(r, z, bias, epsilon))
}

fn divided<T: Real>(r: &Tensor, z: &Tensor, bias: Option<&Tensor>, epsilon: f64) -> Result<Shares> {
    let size = r.dims().get(2..).unwrap_or_default().iter().product::<usize>().max(1);
    let bias = bias.map(|b| read::<T, _>(b, |b| Ok(b.to_vec()))).transpose()?;
    let mut s = vec![T::zero(); r.elem_count()];
    let small = T::from_f64(epsilon);
    let map = |i: usize, s: &mut [T], r: &[T], z: &[T]| {
        for ((s, &r), &z) in s.iter_mut().zip(r).zip(z) {
            *s = r / if z >= T::zero() { z + small } else { z - small };
        }
        // Three sums, each with one accumulator per lane: over all elements, over elements with `z > 0`, and over elements with
        // `z = 0`.
        let mut sums = [[0.0; LANES]; 3];
        for (s, z) in s.chunks(LANES).zip(z.chunks(LANES)) {
            for (lane, (s, &z)) in s.iter().zip(z).enumerate() {
                let v = s.to_f64();
                sums[0][lane] += v;
                sums[1][lane] += if z > T::zero() { v } else { 0.0 };
                sums[2][lane] += if z == T::zero() { v } else { 0.0 };
            }
        }
        let [all, above, at] = sums.map(|lanes| lanes.iter().sum::<f64>());
        let bias = bias.as_ref().map_or(0.0, |b| b[i % b.len()].to_f64());
        [bias * all, epsilon * (2.0 * above + at - all), epsilon * at]
    };
    let parts: Vec<_> = read::<T, _>(r, |r| {
        read::<T, _>(z, |z| {
            let maps = s.par_chunks_mut(size).zip(r.par_chunks(size)).zip(z.par_chunks(size)).enumerate();
            Ok(maps.with_min_len(1 + GRAIN / size).map(|(i, ((s, r), z))| map(i, s, r, z)).collect())
        })
    })?;
    let [bias, stabilizer, missing] = parts.iter().fold([0.0; 3], |a, b| std::array::from_fn(|i| a[i] + b[i]));
    Ok(Shares { s: tensor(s, r.dims())?, bias, stabilizer, missing })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn shares_and_sums_match_plain_loops() {
        for shape in [vec![3, 5, 40, 61], vec![2, 7]] {
            let r = Tensor::rand(-1f64, 1.0, shape.as_slice(), &Device::Cpu).unwrap();
            let z = Tensor::rand(-1f64, 1.0, shape.as_slice(), &Device::Cpu).unwrap();
            let z = (z.relu().unwrap() - 0.2).unwrap().relu().unwrap() * -1.0;
            let z = z.unwrap();
            let b = Tensor::rand(-1f64, 1.0, shape[1], &Device::Cpu).unwrap();
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let (rv, zv, bv) = (flat(&r), flat(&z), flat(&b));
            let size: usize = shape[2..].iter().product();
            let s: Vec<_> =
                rv.iter().zip(&zv).map(|(r, z)| r / (z + 0.25 * if *z >= 0.0 { 1.0 } else { -1.0 })).collect();
            let ours = lrp_divide(&r, &z, Some(&b), 0.25).unwrap();
            let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{a} and {b}");
            flat(&ours.s).iter().zip(&s).for_each(|(a, b)| near(*a, *b));
            near(ours.bias, s.iter().enumerate().map(|(i, s)| s * bv[i / size % bv.len()]).sum());
            let kept = |zero: bool| {
                let places = s.iter().zip(&zv).filter(move |(_, z)| (**z == 0.0) == zero);
                places.map(|(s, z)| 0.25 * s * if zero { 1.0 } else { z.signum() }).sum::<f64>()
            };
            near(ours.stabilizer, kept(false));
            near(ours.missing, kept(true));
            let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
            let f32s = lrp_divide(&single(&r), &single(&z), None, 0.25).unwrap();
            assert!(f32s.bias == 0.0 && (f32s.stabilizer - ours.stabilizer).abs() < 1e-3);
        }
    }
}

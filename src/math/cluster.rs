//! Clustering: the graph Laplacian, k-means and the adjusted Rand index.

use super::neighbours::{Metric, neighbours};
use crate::interrupt::pass;
use crate::math::leading;
use anyhow::{Result, ensure};
use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Maximum number of points of a graph Laplacian, which is a dense matrix.
const MOST: usize = 4096;
/// Maximum number of k-means iterations.
const ROUNDS: usize = 300;
/// Number of k-means initializations.
const BEGINNINGS: u64 = 10;

/// The `q` smallest eigenvalues, in ascending order, and their eigenvectors `(N, q)` of the normalized graph Laplacian
/// `I − D^-½ W D^-½`. W connects each of the points `(N, D)` with its `k` nearest neighbors, as in spectral clustering and SpRAy. `tick` is
/// called between blocks of points.
///
/// Errors if there are fewer than 3 or more than 4,096 points.
pub fn laplacian(
    points: &Tensor,
    k: usize,
    q: usize,
    tick: &dyn Fn(usize) -> Result<()>,
) -> Result<(Vec<f64>, Tensor)> {
    let n = points.dims2()?.0;
    ensure!((3..=MOST).contains(&n), "a nearest-neighbor graph needs 3 to {MOST} points, got {n}");
    let (k, q) = (k.clamp(1, n - 1), q.clamp(1, n));
    let near = neighbours(points, points, k, Metric::Euclidean, true, tick)?;
    let mut w = vec![0f64; n * n];
    for (i, index) in near.index.chunks(k).enumerate() {
        for &j in index {
            // Each side adds half an edge, so an edge between mutual neighbors weighs twice as much.
            w[i * n + j as usize] += 0.5;
            w[j as usize * n + i] += 0.5;
        }
    }
    let degree: Vec<f64> = w.chunks(n).map(|row| row.iter().sum::<f64>().sqrt()).collect();
    for i in 0..n {
        for j in 0..n {
            w[i * n + j] /= degree[i] * degree[j];
        }
        // The matrix is now 2I minus the Laplacian. It is positive semidefinite, and its largest eigenvalues correspond to the
        // smallest ones of the Laplacian.
        w[i * n + i] += 1.0;
    }
    tick(n)?;
    let w = Tensor::from_vec(w, (n, n), &Device::Cpu)?;
    let vectors = leading(&w, q)?;
    let values = (w.matmul(&vectors)? * &vectors)?.sum(0)?.to_vec1::<f64>()?;
    Ok((values.into_iter().map(|v| (2.0 - v).max(0.0)).collect(), vectors))
}

/// Assigns each of the points `(N, D)` to one of `k` clusters by Lloyd's k-means, keeping the best of ten k-means++
/// initializations. Clusters are numbered by descending size.
///
/// Errors if `k` is 0 or above the number of points.
pub fn kmeans(points: &Tensor, k: usize, seed: u64) -> Result<Vec<usize>> {
    let rows = points.to_device(&Device::Cpu)?.to_dtype(candle_core::DType::F64)?.to_vec2::<f64>()?;
    ensure!((1..=rows.len()).contains(&k), "cannot form {k} clusters from {} points", rows.len());
    let tries = (0..BEGINNINGS).map(|i| lloyd(&rows, beginning(&rows, k, seed ^ i << 32)));
    let best = tries.min_by(|a, b| a.1.total_cmp(&b.1)).map(|t| t.0).unwrap_or_default();
    let count = |c: usize| best.iter().filter(|&&b| b == c).count();
    let mut order: Vec<_> = (0..k).collect();
    order.sort_by_key(|&c| std::cmp::Reverse(count(c)));
    let mut number = vec![0; k];
    order.into_iter().enumerate().for_each(|(new, old)| number[old] = new);
    Ok(best.into_iter().map(|c| number[c]).collect())
}

fn far(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Samples `k` initial centers by k-means++ (Arthur & Vassilvitskii 2007).
fn beginning(rows: &[Vec<f64>], k: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut centers = vec![rows[random.random_range(0..rows.len())].clone()];
    let mut distance = vec![f64::INFINITY; rows.len()];
    while centers.len() < k {
        pass();
        let last = &centers[centers.len() - 1];
        distance.iter_mut().zip(rows).for_each(|(d, row)| *d = d.min(far(row, last)));
        let mut left = random.random::<f64>() * distance.iter().sum::<f64>();
        let next = distance
            .iter()
            .position(|d| {
                left -= d;
                left <= 0.0
            })
            .unwrap_or(rows.len() - 1);
        centers.push(rows[next].clone());
    }
    centers
}

/// Runs Lloyd's algorithm. Returns the cluster of each point and the sum of squared distances to the centers.
fn lloyd(rows: &[Vec<f64>], mut centers: Vec<Vec<f64>>) -> (Vec<usize>, f64) {
    let mut own = vec![usize::MAX; rows.len()];
    for _ in 0..ROUNDS {
        let nearest = |row: &Vec<f64>| {
            pass();
            let mut best = (f64::INFINITY, 0);
            centers.iter().enumerate().for_each(|(c, center)| {
                let d = far(row, center);
                if d < best.0 {
                    best = (d, c)
                }
            });
            best.1
        };
        let next: Vec<_> = rows.iter().map(nearest).collect();
        if next == own {
            break;
        }
        own = next;
        for (c, center) in centers.iter_mut().enumerate() {
            pass();
            let members: Vec<_> = rows.iter().zip(&own).filter(|(_, o)| **o == c).map(|(r, _)| r).collect();
            if !members.is_empty() {
                let mean = |d: usize| members.iter().map(|m| m[d]).sum::<f64>() / members.len() as f64;
                *center = (0..center.len()).map(mean).collect();
            }
        }
    }
    let sum = rows.iter().zip(&own).map(|(row, &c)| far(row, &centers[c])).sum();
    (own, sum)
}

/// The adjusted Rand index of two clusterings of the same points: 1 for identical clusterings, about 0 for chance agreement
/// (Hubert & Arabie 1985).
///
/// Errors if the lengths differ or if there are fewer than two points.
pub fn adjusted_rand(a: &[usize], b: &[usize]) -> Result<f64> {
    ensure!(a.len() == b.len() && a.len() > 1, "cannot compare clusterings of {} and {} points", a.len(), b.len());
    let classes = |x: &[usize]| x.iter().max().map_or(0, |m| m + 1);
    let (rows, columns) = (classes(a), classes(b));
    let mut table = vec![0f64; rows * columns];
    a.iter().zip(b).for_each(|(&i, &j)| table[i * columns + j] += 1.0);
    let pairs = |n: f64| n * (n - 1.0) / 2.0;
    let of = |x: &[usize], c: usize| pairs(x.iter().filter(|&&v| v == c).count() as f64);
    let both: f64 = table.iter().map(|&n| pairs(n)).sum();
    let (left, right): (f64, f64) = ((0..rows).map(|c| of(a, c)).sum(), (0..columns).map(|c| of(b, c)).sum());
    let chance = left * right / pairs(a.len() as f64);
    let most = (left + right) / 2.0;
    Ok(if most == chance { 1.0 } else { (both - chance) / (most - chance) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix of `count` clusters of 20 points each in the plane.
    fn heaps(count: usize) -> Tensor {
        let part = |i: usize, g: f64| ((i * i) as f64 * g).fract();
        let point = |i: usize| [10.0 * (i / 20) as f64 + part(i, 0.754_877_666), part(i, 0.569_840_29)];
        let values: Vec<f64> = (0..20 * count).flat_map(point).collect();
        Tensor::from_vec(values, (20 * count, 2), &Device::Cpu).unwrap()
    }

    fn known(count: usize) -> Vec<usize> {
        (0..20 * count).map(|i| i / 20).collect()
    }

    #[test]
    fn the_laplacian_has_a_zero_eigenvalue_for_each_connected_component() {
        let (values, vectors) = laplacian(&heaps(3), 5, 5, &|_| Ok(())).unwrap();
        assert!(values[..3].iter().all(|v| *v < 1e-8) && values[3] > 0.01, "{values:?}");
        let clusters = kmeans(&vectors.narrow(1, 0, 3).unwrap(), 3, 0).unwrap();
        assert_eq!(adjusted_rand(&clusters, &known(3)).unwrap(), 1.0);
    }

    #[test]
    fn k_means_finds_blobs_and_numbers_them_by_size() {
        let points = Tensor::cat(&[heaps(2), heaps(1)], 0).unwrap();
        let clusters = kmeans(&points, 2, 7).unwrap();
        assert!(
            clusters[..20].iter().chain(&clusters[40..]).all(|c| *c == 0) && clusters[20..40].iter().all(|c| *c == 1)
        );
        assert!(kmeans(&points, 61, 0).is_err());
    }

    #[test]
    fn the_adjusted_rand_index_is_one_for_equal_clusterings_and_scikit_learns_otherwise() {
        assert_eq!(adjusted_rand(&[0, 0, 1, 1], &[1, 1, 0, 0]).unwrap(), 1.0);
        let near = adjusted_rand(&[0, 0, 1, 2], &[0, 0, 1, 1]).unwrap();
        assert!((near - 0.571_428_571).abs() < 1e-8);
        assert!((adjusted_rand(&[0, 0, 1, 1], &[0, 1, 0, 1]).unwrap() + 0.5).abs() < 1e-12);
    }
}

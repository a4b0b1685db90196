//! Exact nearest neighbors: candidates are found with f32 matrix products, then ranked by f64 distances.

use crate::backend;
use crate::tensor::{numbers, wide};
use anyhow::{Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use std::str::FromStr;

/// Number of distances computed per block of queries.
const BLOCK: usize = 1 << 23;
/// Number of extra candidates beyond `k`, since f32 may misorder nearly equal distances.
const BESIDE: usize = 8;

/// A distance metric between two points `a` and `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The Euclidean distance `‖a − b‖`.
    Euclidean,
    /// The cosine distance `1 − a·b / (‖a‖ ‖b‖)`.
    Cosine,
}

/// The nearest neighbors of each query point, nearest first.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// Number of neighbors of each query.
    pub k: usize,
    /// Indices of the neighbors, `k` for each query.
    pub index: Vec<u32>,
    /// Distances to the neighbors, in the order of `index`.
    pub distance: Vec<f64>,
}

impl FromStr for Metric {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "euclidean" => Ok(Self::Euclidean),
            "cosine" => Ok(Self::Cosine),
            other => bail!("no distance named \"{other}\"; use euclidean or cosine"),
        }
    }
}

/// Finds, among `points` `(N, D)`, the `k` nearest to each of `queries` `(Q, D)`; ties are broken in favor of the lower index. With
/// `other`, the queries are the points themselves, and a point is not its own neighbor. `tick` is called with the index of the
/// first query of each block.
///
/// Errors if the dimensions differ, if there are fewer than `k` candidate points, or if `tick` returns an error.
pub fn neighbours(
    queries: &Tensor,
    points: &Tensor,
    k: usize,
    metric: Metric,
    other: bool,
    tick: &dyn Fn(usize) -> Result<()>,
) -> Result<Neighbours> {
    let ((q, d), (n, width)) = (queries.dims2()?, points.dims2()?);
    ensure!(d == width, "cannot compare points of dimension {width} with queries of dimension {d}");
    let most = n - usize::from(other && n > 0);
    ensure!((1..=most).contains(&k), "cannot find {k} neighbors among {most} points");
    let near = Near::new(queries, points, metric)?;
    let mut found = Neighbours { k, ..Neighbours::default() };
    let rows = (BLOCK / n).clamp(1, q.max(1));
    for start in (0..q).step_by(rows) {
        tick(start)?;
        let of = near.block(start, rows.min(q - start), k, other)?;
        for (index, distance) in of.into_iter().flatten() {
            found.index.push(index);
            found.distance.push(distance);
        }
    }
    Ok(found)
}

/// Queries and points, in f64 for distances and f32 for matrix products.
struct Near {
    metric: Metric,
    width: usize,
    queries: Vec<f64>,
    points: Vec<f64>,
    /// Queries in f32, centered (Euclidean) or normalized to length 1 (cosine), `(Q, D)`.
    left: Tensor,
    /// Points in f32, centered or normalized like the queries and transposed: `(D, N)`.
    right: Tensor,
    squares: Vec<f32>,
}

impl Near {
    fn new(queries: &Tensor, points: &Tensor, metric: Metric) -> Result<Self> {
        let (queries, points) = (&queries.to_device(&Device::Cpu)?, &points.to_device(&Device::Cpu)?);
        let prepared = |x: &Tensor| -> Result<Tensor> {
            let x = match metric {
                Metric::Euclidean => x.broadcast_sub(&points.mean_keepdim(0)?)?,
                Metric::Cosine => {
                    let x = wide(x)?;
                    backend::divide_no_nan(&x, &x.sqr()?.sum_keepdim(1)?.sqrt()?)?
                }
            };
            Ok(x.to_dtype(DType::F32)?)
        };
        let (left, right) = (prepared(queries)?, prepared(points)?);
        let squares = right.sqr()?.sum(1)?.to_vec1()?;
        let right = right.t()?.contiguous()?;
        Ok(Self {
            metric,
            width: points.dims()[1],
            queries: numbers(queries)?,
            points: numbers(points)?,
            left,
            right,
            squares,
        })
    }

    /// The neighbors of `rows` consecutive queries starting at index `start`.
    fn block(&self, start: usize, rows: usize, k: usize, other: bool) -> Result<Vec<Vec<(u32, f64)>>> {
        let products = self.left.narrow(0, start, rows)?.matmul(&self.right)?.flatten_all()?.to_vec1::<f32>()?;
        let n = self.squares.len();
        let of = |(row, products): (usize, &[f32])| {
            let own = if other { start + row } else { usize::MAX };
            let far = |j: usize| self.squares[j] - 2.0 * products[j];
            let near = least(n, own, (k + BESIDE).min(n), far);
            let mut near: Vec<_> = near.into_iter().map(|j| (j, self.distance(start + row, j as usize))).collect();
            near.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            near.truncate(k);
            near
        };
        Ok(products.par_chunks(n).enumerate().map(of).collect())
    }

    /// The f64 distance between a query and a point.
    fn distance(&self, query: usize, point: usize) -> f64 {
        let (a, b) = (self.row(&self.queries, query), self.row(&self.points, point));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        match self.metric {
            Metric::Euclidean => a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
            Metric::Cosine => {
                let lengths = dot(a, a).sqrt() * dot(b, b).sqrt();
                if lengths > 0.0 { 1.0 - dot(a, b) / lengths } else { 1.0 }
            }
        }
    }

    fn row<'a>(&self, of: &'a [f64], i: usize) -> &'a [f64] {
        &of[i * self.width..(i + 1) * self.width]
    }
}

/// The `count` indices below `n`, other than `own`, at which `value` is smallest, in ascending order of `value`.
fn least(n: usize, own: usize, count: usize, value: impl Fn(usize) -> f32) -> Vec<u32> {
    let mut kept: Vec<(f32, u32)> = Vec::with_capacity(4 * count);
    let mut bound = f32::INFINITY;
    let by_value = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    for j in (0..n).filter(|&j| j != own) {
        let v = value(j);
        // NaN counts as farthest.
        if v > bound {
            continue;
        }
        kept.push((v, j as u32));
        if kept.len() == 4 * count {
            kept.select_nth_unstable_by(count - 1, by_value);
            kept.truncate(count);
            bound = kept[count - 1].0;
        }
    }
    kept.sort_by(by_value);
    kept.into_iter().take(count).map(|(_, j)| j).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(n: usize, d: usize, far: f64) -> Tensor {
        let values: Vec<f64> = (1..=n * d).map(|i| far + ((i * i) as f64 * 0.754_877_666).fract()).collect();
        Tensor::from_vec(values, (n, d), &Device::Cpu).unwrap()
    }

    fn of(points: &Tensor, k: usize, metric: Metric) -> Neighbours {
        neighbours(points, points, k, metric, true, &|_| Ok(())).unwrap()
    }

    #[test]
    fn neighbors_agree_with_a_comparison_of_all_pairs() {
        for metric in [Metric::Euclidean, Metric::Cosine] {
            let points = drawn(70, 5, 0.0);
            let rows = points.to_vec2::<f64>().unwrap();
            let found = of(&points, 6, metric);
            let near = Near::new(&points, &points, metric).unwrap();
            for i in 0..rows.len() {
                let mut all: Vec<_> = (0..70).filter(|&j| j != i).map(|j| (near.distance(i, j), j as u32)).collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0));
                let expected: Vec<_> = all[..6].iter().map(|p| p.1).collect();
                assert_eq!(found.index[i * 6..(i + 1) * 6], expected);
            }
        }
    }

    #[test]
    fn points_far_from_zero_keep_their_neighbors() {
        let (near, far) = (of(&drawn(50, 4, 0.0), 3, Metric::Euclidean), of(&drawn(50, 4, 1e4), 3, Metric::Euclidean));
        assert_eq!(near.index, far.index);
    }

    #[test]
    fn duplicate_points_are_each_others_nearest_neighbors() {
        let points = Tensor::new(&[[1f32, 2.], [5., 5.], [1., 2.], [0., 0.]], &Device::Cpu).unwrap();
        let found = of(&points, 1, Metric::Euclidean);
        assert_eq!(found.index, [2, 0, 0, 0]);
        assert_eq!(found.distance[0], 0.0);
    }

    #[test]
    fn more_neighbors_than_points_is_an_error() {
        let points = drawn(4, 2, 0.0);
        assert!(neighbours(&points, &points, 4, Metric::Cosine, true, &|_| Ok(())).is_err());
        assert!(neighbours(&points, &drawn(4, 3, 0.0), 1, Metric::Cosine, false, &|_| Ok(())).is_err());
        assert!("manhattan".parse::<Metric>().is_err());
    }
}

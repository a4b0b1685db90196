//! Agglomerative clustering by complete linkage.

use super::neighbours::Metric;
use crate::interrupt::pass;
use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};

/// Maximum number of points; their distances are stored as a dense matrix.
const MOST: usize = 4096;

/// The cluster of each of the points `(N, D)`: clusters are merged, closest first, while the largest distance between two of their
/// points is at most `threshold`. Clusters are numbered by their first points.
///
/// Errors if there are more than 4,096 points.
pub fn complete_linkage(points: &Tensor, threshold: f64, metric: Metric) -> Result<Vec<usize>> {
    let n = points.dims2()?.0;
    ensure!(n <= MOST, "complete linkage takes at most {MOST} points, got {n}");
    let mut distance = distances(points, metric)?;
    let mut cluster: Vec<usize> = (0..n).collect();
    let mut alive: Vec<usize> = (0..n).collect();
    let mut chain: Vec<usize> = vec![];
    // Follows nearest neighbors until two clusters are nearest to each other. The resulting clusters do not depend on the order of merges.
    while alive.len() > 1 {
        pass();
        let top = *chain.last().unwrap_or(&alive[0]);
        if chain.is_empty() {
            chain.push(top);
        }
        let before = chain.len().checked_sub(2).map(|i| chain[i]);
        let at = |other: usize| distance[top * n + other];
        let others = alive.iter().copied().filter(|&other| other != top);
        // On a tie the previous cluster wins, so that the chain ends.
        let nearest =
            others.min_by(|&a, &b| at(a).total_cmp(&at(b)).then((Some(b) == before).cmp(&(Some(a) == before))));
        let Some(nearest) = nearest else { break };
        if Some(nearest) != before {
            chain.push(nearest);
            continue;
        }
        chain.truncate(chain.len() - 2);
        let (kept, gone) = (top.min(nearest), top.max(nearest));
        alive.retain(|&id| id != gone);
        // Merge distances never decrease, so clusters farther apart than the threshold are final and stay separate.
        if at(nearest) <= threshold {
            cluster.iter_mut().filter(|c| **c == gone).for_each(|c| *c = kept);
        }
        for &other in alive.iter().filter(|&&other| other != kept) {
            let largest = distance[kept * n + other].max(distance[gone * n + other]);
            distance[kept * n + other] = largest;
            distance[other * n + kept] = largest;
        }
    }
    Ok(numbered(&cluster))
}

/// The clusters, numbered in the order in which they occur.
fn numbered(cluster: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = vec![];
    let mut number = |c: &usize| match order.iter().position(|o| o == c) {
        Some(i) => i,
        None => {
            order.push(*c);
            order.len() - 1
        }
    };
    cluster.iter().map(&mut number).collect()
}

/// The distances between all pairs of points, `N × N`.
fn distances(points: &Tensor, metric: Metric) -> Result<Vec<f64>> {
    let x = points.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let x = match metric {
        Metric::Euclidean => x,
        Metric::Cosine => {
            let length = x.sqr()?.sum_keepdim(1)?.sqrt()?;
            x.broadcast_div(&length.maximum(f64::MIN_POSITIVE)?)?
        }
    };
    let dot = x.matmul(&x.t()?.contiguous()?)?;
    let distance = match metric {
        Metric::Cosine => (1.0 - dot)?,
        Metric::Euclidean => {
            let square = x.sqr()?.sum_keepdim(1)?;
            (dot * -2.0)?.broadcast_add(&square)?.broadcast_add(&square.t()?)?.maximum(0.0)?.sqrt()?
        }
    };
    Ok(distance.flatten_all()?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(points: &[f64], threshold: f64) -> Vec<usize> {
        let points = Tensor::from_slice(points, (points.len(), 1), &Device::Cpu).unwrap();
        complete_linkage(&points, threshold, Metric::Euclidean).unwrap()
    }

    #[test]
    fn clusters_are_no_wider_than_the_threshold() {
        assert_eq!(of(&[0.0, 10.0, 1.0, 11.0, 2.5], 1.0), [0, 1, 0, 1, 2]);
        assert_eq!(of(&[0.0, 10.0, 1.0, 11.0, 2.5], 3.0), [0, 1, 0, 1, 0]);
        assert_eq!(of(&[0.0, 10.0, 1.0, 11.0, 2.5], 11.0), [0; 5]);
        assert_eq!(of(&[3.0], 1.0), [0]);
        assert_eq!(of(&[2.0, 2.0, 2.0], 0.0), [0; 3]);
    }

    /// Merges the closest two clusters, one pair after another.
    fn plain(points: &[f64], threshold: f64) -> Vec<usize> {
        let mut clusters: Vec<Vec<usize>> = (0..points.len()).map(|i| vec![i]).collect();
        let apart = |a: &[usize], b: &[usize]| {
            let pairs = a.iter().flat_map(|&i| b.iter().map(move |&j| (points[i] - points[j]).abs()));
            pairs.fold(0.0, f64::max)
        };
        loop {
            let pairs = (0..clusters.len()).flat_map(|i| (i + 1..clusters.len()).map(move |j| (i, j)));
            let best = pairs
                .min_by(|a, b| apart(&clusters[a.0], &clusters[a.1]).total_cmp(&apart(&clusters[b.0], &clusters[b.1])));
            match best {
                Some((i, j)) if apart(&clusters[i], &clusters[j]) <= threshold => {
                    let gone = clusters.remove(j);
                    clusters[i].extend(gone);
                }
                _ => break,
            }
        }
        let of = |point: usize| clusters.iter().position(|c| c.contains(&point)).unwrap();
        numbered(&(0..points.len()).map(of).collect::<Vec<_>>())
    }

    #[test]
    fn the_clusters_are_those_of_merging_the_closest_pair_again_and_again() {
        let points: Vec<_> = (0..60).map(|i| ((i * i + 3) as f64 * 0.754_877_666).fract() * 20.0).collect();
        for threshold in [0.1, 0.5, 1.0, 2.0, 5.0, 30.0] {
            assert_eq!(of(&points, threshold), plain(&points, threshold), "{threshold}");
        }
    }
}

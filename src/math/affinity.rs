//! t-SNE affinities: a probability for each pair of neighboring points.

use super::neighbours::Neighbours;
use anyhow::{Result, ensure};
use rayon::prelude::*;

/// Maximum number of bisection steps in the search for β.
const HALVINGS: usize = 200;
/// Tolerance for the entropy in the search for β, in nats.
const NEAR: f64 = 1e-8;

/// The sparse symmetric matrix `p_ij` of affinities, whose elements sum to 1. Only pairs of neighbors are stored, row by row.
#[derive(Clone, Debug, Default)]
pub struct Affinities {
    /// Start of each point's row in `index` and `p`, followed by the total number of pairs.
    pub start: Vec<usize>,
    /// Index of the second point of each pair.
    pub index: Vec<u32>,
    /// The affinity `p_ij` of each pair.
    pub p: Vec<f64>,
    /// The perplexity for which the affinities were computed.
    pub perplexity: f64,
}

impl Affinities {
    /// Computes `p_ij = (p_j|i + p_i|j) / 2N` with `p_j|i ∝ exp(−β_i d_ij²)`, where each β is chosen so that the entropy of
    /// `p_·|i` is the logarithm of the perplexity (van der Maaten & Hinton 2008, eq. 1). `near` holds each point's neighbors,
    /// excluding the point itself.
    ///
    /// Errors if the perplexity is below 1 or above the number of neighbors.
    pub fn of(near: &Neighbours, perplexity: f64) -> Result<Self> {
        let k = near.k.max(1);
        ensure!(
            (1.0..=k as f64).contains(&perplexity),
            "cannot use a perplexity of {perplexity} with {k} neighbors; the perplexity must be between 1 and {k}"
        );
        let n = near.index.len() / k;
        let wanted = perplexity.ln();
        let given: Vec<Vec<f64>> = near.distance.par_chunks(k).map(|d| conditional(d, wanted)).collect();
        let mut pairs: Vec<Vec<(u32, f64)>> = vec![vec![]; n];
        for (i, (index, p)) in near.index.chunks(k).zip(&given).enumerate() {
            for (&j, &p) in index.iter().zip(p) {
                pairs[i].push((j, p));
                pairs[j as usize].push((i as u32, p));
            }
        }
        pairs.par_iter_mut().for_each(merge);
        let mut all = Self { start: vec![0], perplexity, ..Self::default() };
        for row in pairs {
            all.index.extend(row.iter().map(|pair| pair.0));
            all.p.extend(row.iter().map(|pair| pair.1 / (2 * n) as f64));
            all.start.push(all.index.len());
        }
        Ok(all)
    }

    /// Whether the matrix is consistent and all indices are in range. Needed because it may come from an untrusted file.
    pub fn is_sound(&self) -> bool {
        let (n, pairs) = (self.count(), self.index.len());
        let rising = self.start.is_sorted() && self.start.first() == Some(&0) && self.start.last() == Some(&pairs);
        rising && self.p.len() == pairs && self.index.iter().all(|&i| (i as usize) < n)
    }

    /// Number of points in the matrix.
    pub fn count(&self) -> usize {
        self.start.len().saturating_sub(1)
    }

    /// The indices of the neighbors of point `i`, with their probabilities.
    pub fn row(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let row = self.start[i]..self.start[i + 1];
        self.index[row.clone()].iter().zip(&self.p[row]).map(|(&j, &p)| (j as usize, p))
    }
}

/// Computes `p_j|i` with entropy `wanted` from the distances of point `i` to its neighbors.
fn conditional(distance: &[f64], wanted: f64) -> Vec<f64> {
    let least = distance.iter().copied().fold(f64::INFINITY, f64::min).powi(2);
    // If all distances are equal, the probabilities do not depend on β.
    let d: Vec<f64> = distance.iter().map(|d| d * d - least).collect();
    let mean = d.iter().sum::<f64>() / d.len() as f64;
    let (mut low, mut high, mut beta) = (0.0, f64::INFINITY, if mean > 0.0 { 1.0 / mean } else { 1.0 });
    for _ in 0..HALVINGS {
        let (sum, along) =
            d.iter().map(|d| ((-beta * d).exp(), d)).fold((0.0, 0.0), |s, (e, d)| (s.0 + e, s.1 + e * d));
        let entropy = sum.ln() + beta * along / sum;
        if (entropy - wanted).abs() < NEAR {
            break;
        }
        if entropy > wanted {
            low = beta
        } else {
            high = beta
        }
        beta = if high.is_finite() { (low + high) / 2.0 } else { beta * 2.0 };
    }
    let e: Vec<f64> = d.iter().map(|d| (-beta * d).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.into_iter().map(|e| e / sum).collect()
}

/// Sorts the pairs of a row by their second point and sums duplicates.
fn merge(row: &mut Vec<(u32, f64)>) {
    row.sort_by_key(|pair| pair.0);
    row.dedup_by(|b, a| {
        a.0 == b.0 && {
            a.1 += b.1;
            true
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: usize) -> Neighbours {
        let others = |i: usize| (0..n).filter(move |&j| j != i);
        Neighbours {
            k: n - 1,
            index: (0..n).flat_map(|i| others(i).map(|j| j as u32)).collect(),
            distance: (0..n).flat_map(|i| others(i).map(move |j| (i as f64 - j as f64).abs())).collect(),
        }
    }

    #[test]
    fn probabilities_are_symmetric_and_sum_to_one() {
        let p = Affinities::of(&line(12), 4.0).unwrap();
        assert!((p.p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        for i in 0..12 {
            for (j, v) in p.row(i) {
                assert!(p.row(j).any(|(back, w)| back == i && (v - w).abs() < 1e-15));
            }
        }
    }

    #[test]
    fn the_entropy_of_each_row_is_the_logarithm_of_the_perplexity() {
        for perplexity in [1.5, 3.0, 8.0] {
            let p = conditional(&line(12).distance[..11], f64::ln(perplexity));
            let entropy: f64 = p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
            assert!((entropy.exp() - perplexity).abs() < 1e-6);
        }
    }

    #[test]
    fn coincident_points_have_equal_probabilities() {
        assert_eq!(conditional(&[0.0; 4], f64::ln(2.0)), [0.25; 4]);
        assert!(Affinities::of(&line(3), 30.0).is_err());
    }
}

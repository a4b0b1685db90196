//! t-SNE: a 2-D embedding that keeps neighboring points close together, found by gradient descent.
//!
//! The method is by van der Maaten & Hinton 2008; schedule, learning rates and clipping follow openTSNE.

use super::affinity::Affinities;
use super::repulsion::{Point, Repulsion, exact};
use anyhow::{Result, ensure};
use rayon::prelude::*;
use std::sync::Arc;

/// Constant added to a gain whenever the gain shrinks, which keeps it positive.
const LEAST_GAIN: f64 = 0.01;
/// Maximum distance a point moves in one iteration.
const LONGEST: f64 = 5.0;

/// An embedding and the state of its optimization.
#[derive(Clone, Debug)]
pub struct Tsne {
    /// The affinities `p_ij`.
    pub affinities: Arc<Affinities>,
    /// The positions of the points, with mean 0.
    pub y: Vec<Point>,
    /// `KL(P‖Q) = Σ p log (p / q)` before the last iteration; NaN before the first one.
    pub kl: f64,
    /// Number of iterations run so far.
    pub iterations: usize,
    /// The displacement of each point in the last iteration.
    pub update: Vec<Point>,
    /// The gain of each coordinate of each point, which multiplies the learning rate.
    pub gains: Vec<Point>,
}

/// Parameters of gradient descent.
#[derive(Clone, Copy, Debug)]
pub struct Descent {
    /// Number of iterations.
    pub iterations: usize,
    /// Factor on the attractive forces (early exaggeration): usually 12 at first, then 1.
    pub exaggeration: f64,
    /// Learning rate [default: the number of points divided by the exaggeration].
    pub rate: Option<f64>,
    /// Momentum: the fraction of the last displacement that is added to the next.
    pub momentum: f64,
}

/// The KL divergence of an embedding, and its gradient with respect to the position of each point.
#[derive(Clone, Debug)]
pub struct Slope {
    /// The KL divergence `Σ p log (p / q)`.
    pub kl: f64,
    /// The gradient `Σ_j (e p_ij − q_ij) (y_i − y_j) / (1 + d²)` of each point, with exaggeration `e`: a quarter of the true
    /// gradient.
    pub gradient: Vec<Point>,
}

impl Tsne {
    /// An embedding that starts from the positions `y`, one for each point.
    ///
    /// Errors if the number of positions differs from the number of points, or if a position is not finite.
    pub fn new(affinities: Arc<Affinities>, y: Vec<Point>) -> Result<Self> {
        let n = affinities.count();
        ensure!(y.len() == n, "got {} initial positions for {n} points", y.len());
        ensure!(y.iter().flatten().all(|v| v.is_finite()), "an initial position is not finite");
        Ok(Self { affinities, y, kl: f64::NAN, iterations: 0, update: vec![[0.0; 2]; n], gains: vec![[1.0; 2]; n] })
    }

    /// Runs `how.iterations` iterations; `tick` is called before each.
    ///
    /// Errors if `tick` returns an error, or if positions are no longer finite.
    pub fn descend(&mut self, how: Descent, tick: &dyn Fn(usize) -> Result<()>) -> Result<()> {
        let rate = how.rate.unwrap_or(self.y.len() as f64 / how.exaggeration);
        let mut repulsion = Repulsion::default();
        for i in 0..how.iterations {
            tick(i)?;
            let last = i + 1 == how.iterations;
            let slope = slope(&self.affinities, &self.y, how.exaggeration, repulsion.of(&self.y), last);
            if last {
                self.kl = slope.kl;
            }
            self.go(&slope.gradient, rate, how.momentum);
            self.iterations += 1;
        }
        ensure!(
            self.y.iter().flatten().all(|v| v.is_finite()),
            "the positions are no longer finite; use a smaller learning rate"
        );
        Ok(())
    }

    /// Moves the points by one step with momentum and per-coordinate gains. A gain shrinks if the last displacement and the
    /// gradient have the same sign, and grows otherwise (Jacobs 1988).
    fn go(&mut self, gradient: &[Point], rate: f64, momentum: f64) {
        let points = self.y.iter_mut().zip(&mut self.update).zip(self.gains.iter_mut().zip(gradient));
        for ((y, update), (gains, gradient)) in points {
            for k in 0..2 {
                let same = sign(update[k]) == sign(gradient[k]);
                gains[k] = if same { gains[k] * 0.8 + LEAST_GAIN } else { gains[k] + 0.2 };
                update[k] = momentum * update[k] - rate * gains[k] * gradient[k];
            }
            let length = update[0].hypot(update[1]);
            let part = if length > LONGEST { LONGEST / length } else { 1.0 };
            for k in 0..2 {
                update[k] *= part;
                y[k] += update[k];
            }
        }
        let n = self.y.len().max(1) as f64;
        let mean = [0, 1].map(|k| self.y.iter().map(|p| p[k]).sum::<f64>() / n);
        self.y.iter_mut().for_each(|p| *p = [p[0] - mean[0], p[1] - mean[1]]);
    }

    /// The KL divergence and its gradient at the current positions, summed exactly over all pairs.
    pub fn exact_slope(&self) -> Slope {
        slope(&self.affinities, &self.y, 1.0, exact(&self.y), true)
    }
}

/// The sign of `v`: -1, 0 or 1 (unlike `f64::signum`, which is 1 for 0).
fn sign(v: f64) -> i8 {
    i8::from(v > 0.0) - i8::from(v < 0.0)
}

/// The gradient, computed from the repulsive sums `z` and `push` over all pairs. The divergence is computed only if `told`.
fn slope(p: &Affinities, y: &[Point], exaggeration: f64, (z, push): (f64, Vec<Point>), told: bool) -> Slope {
    let of = |(i, push): (usize, &Point)| {
        let (a, mut pull, mut kl) = (y[i], [0.0; 2], 0.0);
        for (j, p) in p.row(i) {
            let d = [a[0] - y[j][0], a[1] - y[j][1]];
            let far = 1.0 + d[0] * d[0] + d[1] * d[1];
            let w = p / far;
            pull = [pull[0] + w * d[0], pull[1] + w * d[1]];
            if told && p > 0.0 {
                kl += p * (p * far * z).ln();
            }
        }
        (kl, [0, 1].map(|k| exaggeration * pull[k] - push[k] / z))
    };
    let parts: Vec<(f64, Point)> = push.par_iter().enumerate().with_min_len(64).map(of).collect();
    Slope { kl: parts.iter().map(|p| p.0).sum(), gradient: parts.into_iter().map(|p| p.1).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::neighbours::{Metric, neighbours};
    use candle_core::{Device, Tensor};

    /// An embedding of three clusters of points in four dimensions.
    fn heaps(each: usize) -> Tsne {
        let value = |i: usize, d: usize| {
            ((i * i * 4 + d * 7 + d) as f64 * 0.754_877_666).fract() + 8.0 * f64::from(u8::from(i % 3 == d))
        };
        let x: Vec<f64> = (0..3 * each).flat_map(|i| (0..4).map(move |d| value(i, d))).collect();
        let x = Tensor::from_vec(x, (3 * each, 4), &Device::Cpu).unwrap();
        let near = neighbours(&x, &x, 30, Metric::Euclidean, true, &|_| Ok(())).unwrap();
        let start = (0..3 * each).map(|i| [i, i + 1].map(|i| 1e-4 * ((i * i) as f64 * 0.569_840_29).fract())).collect();
        Tsne::new(Arc::new(Affinities::of(&near, 10.0).unwrap()), start).unwrap()
    }

    fn descent(iterations: usize, exaggeration: f64) -> Descent {
        Descent { iterations, exaggeration, rate: None, momentum: 0.8 }
    }

    #[test]
    fn the_gradient_is_a_quarter_of_the_derivative_of_the_divergence() {
        let mut map = heaps(20);
        map.descend(descent(30, 12.0), &|_| Ok(())).unwrap();
        let slope = map.exact_slope();
        for (i, k) in [(0, 0), (7, 1), (59, 0)] {
            let moved = |by: f64| {
                let mut other = map.clone();
                other.y[i][k] += by;
                other.exact_slope().kl
            };
            let derivative = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((derivative - 4.0 * slope.gradient[i][k]).abs() < 1e-6, "{derivative}");
        }
    }

    #[test]
    fn clusters_of_points_stay_clusters_in_the_map() {
        let mut map = heaps(40);
        map.descend(descent(100, 12.0), &|_| Ok(())).unwrap();
        map.descend(descent(100, 1.0), &|_| Ok(())).unwrap();
        let far = |i: usize, j: usize| (map.y[i][0] - map.y[j][0]).hypot(map.y[i][1] - map.y[j][1]);
        for i in 0..120 {
            let nearest = (0..120).filter(|&j| j != i).min_by(|&a, &b| far(i, a).total_cmp(&far(i, b))).unwrap();
            assert_eq!(nearest % 3, i % 3);
        }
        assert!(map.kl < 1.0, "{}", map.kl);
        assert_eq!(map.iterations, 200);
    }
}

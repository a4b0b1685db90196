//! The function `quadrature("midpoint", 50)`, which returns nodes and weights for numerical integration over [0, 1].

use super::out;
use anyhow::{Result, bail, ensure};
use rhai::{Array, Dynamic, Engine, INT, Map};
use std::f64::consts::PI;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("quadrature", |rule: &str, points: INT| out(quadrature(rule, points)));
}

/// For the quadrature rule `rule` with the given number of points, returns `#{ t, w }`: the nodes in ascending order, and the weights,
/// which sum to 1.
fn quadrature(rule: &str, points: INT) -> Result<Map> {
    ensure!((1..=10_000).contains(&points), "the number of quadrature points must be 1 to 10000, got {points}");
    let n = points as usize;
    let even = |shift: f64| (0..n).map(|i| ((i as f64 + shift) / n as f64, 1.0 / n as f64)).collect();
    let pairs: Vec<(f64, f64)> = match rule {
        "midpoint" => even(0.5),
        "riemann_left" => even(0.0),
        "riemann_right" => even(1.0),
        "trapezoid" => trapezoid(n)?,
        "gauss_legendre" => gauss_legendre(n),
        _ => bail!(
            "no quadrature rule named \"{rule}\"; use midpoint, gauss_legendre, riemann_left, riemann_right or \
             trapezoid"
        ),
    };
    let list = |of: fn(&(f64, f64)) -> f64| -> Array { pairs.iter().map(|p| Dynamic::from(of(p))).collect() };
    Ok(Map::from([("t".into(), list(|p| p.0).into()), ("w".into(), list(|p| p.1).into())]))
}

/// Nodes and weights of the trapezoid rule: `n` evenly spaced nodes from 0 to 1, of which the first and the last have half the
/// weight of the others.
fn trapezoid(n: usize) -> Result<Vec<(f64, f64)>> {
    ensure!(n >= 2, "the trapezoid rule needs at least 2 points");
    let step = 1.0 / (n - 1) as f64;
    let weight = |i| if i == 0 || i == n - 1 { step / 2.0 } else { step };
    Ok((0..n).map(|i| (i as f64 * step, weight(i))).collect())
}

/// Nodes and weights of Gauss–Legendre quadrature with `n` points, mapped from [-1, 1] to [0, 1]. The nodes are the roots of the
/// Legendre polynomial of degree `n`, found by Newton's method, and the weights on [-1, 1] are `2 / ((1 − x²) Pₙ'(x)²)`.
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let mut pairs: Vec<_> = (0..n).map(|i| root(n, (PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos())).collect();
    pairs.reverse();
    pairs
}

fn root(n: usize, mut x: f64) -> (f64, f64) {
    let mut slope = 0.0;
    for _ in 0..100 {
        let (p, dp) = legendre(n, x);
        slope = dp;
        let step = p / dp;
        x -= step;
        if step.abs() < 1e-15 {
            break;
        }
    }
    ((x + 1.0) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
}

/// The value and the derivative of the Legendre polynomial `Pₙ` at `x`.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut p) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (before, p) = (p, ((2.0 * k - 1.0) * x * p - (k - 1.0) * before) / k);
    }
    (p, n as f64 * (x * p - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_of_every_rule_sum_to_one() {
        for rule in ["midpoint", "gauss_legendre", "riemann_left", "riemann_right", "trapezoid"] {
            let weights = quadrature(rule, 7).unwrap()["w"].clone().into_typed_array::<f64>().unwrap();
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-15, "{rule}");
        }
    }

    #[test]
    fn gauss_legendre_integrates_polynomials_below_twice_its_degree_exactly() {
        for n in [1, 2, 5, 32, 50] {
            let pairs = gauss_legendre(n);
            for power in 0..2 * n.min(20) {
                let sum: f64 = pairs.iter().map(|(t, w)| w * t.powi(power as i32)).sum();
                assert!((sum - 1.0 / (power as f64 + 1.0)).abs() < 1e-13, "{n} points, t^{power}");
            }
            assert!(pairs.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}

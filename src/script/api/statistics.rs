//! Functions for quantiles of the normal distribution and confidence bounds on probabilities.

use super::out;
use anyhow::{Result, ensure};
use rhai::{Engine, FLOAT, INT};
use std::f64::consts::PI;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("normal_quantile", |p: FLOAT| out(normal_quantile(p)));
    engine.register_fn("clopper_pearson", |k: INT, n: INT, alpha: FLOAT| out(clopper_pearson(k, n, alpha)));
}

/// `Φ⁻¹(p)`, the quantile function of the standard normal distribution, for `p` in (0, 1).
fn normal_quantile(p: f64) -> Result<f64> {
    ensure!(p > 0.0 && p < 1.0, "normal_quantile expects a probability between 0 and 1, exclusive, got {p}");
    Ok(bisect(-40.0, 40.0, |x| normal(x) < p))
}

/// A lower confidence bound, at confidence `1 - alpha`, for the probability of an event observed `k` times in `n` trials: a
/// quantile of the beta distribution (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404).
fn clopper_pearson(k: i64, n: i64, alpha: f64) -> Result<f64> {
    ensure!((0..=n).contains(&k) && n > 0, "expected a count k from 0 to n, with n positive, got {k} of {n}");
    ensure!(alpha > 0.0 && alpha < 1.0, "alpha must lie between 0 and 1, got {alpha}");
    if k == 0 {
        return Ok(0.0);
    }
    let (a, b) = (k as f64, (n - k + 1) as f64);
    Ok(bisect(0.0, 1.0, |x| beta(x, a, b) < alpha))
}

/// The point between `low` and `high` where `below` changes from true to false, found by bisection.
fn bisect(mut low: f64, mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        *if below(middle) { &mut low } else { &mut high } = middle;
    }
    0.5 * (low + high)
}

/// `Φ(x)`, the cumulative distribution function of the standard normal distribution, computed from the incomplete gamma function: by a
/// series near 0, and by a continued fraction in the tails.
fn normal(x: f64) -> f64 {
    let density = (-0.5 * x * x).exp() / (2.0 * PI).sqrt();
    if x.abs() < 3.0 {
        let (mut term, mut sum) = (x, x);
        for i in 1..200 {
            term *= x * x / (2 * i + 1) as f64;
            sum += term;
        }
        return 0.5 + density * sum;
    }
    let tail = density / (1..200).rev().fold(x.abs(), |f, i| x.abs() + i as f64 / f);
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// The regularized incomplete beta function `I_x(a, b)` (Press et al. 2007, Numerical Recipes, 6.4).
fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return f64::from(x >= 1.0);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

/// The continued fraction of the incomplete beta function, evaluated forward (Lentz 1976, doi:10.1364/AO.15.000668).
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let tiny = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut c, mut d) = (1.0, 1.0 / tiny(1.0 - (a + b) * x / (a + 1.0)));
    let mut f = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = f;
        for part in [even, odd] {
            d = 1.0 / tiny(1.0 + part * d);
            c = tiny(1.0 + part / c);
            f *= c * d;
        }
        if (f - before).abs() < 1e-15 * f.abs() {
            break;
        }
    }
    f
}

/// `ln Γ(x)` for `x ≥ 1`, by Stirling's series; small `x` are first increased using the recurrence `Γ(x + 1) = x Γ(x)`.
fn ln_gamma(x: f64) -> f64 {
    if x < 12.0 {
        return ln_gamma(x + 1.0) - x.ln();
    }
    let y = 1.0 / (x * x);
    let series = (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y * (1.0 / 1680.0 - y / 1188.0)))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are `scipy.stats.beta.ppf(alpha, k, n - k + 1)` and `scipy.stats.norm.ppf(p)`, computed by
    /// scripts/reference/chance.py.
    #[test]
    fn quantiles_match_scipy() {
        for (k, n, alpha, expected) in BOUNDS {
            let ours = clopper_pearson(*k, *n, *alpha).unwrap();
            assert!((ours - expected).abs() < 1e-9, "{k} of {n}: {ours} and not {expected}");
        }
        for (p, expected) in QUANTILES {
            let ours = normal_quantile(*p).unwrap();
            assert!((ours - expected).abs() < 1e-9, "{p}: {ours} and not {expected}");
        }
    }

    #[test]
    fn invalid_counts_and_probabilities_are_errors() {
        assert!(clopper_pearson(3, 2, 0.1).is_err() && clopper_pearson(0, 0, 0.1).is_err());
        assert!(clopper_pearson(1, 2, 0.0).is_err() && normal_quantile(1.0).is_err());
        assert_eq!(clopper_pearson(0, 9, 0.1).unwrap(), 0.0);
    }

    #[rustfmt::skip]
    const BOUNDS: &[(i64, i64, f64, f64)] = &[
        (1, 1, 0.5, 0.5),
        (1, 10, 0.05, 0.005116196891823701),
        (9, 10, 0.05, 0.6058366975634952),
        (100, 100, 0.001, 0.933254300796991),
        (99, 100, 0.001, 0.9113731112960424),
        (612, 1000, 0.001, 0.5632471747759904),
        (7, 1000, 0.01, 0.002334501080342468),
        (99950, 100000, 0.001, 0.9992406795873772),
        (50000, 100000, 0.2, 0.4986642857109551),
    ];

    #[rustfmt::skip]
    const QUANTILES: &[(f64, f64)] = &[
        (1e-12, -7.034483825301131),
        (0.001, -3.090232306167813),
        (0.3, -0.5244005127080409),
        (0.5, 0.0),
        (0.75, 0.6744897501960817),
        (0.9331, 1.4992838895216567),
        (0.999, 3.090232306167813),
        (0.999999, 4.753424308817087),
    ];
}

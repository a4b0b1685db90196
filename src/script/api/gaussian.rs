//! Generates normal random numbers in bulk with polynomials that compilers vectorize; the results are the same on every machine.

use rand::Rng;
use std::array::from_fn;
use std::f32::consts::{LN_2, TAU};

/// Number of pairs of random numbers computed at a time.
const PAIRS: usize = 128;

/// Fills a slice with independent standard normal numbers (Box & Muller 1958): each pair is `√(-2 ln u)` times the cosine and
/// sine of `2π v`, with `u` and `v` from two 64-bit words.
pub(super) fn fill(random: &mut impl Rng, numbers: &mut [f32]) {
    for part in numbers.chunks_mut(2 * PAIRS) {
        let mut words = [0u64; 2 * PAIRS];
        random.fill(&mut words[..part.len().next_multiple_of(2)]);
        let part_of_one = |word: u64| (word >> 11) as f64 / (1u64 << 53) as f64;
        let u: [f32; PAIRS] = from_fn(|i| (1.0 - part_of_one(words[2 * i])) as f32);
        let v: [f32; PAIRS] = from_fn(|i| part_of_one(words[2 * i + 1]) as f32);
        let pairs: [[f32; 2]; PAIRS] = from_fn(|i| pair(u[i], v[i]));
        part.copy_from_slice(&pairs.as_flattened()[..part.len()]);
    }
}

#[inline(always)]
fn pair(u: f32, v: f32) -> [f32; 2] {
    let radius = (-2.0 * ln(u)).sqrt();
    let (sin, cos) = sin_cos_of_turns(v);
    [radius * cos, radius * sin]
}

/// `ln u` for a positive, normal (not subnormal) float `u` (Moshier 1989, Cephes: logf).
#[inline(always)]
fn ln(u: f32) -> f32 {
    // u = (1 + m) 2ᵉ with 1 + m between √½ and √2.
    let e = (u.to_bits() as i32 - 0x3f35_04f3) >> 23;
    let m = f32::from_bits((u.to_bits() as i32 - (e << 23)) as u32) - 1.0;
    let z = m * m;
    let tail = polynomial(
        m,
        [
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ],
    );
    m + (tail * m * z - 0.5 * z) + e as f32 * LN_2
}

/// Sine and cosine of `2π v` for `v` from 0 to 1 (Moshier 1989, Cephes: sinf, cosf).
#[inline(always)]
fn sin_cos_of_turns(v: f32) -> (f32, f32) {
    let quarter = (4.0 * v + 0.5) as i32;
    let x = (v - 0.25 * quarter as f32) * TAU;
    let z = x * x;
    let sin = x + x * z * polynomial(z, [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1]);
    let cos = 1.0 - 0.5 * z + z * z * polynomial(z, [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2]);
    let (a, b) = if quarter & 1 == 0 { (sin, cos) } else { (cos, sin) };
    let turned = |v: f32, negative: bool| if negative { -v } else { v };
    (turned(a, quarter & 2 != 0), turned(b, (quarter + 1) & 2 != 0))
}

/// Evaluates a polynomial at `x`; the coefficient of the highest power comes first.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, factors: [f32; N]) -> f32 {
    factors.into_iter().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn polynomials_match_the_functions_up_to_rounding() {
        let mut random = ChaCha8Rng::from_seed([1; 32]);
        let ends = [1.0, 0.5, 0.25, 0.75, f32::EPSILON, 1.2e-16, std::f32::consts::FRAC_1_SQRT_2, 0.999_999_94];
        for u in ends.into_iter().chain((0..100_000).map(|_| 1.0 - random.random::<f32>())) {
            let expected = f64::from(u).ln();
            assert!((f64::from(ln(u)) - expected).abs() <= 1.5e-7 * expected.abs(), "ln {u}: {} not {expected}", ln(u));
        }
        for v in ends.into_iter().chain([0.0]).chain((0..100_000).map(|_| random.random::<f32>())) {
            let (sin, cos) = sin_cos_of_turns(v);
            let (s, c) = (std::f64::consts::TAU * f64::from(v)).sin_cos();
            assert!((f64::from(sin) - s).abs() < 1.5e-7 && (f64::from(cos) - c).abs() < 1.5e-7, "{v}: {sin} {cos}");
        }
    }

    #[test]
    fn numbers_follow_the_formula_and_are_normally_distributed() {
        let count = 100_001;
        let mut numbers = vec![0f32; count];
        fill(&mut ChaCha8Rng::from_seed([2; 32]), &mut numbers);
        let mut random = ChaCha8Rng::from_seed([2; 32]);
        for two in numbers.chunks(2) {
            let (u, v) = (1.0 - random.random::<f64>(), random.random::<f64>());
            let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
            let radius = (-2.0 * u.ln()).sqrt();
            for (number, expected) in two.iter().zip([radius * cos, radius * sin]) {
                assert!((f64::from(*number) - expected).abs() < 3e-6, "{number} and not {expected}");
            }
        }
        let moment = |k: i32| numbers.iter().map(|v| f64::from(*v).powi(k)).sum::<f64>() / count as f64;
        for (k, expected, within) in [(1, 0.0, 0.02), (2, 1.0, 0.02), (3, 0.0, 0.06), (4, 3.0, 0.15)] {
            assert!((moment(k) - expected).abs() < within, "moment {k}: {}", moment(k));
        }
    }
}

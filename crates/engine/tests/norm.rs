//! Compares sums over the pixels of each channel with plain sums in f64, in every instruction set.

#[path = "common/random.rs"]
mod random;

use gradscope_engine::simd::{available, set_level};
use gradscope_engine::{Map, channel_products, channel_statistics, channel_sums};
use random::Random;

/// Random values around a mean that differs by channel.
fn values(r: &mut Random, pixels: usize, c: usize, pitch: usize, mean: f32) -> Vec<f32> {
    let mut all = r.numbers(pixels * pitch);
    all.iter_mut().enumerate().for_each(|(i, v)| *v += mean * ((i % pitch).min(c) as f32 + 1.0));
    all
}

/// `Σ f(pixel, channel)` over all pixels, for each channel.
fn plain(pixels: usize, c: usize, f: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..c).map(|i| (0..pixels).map(|pixel| f(pixel, i)).sum()).collect()
}

fn near(what: &str, found: &[f32], expected: &[f64], scale: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*f) - e).abs() <= 1e-5 * (scale + e.abs()), "{what}, channel {i}: {f} instead of {e}");
    }
}

#[test]
fn sums_products_and_statistics_match_plain_loops() {
    for level in available() {
        set_level(level);
        let r = &mut Random(5);
        for (sizes, pitch, mean) in [
            ([1, 1, 1, 1], 1, 0.0),
            ([1, 2, 3, 5], 7, 0.0),
            ([3, 17, 5, 33], 33, 3.0),
            ([2, 90, 70, 16], 20, 100.0),
            ([9, 100, 80, 1], 1, -20.0),
            ([1, 40, 40, 300], 301, 1.0),
        ] {
            let [n, h, w, c] = sizes;
            // Miri takes about 1 ms per element.
            if cfg!(miri) && n * h * w * c > 10_000 {
                continue;
            }
            let (pixels, what) = (n * h * w, format!("{sizes:?} around {mean} at {level:?}"));
            let (a, b) = (values(r, pixels, c, pitch, mean), values(r, pixels, c, pitch, 0.0));
            let (x, dy) = (Map::new(&a, sizes, pitch), Map::new(&b, sizes, pitch));
            let at = |all: &[f32], pixel: usize, i: usize| f64::from(all[pixel * pitch + i]);
            let scale = pixels as f64 * (1.0 + f64::from(mean.abs()));
            let sums = plain(pixels, c, |pixel, i| at(&a, pixel, i));
            near(&format!("sums of {what}"), &channel_sums(&x), &sums, scale);
            let (found, variance) = channel_statistics(&x);
            let exact: Vec<_> = sums.iter().map(|sum| sum / pixels as f64).collect();
            near(&format!("mean of {what}"), &found, &exact, 1.0);
            let squares = plain(pixels, c, |pixel, i| (at(&a, pixel, i) - exact[i]).powi(2) / pixels as f64);
            near(&format!("variance of {what}"), &variance, &squares, 1.0 + f64::from(mean.abs()));
            let (sums, products) = channel_products(&dy, &x, &found);
            near(&format!("sums beside products of {what}"), &sums, &plain(pixels, c, |p, i| at(&b, p, i)), scale);
            let exact = plain(pixels, c, |p, i| at(&b, p, i) * (at(&a, p, i) - f64::from(found[i])));
            near(&format!("products of {what}"), &products, &exact, scale);
        }
    }
}

#[test]
fn the_variance_of_large_equal_values_is_finite_and_that_of_nan_is_nan() {
    let large = vec![2e19f32; 64 * 3];
    let (mean, variance) = channel_statistics(&Map::new(&large, [1, 8, 8, 3], 3));
    assert!(
        mean.iter().all(|m| (m / 2e19 - 1.0).abs() < 1e-6) && variance.iter().all(|v| v.is_finite()),
        "{variance:?}"
    );
    let mut one = vec![1f32; 5000 * 2];
    one[7001] = f32::NAN;
    let (mean, variance) = channel_statistics(&Map::new(&one, [1, 50, 100, 2], 2));
    assert!(mean[1].is_nan() && variance[1].is_nan() && (mean[0], variance[0]) == (1.0, 0.0), "{mean:?} {variance:?}");
}

#[test]
fn a_batch_without_pixels_sums_to_zero() {
    let x = Map::new(&[], [0, 4, 4, 5], 5);
    assert_eq!(channel_sums(&x), [0.0; 5]);
    assert_eq!(channel_statistics(&x), (vec![0.0; 5], vec![0.0; 5]));
    assert_eq!(channel_products(&x, &x, &[0.0; 5]), (vec![0.0; 5], vec![0.0; 5]));
}

//! Structural similarity of two maps.

use anyhow::{Result, ensure};

/// Length of the Gaussian window's side in pixels, and its standard deviation.
const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
/// Constants that stabilize the quotients, relative to the range of values.
const K: [f64; 2] = [0.01, 0.03];

/// The mean structural similarity of two maps of `[height, width]`, at most 1 (Wang et al. 2004, doi:10.1109/TIP.2003.819861). The range of
/// values is that of the first map; only windows that lie within the map count.
///
/// Errors if the maps are smaller than the window of 11 x 11 pixels, or if the first is constant.
pub fn ssim(first: &[f32], second: &[f32], [height, width]: [usize; 2]) -> Result<f64> {
    ensure!(first.len() == height * width && second.len() == first.len(), "SSIM needs two maps of the same size");
    ensure!(
        height >= WINDOW && width >= WINDOW,
        "SSIM needs maps of at least {WINDOW} x {WINDOW}, got {height} x {width}"
    );
    let (low, high) = first.iter().fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    let range = f64::from(high) - f64::from(low);
    ensure!(range > 0.0, "SSIM needs a map that is not constant");
    let [c1, c2] = K.map(|k| (k * range).powi(2));
    let smooth = |f: &dyn Fn(f64, f64) -> f64| {
        let values: Vec<f64> = first.iter().zip(second).map(|(x, y)| f(f64::from(*x), f64::from(*y))).collect();
        blurred(&values, [height, width])
    };
    let [mx, my] = [smooth(&|x, _| x), smooth(&|_, y| y)];
    let [xx, yy, xy] = [smooth(&|x, _| x * x), smooth(&|_, y| y * y), smooth(&|x, y| x * y)];
    let at = |i: usize| {
        let (vx, vy, cov) = (xx[i] - mx[i] * mx[i], yy[i] - my[i] * my[i], xy[i] - mx[i] * my[i]);
        let (means, squares) = (2.0 * mx[i] * my[i] + c1, mx[i] * mx[i] + my[i] * my[i] + c1);
        means * (2.0 * cov + c2) / (squares * (vx + vy + c2))
    };
    Ok((0..mx.len()).map(at).sum::<f64>() / mx.len() as f64)
}

/// Gaussian averages over all windows that lie within the map.
fn blurred(values: &[f64], [height, width]: [usize; 2]) -> Vec<f64> {
    let weights: Vec<f64> =
        (0..WINDOW).map(|i| (-0.5 * ((i as f64 - (WINDOW / 2) as f64) / SIGMA).powi(2)).exp()).collect();
    let total: f64 = weights.iter().sum();
    let (rows, columns) = (height + 1 - WINDOW, width + 1 - WINDOW);
    let along = |start: usize, step: usize| -> f64 {
        weights.iter().enumerate().map(|(i, weight)| weight / total * values[start + i * step]).sum()
    };
    let horizontal: Vec<f64> = (0..height * columns).map(|i| along(i / columns * width + i % columns, 1)).collect();
    let down = |start: usize| -> f64 {
        weights.iter().enumerate().map(|(i, weight)| weight / total * horizontal[start + i * columns]).sum()
    };
    (0..rows * columns).map(down).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: f64 = 0.8988268222;

    /// Values as in the script below, between 0 and 1.
    fn drawn(count: usize, factor: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * factor) % 101) as f32 / 100.0).collect()
    }

    /// scikit-image 0.26: `structural_similarity(a, b, data_range=a.max() - a.min(), gaussian_weights=True, sigma=1.5,
    /// use_sample_covariance=False)` with `a = (arange(16 * 20) * 37 % 101) / 100` and `b = 0.7 * a + 0.3 * (arange(16 * 20) * 53 % 101) / 100`.
    #[test]
    fn it_agrees_with_scikit_image() {
        let a = drawn(320, 37);
        let b: Vec<f32> = a.iter().zip(drawn(320, 53)).map(|(a, b)| 0.7 * a + 0.3 * b).collect();
        let value = ssim(&a, &b, [16, 20]).unwrap();
        assert!((value - REFERENCE).abs() < 1e-6, "{value}");
        assert!((ssim(&a, &a, [16, 20]).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn small_and_constant_maps_are_errors() {
        assert!(ssim(&[0.0; 100], &[0.0; 100], [10, 10]).unwrap_err().to_string().contains("11 x 11"));
        assert!(ssim(&[1.0; 144], &[0.0; 144], [12, 12]).unwrap_err().to_string().contains("constant"));
    }
}

//! Superpixels: connected segments of similar color.

use crate::backend::{Real, by_type, read};
use crate::interrupt::{now_and_then, pass};
use anyhow::{Result, ensure};
use candle_core::{Device, Tensor};

/// Number of k-means iterations; the SLIC paper finds ten sufficient.
const ITERATIONS: usize = 10;
/// Maximum number of segments.
const SEGMENTS: usize = 4096;

/// The pixels of a picture in the form used by SLIC.
struct Field {
    height: usize,
    width: usize,
    /// The color of each pixel in CIELAB, where a distance of about 1 is just noticeable.
    colors: Vec<[f64; 3]>,
}

/// A cluster: mean color and position.
#[derive(Clone, Copy, Default)]
struct Center {
    color: [f64; 3],
    y: f64,
    x: f64,
}

/// Divides a picture `(1, C, H, W)` in `[0, 1]` into about `count` connected segments. Returns their labels as a `(1, 1, H, W)`
/// tensor, numbered `0, 1, …` from the top left.
///
/// SLIC (Achanta et al. 2012, doi:10.1109/TPAMI.2012.120) runs k-means on color (CIELAB if there are three channels) and
/// position. `compactness` is the color distance equivalent to the width of a segment.
///
/// Errors if `picture` has a different shape, `count` is not between 1 and 4,096, or `compactness` is not positive.
pub fn slic(picture: &Tensor, count: usize, compactness: f64) -> Result<Tensor> {
    ensure!(
        picture.rank() == 4 && picture.dims()[0] == 1 && picture.elem_count() > 0,
        "segmentation needs one picture of shape (1, C, H, W), got {:?}",
        picture.dims()
    );
    ensure!((1..=SEGMENTS).contains(&count), "the number of segments must be between 1 and {SEGMENTS}, got {count}");
    ensure!(compactness > 0.0 && compactness.is_finite(), "compactness must be positive, got {compactness}");
    let field = by_type!(picture, field(picture))?;
    let labels = field.connected(&field.clusters(count, compactness), count);
    labelled(labels, field.height, field.width)?.to_device(picture.device()).map_err(Into::into)
}

/// Divides a picture of the given size into about `count` equal rectangles. Returns their labels, numbered row by row, as a
/// `(1, 1, H, W)` tensor.
///
/// Errors if `count` is not between 1 and 4,096, or the picture is empty.
pub fn grid(height: usize, width: usize, count: usize) -> Result<Tensor> {
    ensure!(
        (1..=SEGMENTS).contains(&count) && height * width > 0,
        "the number of segments must be between 1 and {SEGMENTS}, got {count}"
    );
    let rows = ((count as f64 * height as f64 / width as f64).sqrt().round() as usize).clamp(1, count.min(height));
    let columns = ((count as f64 / rows as f64).round() as usize).clamp(1, width);
    let label = |i: usize| (i / width) * rows / height * columns + (i % width) * columns / width;
    labelled((0..height * width).map(label).collect(), height, width)
}

fn asked<T>(value: T) -> T {
    now_and_then();
    value
}

fn labelled(labels: Vec<usize>, height: usize, width: usize) -> Result<Tensor> {
    let labels: Vec<_> = labels.into_iter().map(|l| l as f32).collect();
    Ok(Tensor::from_vec(labels, (1, 1, height, width), &Device::Cpu)?)
}

fn field<T: Real>(picture: &Tensor) -> Result<Field> {
    let (_, channels, height, width) = picture.dims4()?;
    let plane = height * width;
    read::<T, _>(picture, |x| {
        let at = |c: usize, i: usize| x[c.min(channels - 1) * plane + i].to_f64();
        let color = |i: usize| match asked(channels) {
            3 => lab([at(0, i), at(1, i), at(2, i)]),
            _ => [100.0 * (0..channels).map(|c| at(c, i)).sum::<f64>() / channels as f64, 0.0, 0.0],
        };
        Ok(Field { height, width, colors: (0..plane).map(color).collect() })
    })
}

/// Converts an sRGB color to CIELAB, for the D65 white point.
fn lab(rgb: [f64; 3]) -> [f64; 3] {
    let [r, g, b] = rgb.map(|v| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) });
    let f = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    let x = f((0.412_453 * r + 0.357_580 * g + 0.180_423 * b) / 0.950_47);
    let y = f(0.212_671 * r + 0.715_160 * g + 0.072_169 * b);
    let z = f((0.019_334 * r + 0.119_193 * g + 0.950_227 * b) / 1.088_83);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

impl Field {
    /// The index of the nearest center of each pixel, after ten iterations of k-means with a search radius of one segment width.
    fn clusters(&self, count: usize, compactness: f64) -> Vec<usize> {
        let step = ((self.height * self.width) as f64 / count as f64).sqrt().max(1.0);
        let mut centers = self.start(step);
        let mut labels = vec![0; self.colors.len()];
        for _ in 0..ITERATIONS {
            let mut best = vec![f64::INFINITY; labels.len()];
            for (k, center) in centers.iter().enumerate() {
                pass();
                let rows = window(center.y, step, self.height);
                for (y, x) in rows.flat_map(|y| window(center.x, step, self.width).map(move |x| (y, x))) {
                    let i = y * self.width + x;
                    let place = ((y as f64 - center.y).powi(2) + (x as f64 - center.x).powi(2)) / (step * step);
                    let color: f64 = self.colors[i].iter().zip(center.color).map(|(a, b)| (a - b).powi(2)).sum();
                    let distance = color + place * compactness * compactness;
                    if distance < best[i] {
                        (best[i], labels[i]) = (distance, k);
                    }
                }
            }
            centers = self.means(&labels, &centers);
        }
        labels
    }

    /// The initial centers: the midpoints of the cells of a regular grid whose spacing is about `step` pixels.
    fn start(&self, step: f64) -> Vec<Center> {
        let number = |size: usize| (size as f64 / step).round().max(1.0) as usize;
        let (rows, columns) = (number(self.height), number(self.width));
        let middle = |i: usize, cells: usize, size: usize| ((2 * i + 1) * size / (2 * cells)).min(size - 1);
        let center = |i: usize| {
            let (y, x) = (middle(i / columns, rows, self.height), middle(i % columns, columns, self.width));
            Center { color: self.colors[y * self.width + x], y: y as f64, x: x as f64 }
        };
        (0..rows * columns).map(center).collect()
    }

    /// The new centers: the mean color and position of each cluster. A cluster without pixels keeps its old center.
    fn means(&self, labels: &[usize], before: &[Center]) -> Vec<Center> {
        let mut sums = vec![(Center::default(), 0.0); before.len()];
        for (i, &label) in labels.iter().enumerate() {
            now_and_then();
            let (sum, n) = &mut sums[label];
            (0..3).for_each(|c| sum.color[c] += self.colors[i][c]);
            (sum.y, sum.x, *n) = (sum.y + (i / self.width) as f64, sum.x + (i % self.width) as f64, *n + 1.0);
        }
        let mean = |((s, n), old): (&(Center, f64), &Center)| match n {
            0.0 => *old,
            n => Center { color: s.color.map(|v| v / n), y: s.y / n, x: s.x / n },
        };
        sums.iter().zip(before).map(mean).collect()
    }

    /// Labels the connected components of the clusters, starting from the top left. Components smaller than a quarter of a
    /// segment are merged into a neighbor.
    fn connected(&self, clusters: &[usize], count: usize) -> Vec<usize> {
        const NONE: usize = usize::MAX;
        let least = clusters.len() / count / 4;
        let (mut labels, mut next) = (vec![NONE; clusters.len()], 0);
        for start in 0..clusters.len() {
            now_and_then();
            if labels[start] != NONE {
                continue;
            }
            let beside = self.around(start).map(|i| labels[i]).find(|&l| l != NONE);
            let mut piece = vec![start];
            labels[start] = next;
            let mut read = 0;
            while let Some(&i) = piece.get(read) {
                read += 1;
                now_and_then();
                for j in self.around(i).filter(|&j| clusters[j] == clusters[start]) {
                    if labels[j] == NONE {
                        labels[j] = next;
                        piece.push(j);
                    }
                }
            }
            match beside {
                Some(label) if piece.len() < least => piece.iter().for_each(|&i| labels[i] = label),
                _ => next += 1,
            }
        }
        labels
    }

    /// The indices of the pixels adjacent to pixel `i`, at most four.
    fn around(&self, i: usize) -> impl Iterator<Item = usize> + use<> {
        let (y, x, w) = (i / self.width, i % self.width, self.width);
        let all = [(y > 0, i.wrapping_sub(w)), (x > 0, i.wrapping_sub(1)), (x + 1 < w, i + 1)];
        let below = (y + 1 < self.height, i + w);
        all.into_iter().chain([below]).filter(|(inside, _)| *inside).map(|(_, j)| j)
    }
}

/// The range of coordinates within `step` of a center, clipped to `0..size`.
fn window(center: f64, step: f64, size: usize) -> std::ops::Range<usize> {
    let end = ((center + step).floor() as usize + 1).min(size);
    ((center - step).ceil().max(0.0) as usize).min(end)..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn numbers(t: &Tensor) -> Vec<usize> {
        t.flatten_all().expect("flat").to_vec1::<f32>().expect("f32").into_iter().map(|v| v as usize).collect()
    }

    /// A picture of two colors with an irregular border between them.
    fn halves(size: usize) -> (Tensor, Vec<bool>) {
        let left: Vec<bool> = (0..size * size).map(|i| i % size < size / 2 + (i / size) % 5).collect();
        let plane = |on: f32, off: f32| left.iter().map(move |&l| if l { on } else { off });
        let pixels: Vec<f32> = plane(0.9, 0.1).chain(plane(0.2, 0.2)).chain(plane(0.1, 0.8)).collect();
        (Tensor::from_vec(pixels, (1, 3, size, size), &Device::Cpu).expect("it fits"), left)
    }

    fn pieces(labels: &[usize], width: usize) -> usize {
        let field = Field { height: labels.len() / width, width, colors: vec![[0.0; 3]; labels.len()] };
        field.connected(labels, labels.len()).iter().max().map_or(0, |m| m + 1)
    }

    #[test]
    fn segments_follow_the_border_between_two_colors() {
        let (picture, left) = halves(48);
        let labels = numbers(&slic(&picture, 30, 10.0).expect("segments"));
        for segment in 0..=*labels.iter().max().expect("some") {
            let on = labels.iter().zip(&left).filter(|(l, left)| **l == segment && **left).count();
            let off = labels.iter().zip(&left).filter(|(l, left)| **l == segment && !**left).count();
            assert!(on == 0 || off == 0, "segment {segment} has {on} pixels of one color and {off} of the other");
        }
    }

    #[test]
    fn every_segment_is_connected_and_every_label_is_used() {
        let (picture, _) = halves(40);
        for count in [1, 2, 7, 25, 100, 4000] {
            let labels = numbers(&slic(&picture, count, 10.0).expect("segments"));
            let used = labels.iter().max().expect("some") + 1;
            assert_eq!(pieces(&labels, 40), used, "{count}");
            assert!(used <= count * 2 && used * 3 >= count.min(1600), "{used} segments for {count}");
            assert!((0..used).all(|s| labels.contains(&s)));
        }
    }

    #[test]
    fn a_grid_consists_of_equal_rectangles() {
        let labels = numbers(&grid(6, 9, 6).expect("a grid"));
        assert_eq!(labels[..9], [0, 0, 0, 1, 1, 1, 2, 2, 2]);
        assert_eq!(labels.iter().max(), Some(&5));
        assert!((0..6).all(|s| labels.iter().filter(|l| **l == s).count() == 9));
        assert_eq!(pieces(&numbers(&grid(7, 5, 9).expect("a grid")), 5), 8);
        assert!(numbers(&grid(2, 2, 4000).expect("a grid")).iter().max() <= Some(&3));
    }

    #[test]
    fn other_shapes_are_an_error_and_one_channel_is_accepted() {
        let (picture, _) = halves(8);
        assert!(slic(&picture.squeeze(0).expect("squeeze"), 4, 10.0).is_err());
        assert!(slic(&picture, 0, 10.0).is_err() && slic(&picture, 4, 0.0).is_err());
        let gray = picture.narrow(1, 0, 1).expect("one channel");
        assert_eq!(slic(&gray, 4, 10.0).expect("segments").dims(), [1, 1, 8, 8]);
    }
}

//! Figures: the displayable results of a method, with their raw values.

use super::quantity::{Channels, Quantity};
use anyhow::{Result, ensure};
use std::borrow::Cow;
use std::sync::Arc;

/// A row-major array that is cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Shape of the array.
    pub shape: Vec<usize>,
    /// Values of the array in row-major order.
    pub data: Arc<[f32]>,
    /// The values before rounding to f32; `None` unless they were computed in f64.
    pub exact: Option<Arc<[f64]>>,
}

/// A picture, chart or text in the result of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Title of the figure, and base name of its file (`title.npy`).
    pub title: String,
    /// What the figure shows, in a few words for the screen; empty to show the title.
    pub caption: String,
    /// What the values are: their unit, and how channels are reduced.
    pub quantity: Quantity,
    /// Content of the figure.
    pub body: Body,
}

/// The content of a figure, by kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A heatmap of shape `(…, H, W)`, usually `(N, C, H, W)`. The leading dimensions are reduced for display, as the
    /// figure's [`Quantity`] says.
    Map {
        /// The raw values.
        values: Array,
        /// How values map to colors.
        scale: Scale,
        /// Picture that the heatmap is drawn over, `(C, H, W)` in `[0, 1]`; `None` to draw only the heatmap.
        over: Option<Array>,
        /// Text appended to the caption; empty for none.
        note: String,
        /// What the positions stand for.
        cells: Cells,
    },
    /// A picture, `(C, H, W)` in `[0, 1]`: in color if it has three channels, otherwise gray.
    Image {
        /// The pixels.
        pixels: Array,
    },
    /// A grid of heatmaps, `(K, H, W)`, or of pictures, `(K, C, H, W)`.
    Montage {
        /// The raw values.
        tiles: Array,
        /// How values map to colors.
        scale: Scale,
        /// Whether to scale each tile separately instead of all tiles together.
        each: bool,
        /// Number of tiles per row; 0 for a roughly square grid.
        columns: usize,
        /// Index of a tile to highlight with a frame.
        marked: Option<usize>,
        /// Caption below each tile, possibly multi-line; empty for no captions.
        captions: Vec<String>,
        /// Number of tiles to draw, starting with the first; `tiles` may hold more.
        shown: usize,
        /// Total number of tiles, including those not in `tiles`.
        of: usize,
        /// Color of the frame around each tile, as RGB; empty for no frames.
        frames: Vec<[u8; 3]>,
        /// What the tiles stand for.
        cells: Cells,
    },
    /// The predicted classes, most probable first.
    Classes {
        /// One row per class.
        rows: Vec<ClassRow>,
        /// Total number of classes.
        of: usize,
    },
    /// A bar chart.
    Bars {
        /// The bars, in drawing order.
        bars: Vec<Bar>,
    },
    /// A line chart.
    Line {
        /// Label of the horizontal axis.
        axis: String,
        /// The curves.
        series: Vec<Series>,
    },
    /// A scatter plot.
    Scatter {
        /// The points; the first two values of each row are the coordinates.
        points: Points,
    },
    /// Numeric rows for export, summarized on screen and written in full when saved.
    Sheet {
        /// The rows.
        points: Points,
    },
    /// A table of text.
    Table {
        /// Column headings.
        columns: Vec<String>,
        /// The rows.
        rows: Vec<Vec<String>>,
    },
    /// Plain text.
    Text {
        /// The text, possibly multi-line.
        text: String,
    },
    /// A one-word verdict, such as `fooled`.
    Badge {
        /// The verdict.
        text: String,
        /// Whether the verdict is positive.
        good: bool,
    },
}

/// Rows of values, each associated with one picture of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    /// The values, `(N, D)`: one row of D values per point.
    pub values: Array,
    /// Index of each row's group; empty if there are no groups.
    pub groups: Arc<[u32]>,
    /// Names of the groups; a group without a name is labeled with its index.
    pub names: Arc<[String]>,
    /// Index of each row's picture in the data set; empty if row `i` belongs to picture `i`.
    pub pictures: Arc<[u32]>,
    /// File of each row's picture, relative to the data set's folder; empty if the data set is not stored as picture files.
    pub files: Arc<[String]>,
    /// RGB color of each row's point; empty to use the group colors.
    pub colors: Arc<[[u8; 3]]>,
}

/// What the tiles of a montage, or the positions of a heatmap, stand for. All lists have one entry per cell or are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cells {
    /// Rows and columns into which a heatmap is divided. Tiles of a montage are cells themselves.
    pub grid: [usize; 2],
    /// The unit of the network that each cell shows, such as `features.12:channel=7`.
    pub units: Vec<String>,
    /// The parameter that is set by choosing a cell; empty if there is none.
    pub parameter: String,
    /// The value to which choosing each cell sets the parameter.
    pub values: Vec<String>,
}

/// How raw values are mapped to colors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// From the minimum to the maximum of the values.
    Range,
    /// From zero to the maximum of the values. Negative values are shown as zero.
    Positive,
    /// From zero to the 99th percentile of the values.
    Percentile,
    /// Symmetric around zero, up to the largest magnitude, in diverging colors.
    Symmetric,
    /// Symmetric around zero, up to the 99th percentile of magnitudes, in diverging colors.
    SymmetricPercentile,
    /// From the first of these values to the second.
    Fixed(f32, f32),
}

/// A class with its probability and its logit.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassRow {
    /// Index of the class.
    pub class: usize,
    /// Name of the class.
    pub label: String,
    /// Probability of the class, 0 to 1.
    pub probability: f32,
    /// Logit of the class.
    pub logit: f32,
}

/// A bar of a bar chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Label of the bar.
    pub label: String,
    /// Value of the bar.
    pub value: f32,
}

/// A curve of a line chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Name of the curve in the legend.
    pub label: String,
    /// Points `(x, y)` of the curve, in the order in which they are connected.
    pub points: Vec<(f32, f32)>,
}

impl Figure {
    /// A figure without a caption.
    pub fn new(title: impl Into<String>, body: Body) -> Self {
        Self { title: title.into(), caption: String::new(), quantity: Quantity::default(), body }
    }

    /// The figure without the picture that the heatmap is drawn over.
    pub fn bare(&self) -> Self {
        let mut figure = self.clone();
        if let Body::Map { over, .. } = &mut figure.body {
            *over = None;
        }
        figure
    }

    /// Whether the figure sums up the others, as class probabilities and verdicts do.
    pub fn is_summary(&self) -> bool {
        matches!(self.body, Body::Classes { .. } | Body::Badge { .. })
    }

    /// What the figure shows: its caption, or else its title with spaces.
    pub fn words(&self) -> Cow<'_, str> {
        match self.caption.as_str() {
            "" if self.title.contains('_') => self.title.replace('_', " ").into(),
            "" => (&self.title).into(),
            caption => caption.into(),
        }
    }
}

impl Array {
    /// Creates an array. Errors if the number of values does not match the shape.
    pub fn new(shape: Vec<usize>, data: impl Into<Arc<[f32]>>) -> Result<Self> {
        let data = data.into();
        ensure!(shape.iter().product::<usize>() == data.len(), "cannot reshape {} values to {shape:?}", data.len());
        Ok(Self { shape, data, exact: None })
    }

    /// Like [`Array::new`], for values computed in f64, which are kept in `exact`.
    pub fn of_f64(shape: Vec<usize>, exact: Vec<f64>) -> Result<Self> {
        let rounded: Vec<f32> = exact.iter().map(|&v| v as f32).collect();
        Ok(Self { exact: Some(exact.into()), ..Self::new(shape, rounded)? })
    }

    /// The array with all leading dimensions reduced, of shape `(H, W)`.
    pub fn plane(&self, channels: Channels) -> Self {
        let [.., h, w] = self.shape[..] else { return self.clone() };
        if self.data.len() == h * w {
            return Self { shape: vec![h, w], ..self.clone() };
        }
        let mut all = vec![0f32; h * w];
        for map in self.data.chunks_exact((h * w).max(1)) {
            all.iter_mut().zip(map).for_each(|(all, v)| *all = channels.of(*all, *v));
        }
        Self { shape: vec![h, w], data: all.into(), exact: None }
    }

    /// Pearson's correlation with another array of the same size; `None` if it is undefined, because either is constant or not finite.
    pub fn correlation(&self, other: &Self) -> Option<f64> {
        let mean = |array: &Self| array.data.iter().map(|v| f64::from(*v)).sum::<f64>() / array.data.len() as f64;
        let (mine, theirs) = (mean(self), mean(other));
        let [aa, bb, ab] = self.data.iter().zip(&*other.data).fold([0.0; 3], |[aa, bb, ab], (x, y)| {
            let (x, y) = (f64::from(*x) - mine, f64::from(*y) - theirs);
            [aa + x * x, bb + y * y, ab + x * y]
        });
        Some(ab / (aa * bb).sqrt()).filter(|r| r.is_finite())
    }

    /// The smallest and largest finite values; `None` if no value is finite.
    pub fn range(&self) -> Option<(f32, f32)> {
        let finite = self.data.iter().copied().filter(|v| v.is_finite());
        let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        (low <= high).then_some((low, high))
    }
}

/// Columns and rows of a grid of `tiles` tiles; roughly square if `columns` is 0.
pub fn grid(tiles: usize, columns: usize) -> (usize, usize) {
    let columns = if columns > 0 { columns } else { (tiles as f64).sqrt().ceil() as usize };
    let columns = columns.clamp(1, tiles.max(1));
    (columns, tiles.div_ceil(columns))
}

impl Points {
    /// Number of points.
    pub fn count(&self) -> usize {
        self.values.shape.first().copied().unwrap_or(0)
    }

    /// The values of point `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        let width = self.values.shape.get(1).copied().unwrap_or(0);
        self.values.data.get(i * width..(i + 1) * width).unwrap_or_default()
    }

    /// The coordinates of point `i`: its first two values, or 0 where missing.
    pub fn place(&self, i: usize) -> (f32, f32) {
        let row = self.row(i);
        (row.first().copied().unwrap_or(0.0), row.get(1).copied().unwrap_or(0.0))
    }

    /// Whether the coordinates of point `i` are finite.
    pub fn is_finite(&self, i: usize) -> bool {
        let (x, y) = self.place(i);
        x.is_finite() && y.is_finite()
    }

    /// Index of the group of point `i`; 0 if there are no groups.
    pub fn group(&self, i: usize) -> usize {
        self.groups.get(i).map_or(0, |&g| g as usize)
    }

    /// Index of the picture of point `i` in the data set.
    pub fn picture(&self, i: usize) -> usize {
        self.pictures.get(i).map_or(i, |&p| p as usize)
    }

    /// Title of the picture of point `i`: the name of its file or, if it has no file, its index.
    pub fn title(&self, i: usize) -> String {
        self.files.get(i).cloned().unwrap_or_else(|| format!("picture {}", self.picture(i)))
    }

    /// Name of a group or, if it has none, its index.
    pub fn name(&self, group: usize) -> String {
        self.names.get(group).cloned().unwrap_or_else(|| group.to_string())
    }

    /// Number of groups, at least 1.
    pub fn group_count(&self) -> usize {
        self.groups.iter().map(|&g| g as usize + 1).max().unwrap_or(1)
    }
}

impl Figure {
    /// Text such as `256 of 320` if the figure shows only some of its items; `None` if it shows all.
    pub fn part(&self) -> Option<String> {
        let (shown, of) = match &self.body {
            Body::Montage { shown, of, .. } => (*shown, *of),
            Body::Classes { rows, of } => (rows.len(), *of),
            _ => return None,
        };
        (shown < of).then(|| format!("{shown} of {of}"))
    }

    /// Number of values that are NaN or infinite, and total number of values.
    pub fn not_finite(&self) -> (usize, usize) {
        fn count(values: impl Iterator<Item = f32>) -> (usize, usize) {
            values.fold((0, 0), |(bad, all), v| (bad + usize::from(!v.is_finite()), all + 1))
        }
        match &self.body {
            Body::Bars { bars } => count(bars.iter().map(|b| b.value)),
            Body::Line { series, .. } => count(series.iter().flat_map(|s| s.points.iter().map(|p| p.1))),
            _ => self.values().map_or((0, 0), |values| count(values.data.iter().copied())),
        }
    }

    /// Text such as `3 of 1024 not finite`; `None` if all values are finite.
    pub fn warning(&self) -> Option<String> {
        let (bad, all) = self.not_finite();
        (bad > 0).then(|| format!("{bad} of {all} not finite"))
    }

    /// The raw values to save; `None` for figures without raw values.
    pub fn values(&self) -> Option<&Array> {
        match &self.body {
            Body::Map { values, .. } => Some(values),
            Body::Image { pixels } => Some(pixels),
            Body::Montage { tiles, .. } => Some(tiles),
            Body::Scatter { points } | Body::Sheet { points } => Some(&points.values),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_of_a_map_are_summed_or_the_largest_is_taken() {
        let values = Array::new(vec![2, 1, 2], vec![1.0, 2.0, 10.0, 20.0]).unwrap();
        assert_eq!(values.plane(Channels::Sum).data[..], [11.0, 22.0]);
        assert_eq!(values.plane(Channels::Largest).data[..], [10.0, 20.0]);
    }

    fn array(values: &[f32]) -> Array {
        Array { shape: vec![values.len()], data: values.into(), exact: None }
    }

    #[test]
    fn the_correlation_ignores_scale_and_offset_and_is_undefined_for_constants() {
        let a = array(&[1.0, 2.0, 4.0]);
        assert!((a.correlation(&array(&[3.0, 5.0, 9.0])).unwrap() - 1.0).abs() < 1e-12);
        assert!((a.correlation(&array(&[-1.0, -2.0, -4.0])).unwrap() + 1.0).abs() < 1e-12);
        for undefined in [[2.0; 3], [1.0, f32::NAN, 2.0]] {
            assert_eq!(a.correlation(&array(&undefined)), None);
        }
    }
}

//! Figures: what a method gives to be looked at, with its raw numbers.

use anyhow::{Result, ensure};
use std::sync::Arc;

/// Raw values with a shape, row-major; cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes, slowest first.
    pub shape: Vec<usize>,
    /// The numbers.
    pub data: Arc<[f32]>,
    /// The same before they were rounded, where they were computed in f64.
    pub exact: Option<Arc<[f64]>>,
}

/// One picture, chart or text of a method's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name on screen and as a file (`title.npy`).
    pub title: String,
    /// What it shows.
    pub body: Body,
}

/// The kinds of figures.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Values over positions, `(N, C, H, W)` with any leading ones: channels are summed for the eye, `over` a picture.
    Map {
        /// The raw values.
        values: Array,
        /// How values become colours.
        scale: Scale,
        /// The picture below, `(C, H, W)` in `[0, 1]`.
        over: Option<Array>,
        /// What its caption says beside range and scale; empty: nothing.
        note: String,
    },
    /// A picture, `(C, H, W)` in `[0, 1]`: in colour of three channels, else grey.
    Image {
        /// The pixels.
        pixels: Array,
    },
    /// Maps as tiles, `(K, H, W)`, or pictures `(K, C, H, W)`.
    Montage {
        /// The raw values.
        tiles: Array,
        /// How values become colours.
        scale: Scale,
        /// Whether each tile has a scale of its own, instead of one over all tiles.
        each: bool,
        /// Tiles in a row; 0: about as many as there are rows.
        columns: usize,
        /// A tile with a frame around it.
        marked: Option<usize>,
        /// What stands below each tile, in lines; empty: nothing.
        captions: Vec<String>,
        /// How many are drawn, from the first; all are raw values.
        shown: usize,
        /// How many there are, where the tiles themselves are a part.
        of: usize,
        /// The colour of the frame around each tile; empty: none.
        frames: Vec<[u8; 3]>,
    },
    /// What the network says, best first.
    Classes {
        /// One row a class.
        rows: Vec<ClassRow>,
        /// How many classes there are.
        of: usize,
    },
    /// Named amounts.
    Bars {
        /// In the order given.
        bars: Vec<Bar>,
    },
    /// Curves over a common axis.
    Line {
        /// What the horizontal axis counts.
        axis: String,
        /// The curves.
        series: Vec<Series>,
    },
    /// Points in the plane.
    Scatter {
        /// They; the first two numbers of each are its place.
        points: Points,
    },
    /// Rows of numbers for other programs: words on screen, files when kept.
    Sheet {
        /// The rows.
        points: Points,
    },
    /// Rows and columns.
    Table {
        /// The head.
        columns: Vec<String>,
        /// The rows.
        rows: Vec<Vec<String>>,
    },
    /// Plain words.
    Text {
        /// They.
        text: String,
    },
    /// A verdict in a word: `fooled`.
    Badge {
        /// The word.
        text: String,
        /// Whether it is good news.
        good: bool,
    },
}

/// Rows of numbers, one for each picture of some data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    /// `(N, D)`.
    pub values: Array,
    /// The group of each; empty if there are no groups.
    pub groups: Arc<[u32]>,
    /// Names of the groups; one without a name is its number.
    pub names: Arc<[String]>,
    /// Which picture of the data set each is; empty: they are counted.
    pub pictures: Arc<[u32]>,
    /// The file of each picture, as its folder has it; empty: the data set is one file.
    pub files: Arc<[String]>,
    /// The colour of each; empty: that of its group.
    pub colors: Arc<[[u8; 3]]>,
}

/// How raw values become colours; never silently per image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Least to greatest value.
    Range,
    /// Zero to the greatest value; what is below zero shows as zero.
    Positive,
    /// Zero to the 99th percentile.
    Percentile,
    /// Minus to plus the greatest magnitude, in diverging colours.
    Symmetric,
    /// Minus to plus the 99th percentile of the magnitudes, in diverging colours.
    SymmetricPercentile,
    /// Between these two values.
    Fixed(f32, f32),
}

/// One class as the network sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassRow {
    /// Its index.
    pub class: usize,
    /// Its name.
    pub label: String,
    /// Softmax of the logits.
    pub probability: f32,
    /// Its score.
    pub logit: f32,
}

/// A named amount.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What.
    pub label: String,
    /// How much.
    pub value: f32,
}

/// A named curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What.
    pub label: String,
    /// `(x, y)`, in order.
    pub points: Vec<(f32, f32)>,
}

impl Array {
    /// Values with a shape; errors when their number is not the shape's.
    pub fn new(shape: Vec<usize>, data: impl Into<Arc<[f32]>>) -> Result<Self> {
        let data = data.into();
        ensure!(shape.iter().product::<usize>() == data.len(), "{} values cannot have the shape {shape:?}", data.len());
        Ok(Self { shape, data, exact: None })
    }

    /// The same of numbers that were computed in f64.
    pub fn of_f64(shape: Vec<usize>, exact: Vec<f64>) -> Result<Self> {
        let rounded: Vec<f32> = exact.iter().map(|&v| v as f32).collect();
        Ok(Self { exact: Some(exact.into()), ..Self::new(shape, rounded)? })
    }

    /// The values of a map as `(H, W)`: leading dimensions are summed.
    pub fn plane(&self) -> Self {
        let [.., h, w] = self.shape[..] else { return self.clone() };
        if self.data.len() == h * w {
            return Self { shape: vec![h, w], ..self.clone() };
        }
        let mut sum = vec![0f32; h * w];
        for map in self.data.chunks_exact((h * w).max(1)) {
            sum.iter_mut().zip(map).for_each(|(s, v)| *s += v);
        }
        Self { shape: vec![h, w], data: sum.into(), exact: None }
    }

    /// The smallest and the largest finite value; `None` if no value is finite.
    pub fn range(&self) -> Option<(f32, f32)> {
        let finite = self.data.iter().copied().filter(|v| v.is_finite());
        let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        (low <= high).then_some((low, high))
    }
}

/// Columns and rows of a montage with this number of tiles; `columns` is 0 if it is not given.
pub fn grid(tiles: usize, columns: usize) -> (usize, usize) {
    let columns = if columns > 0 { columns } else { (tiles as f64).sqrt().ceil() as usize };
    let columns = columns.clamp(1, tiles.max(1));
    (columns, tiles.div_ceil(columns))
}

impl Points {
    /// How many.
    pub fn count(&self) -> usize {
        self.values.shape.first().copied().unwrap_or(0)
    }

    /// The numbers of one.
    pub fn row(&self, i: usize) -> &[f32] {
        let width = self.values.shape.get(1).copied().unwrap_or(0);
        self.values.data.get(i * width..(i + 1) * width).unwrap_or_default()
    }

    /// Its place in the plane.
    pub fn place(&self, i: usize) -> (f32, f32) {
        let row = self.row(i);
        (row.first().copied().unwrap_or(0.0), row.get(1).copied().unwrap_or(0.0))
    }

    /// Whether it has a place in the plane.
    pub fn is_finite(&self, i: usize) -> bool {
        let (x, y) = self.place(i);
        x.is_finite() && y.is_finite()
    }

    /// What it belongs to.
    pub fn group(&self, i: usize) -> usize {
        self.groups.get(i).map_or(0, |&g| g as usize)
    }

    /// The number of its picture.
    pub fn picture(&self, i: usize) -> usize {
        self.pictures.get(i).map_or(i, |&p| p as usize)
    }

    /// What tells a picture from the others: its file, else its number.
    pub fn title(&self, i: usize) -> String {
        self.files.get(i).cloned().unwrap_or_else(|| format!("picture {}", self.picture(i)))
    }

    /// The name of a group.
    pub fn name(&self, group: usize) -> String {
        self.names.get(group).cloned().unwrap_or_else(|| group.to_string())
    }

    /// How many groups there are, at least one.
    pub fn group_count(&self) -> usize {
        self.groups.iter().map(|&g| g as usize + 1).max().unwrap_or(1)
    }
}

impl Figure {
    /// That its picture shows a part only: `256 of 320`; none where it shows all.
    pub fn part(&self) -> Option<String> {
        let (shown, of) = match &self.body {
            Body::Montage { shown, of, .. } => (*shown, *of),
            Body::Classes { rows, of } => (rows.len(), *of),
            _ => return None,
        };
        (shown < of).then(|| format!("{shown} of {of}"))
    }

    /// How many of its numbers are NaN or infinite, and how many there are.
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

    /// `3 of 1024 not finite`, where some are.
    pub fn warning(&self) -> Option<String> {
        let (bad, all) = self.not_finite();
        (bad > 0).then(|| format!("{bad} of {all} not finite"))
    }

    /// The raw values behind it, if it has any that a file can keep.
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
    fn channels_of_a_map_are_summed() {
        let values = Array::new(vec![2, 1, 2], vec![1.0, 2.0, 10.0, 20.0]).unwrap();
        assert_eq!(values.plane().data[..], [11.0, 22.0]);
    }
}

//! The head of a network that computes a target expression.

use super::grammar::{Quantity, Region, TargetExpression, Term};
use super::mask::bright_pixels;
use crate::data::{read_npy, source};
use crate::graph::op::{Add, Amax, Constant, Div, Flatten, Mean, Mul, Permute, Pow, Scale, Select, Slice, Sub, Sum};
use crate::graph::{Builder, NodeId, Scores};
use crate::model::{Card, Model};
use crate::tensor::numbers;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// Keeps the cosine of a zero vector finite.
const EPSILON: f64 = 1e-12;

/// A network with a head that computes a target expression.
#[derive(Clone, Debug)]
pub struct TargetHead {
    /// The expression, as given.
    pub text: Arc<str>,
    /// The network with the head. If the expression is a single class with a region, the network returns the scores of all classes in
    /// that region; otherwise it returns a single logit, the value of the expression.
    pub model: Model,
    /// The class of `model` whose score is the value of the expression.
    pub class: usize,
    /// Whether the expression has coordinates or masks, which refer to pixels of the network's input size.
    has_places: bool,
}

/// A value `(N, K, positions…)` of class scores.
struct ScoreMap {
    node: NodeId,
    /// The shape of the value for one picture.
    shape: Vec<usize>,
}

/// A head under construction.
struct HeadBuilder<'a> {
    of: &'a Model,
    graph: &'a mut Builder,
    /// Start of the names of new nodes.
    prefix: String,
    count: usize,
}

impl Model {
    /// The network with a head that computes the target expression `text`.
    ///
    /// Errors if the expression is malformed, names an unknown class or an unreadable file, selects a position although the network has
    /// one score per class, or lacks a position that the network requires.
    pub fn with_target(&self, text: &str) -> Result<TargetHead> {
        let expression: TargetExpression = text.parse()?;
        let mut in_region = None;
        let graph = self.graph.with_head(|graph| {
            let prefix = unused(graph, "target");
            let mut head = HeadBuilder { of: self, graph, prefix, count: 0 };
            if let [Term { negative: false, quantity: Quantity::Class { name, region } }] = &expression.terms[..]
                && *region != Region::None
            {
                let map = head.map()?;
                let channel = head.channel(name, map.shape[1])?;
                in_region = Some(channel);
                return head.at(map, region);
            }
            head.sum(&expression.terms)
        });
        let graph = graph.with_context(|| format!("the target \"{}\" of \"{}\"", words::name(text), self.card.name))?;
        let pair = graph.scores == Scores::Pair;
        let named = self.card.labels.len() == graph.classes() && !pair;
        let labels = match named {
            true => self.card.labels.clone(),
            false if pair => [format!("not {text}"), text.to_string()].into(),
            false => [].into(),
        };
        let card = Card { labels, synonyms: [].into(), ..(*self.card).clone() };
        let hash = format!("{:x}", Sha256::digest(format!("{}\n{text}", self.hash)));
        let model = Self { card: card.into(), graph: graph.into(), hash: hash.into(), taken: self.taken.clone() };
        let class = if pair { 1 } else { in_region.unwrap_or_default() };
        Ok(TargetHead { text: text.into(), model, class, has_places: expression.has_places() })
    }
}

impl TargetHead {
    /// Errors if the expression has coordinates or masks and the picture `input`, `(1, C, H, W)`, does not have the network's input size:
    /// the coordinates would refer to other pixels.
    pub fn check(&self, input: &Tensor) -> Result<()> {
        let [_, height, width] = self.model.card.input;
        let (_, _, h, w) = input.dims4()?;
        ensure!(
            !self.has_places || (h, w) == (height, width),
            "the target \"{}\" refers to pixels of a {width} x {height} input, but this picture is {w} x {h}; omit --no-resize",
            words::name(&self.text)
        );
        Ok(())
    }

    /// The value of the expression for a picture, `(1, C, H, W)`.
    pub fn value(&self, input: &Tensor) -> Result<f64> {
        let graph = &self.model.graph;
        let logits = graph.logits(input)?;
        Ok(numbers(&graph.scores.score(&logits, &[self.class])?)?[0])
    }
}

impl HeadBuilder<'_> {
    fn add(&mut self, what: &str, op: impl crate::graph::op::Op + 'static, inputs: &[NodeId]) -> Result<NodeId> {
        self.count += 1;
        self.graph.add(&format!("{}.{what}_{}", self.prefix, self.count), op, inputs)
    }

    fn constant(&mut self, shape: Vec<usize>, values: Vec<f64>) -> Result<NodeId> {
        self.add("constant", Constant { shape, values }, &[])
    }

    /// The class scores of a network with positions, as `(N, K, positions…)`.
    fn map(&mut self) -> Result<ScoreMap> {
        let (graph, node) = (&self.of.graph, self.of.graph.logits);
        ensure!(
            graph.scores == Scores::Places,
            "the network has one score per class, not one per position; give only the class"
        );
        let shape = graph.nodes[node].shape.clone();
        let labels = self.of.card.labels.len();
        // In a list of boxes, the values of a box are along the dimension that matches the number of class names or, if neither does, the
        // shorter dimension.
        let last = match shape.len() {
            3 => shape[2] == labels || (shape[1] != labels && shape[2] < shape[1]),
            rank => rank > 2 && graph.channel_dim(node) == rank - 1,
        };
        if !last {
            return Ok(ScoreMap { node, shape });
        }
        let dims: Vec<_> = [0, shape.len() - 1].into_iter().chain(1..shape.len() - 1).collect();
        let shape = dims.iter().map(|&d| shape[d]).collect();
        Ok(ScoreMap { node: self.add("channels_first", Permute { dims }, &[node])?, shape })
    }

    /// The channel of a class; an empty name selects the only channel.
    fn channel(&self, name: &str, channels: usize) -> Result<usize> {
        let card = &self.of.card;
        if name.is_empty() {
            ensure!(channels == 1, "name a class, as in \"CLASS @ X,Y\"; the network has {channels}");
            return Ok(0);
        }
        card.class(name, channels)
    }

    /// The sum of all terms, `(N, 1)`.
    fn sum(&mut self, terms: &[Term]) -> Result<NodeId> {
        let mut total: Option<NodeId> = None;
        for Term { negative, quantity } in terms {
            let value = self.quantity(quantity)?;
            total = Some(match (total, negative) {
                (None, false) => value,
                (None, true) => self.add("negative", Scale { factor: -1.0, shift: 0.0 }, &[value])?,
                (Some(sum), false) => self.add("sum", Add, &[sum, value])?,
                (Some(sum), true) => self.add("difference", Sub, &[sum, value])?,
            });
        }
        total.context("the target has no terms")
    }

    /// A quantity, `(N, 1)`.
    fn quantity(&mut self, quantity: &Quantity) -> Result<NodeId> {
        match quantity {
            Quantity::Class { name, region } => self.class(name, region),
            Quantity::Output(index) => {
                let output = self.of.graph.output;
                let count: usize = self.graph.shape(output)[1..].iter().product();
                ensure!(*index < count, "no output {index}; the network has {count}, 0 to {}", count - 1);
                let flat = self.add("output", Flatten, &[output])?;
                self.element(flat, *index)
            }
            Quantity::Like(picture) => {
                let (name, picture) = source::picture(picture)?;
                let input = self.of.card.preprocess().apply(&picture, false);
                let input = self.of.take(&input.with_context(|| format!("preparing \"{}\"", words::name(&name)))?)?;
                let trace = self.of.graph.forward(&input)?;
                let embedding = numbers(&trace.value(self.of.graph.output)?.flatten_all()?)?;
                self.cosine(embedding)
            }
            Quantity::Text(file) => self.cosine(row(file)?),
        }
    }

    fn class(&mut self, name: &str, region: &Region) -> Result<NodeId> {
        let graph = &self.of.graph;
        if graph.scores != Scores::Places && *region == Region::None {
            let class = self.of.card.class(name, graph.classes())?;
            let flat = self.add("scores", Flatten, &[graph.logits])?;
            // The score of the first of two classes with a single logit is the negative logit.
            return match (graph.scores, class) {
                (Scores::Pair, 0) => self.add("negative", Scale { factor: -1.0, shift: 0.0 }, &[flat]),
                (Scores::Pair, _) => Ok(flat),
                _ => self.element(flat, class),
            };
        }
        let map = self.map()?;
        let channel = self.channel(name, map.shape[1])?;
        let scores = self.at(map, region)?;
        self.element(scores, channel)
    }

    /// Column `index` of `(N, values)`, as `(N, 1)`.
    fn element(&mut self, rows: NodeId, index: usize) -> Result<NodeId> {
        let (start, end) = (index as i64, Some(index as i64 + 1));
        self.add("element", Slice { dim: 1, start, end, step: 1 }, &[rows])
    }

    /// The scores `(N, K)` of a map in a region.
    fn at(&mut self, ScoreMap { node, shape }: ScoreMap, region: &Region) -> Result<NodeId> {
        let [_, height, width] = self.of.card.input;
        let grid = || -> Result<(usize, usize)> {
            let [_, _, h, w] = shape[..] else {
                bail!(
                    "the network has no grid of positions: its scores have the shape {shape:?}; \"max CLASS\" takes their maximum"
                )
            };
            Ok((h, w))
        };
        let inside = |x: usize, y: usize| -> Result<()> {
            ensure!(x < width && y < height, "the pixel {x},{y} is outside the {width} x {height} input");
            Ok(())
        };
        match region {
            Region::None => bail!(
                "the network scores {} positions; choose one with \"CLASS @ X,Y\", a box with \"CLASS @ X0,Y0,X1,Y1\", \
                 \"CLASS in MASK.png\" or \"max CLASS\"",
                shape[2..].iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ")
            ),
            Region::Point(x, y) => {
                let (h, w) = grid()?;
                inside(*x, *y)?;
                let row = self.add("row", Select { dim: 2, index: (y * h / height) as i64 }, &[node])?;
                self.add("position", Select { dim: 2, index: (x * w / width) as i64 }, &[row])
            }
            Region::Box([x0, y0, x1, y1]) => {
                let (h, w) = grid()?;
                inside(*x1, *y1)?;
                let part = |from: usize, to: usize, count: usize, all: usize| {
                    ((from * count / all) as i64, Some((to * count / all + 1) as i64))
                };
                let ((start, end), (left, right)) = (part(*y0, *y1, h, height), part(*x0, *x1, w, width));
                let rows = self.add("rows", Slice { dim: 2, start, end, step: 1 }, &[node])?;
                let cells = self.add("box", Slice { dim: 3, start: left, end: right, step: 1 }, &[rows])?;
                self.add("mean", Mean { dims: vec![2, 3], keepdim: false }, &[cells])
            }
            Region::Mask(file) => {
                let (h, w) = grid()?;
                let weights = self.mask(file, (h, w))?;
                let weights = self.constant(vec![1, 1, h, w], weights)?;
                let masked = self.add("masked", Mul, &[node, weights])?;
                self.add("mean", Sum { dims: vec![2, 3], keepdim: false }, &[masked])
            }
            Region::Max => self.add("max", Amax { dims: (2..shape.len()).collect(), keepdim: false }, &[node]),
        }
    }

    /// For each position of an `h × w` map, the fraction of a mask's bright pixels that it covers; the fractions sum to 1.
    fn mask(&self, file: &str, (h, w): (usize, usize)) -> Result<Vec<f64>> {
        let [_, height, width] = self.of.card.input;
        let bright = bright_pixels(&self.of.card, file, [height, width])?;
        let mut cells = vec![0.0; h * w];
        for pixel in (0..bright.len()).filter(|pixel| bright[*pixel]) {
            let (y, x) = (pixel / width, pixel % width);
            cells[y * h / height * w + x * w / width] += 1.0;
        }
        let total: f64 = cells.iter().sum();
        Ok(cells.into_iter().map(|cell| cell / total).collect())
    }

    /// The cosine of the angle between the network's output and a vector, `(N, 1)`.
    fn cosine(&mut self, embedding: Vec<f64>) -> Result<NodeId> {
        let output = self.of.graph.output;
        let count: usize = self.graph.shape(output)[1..].iter().product();
        ensure!(
            embedding.len() == count,
            "the embedding has {} values, and the network's output has {count}",
            embedding.len()
        );
        let norm = embedding.iter().map(|v| v * v).sum::<f64>().sqrt();
        ensure!(norm.is_finite() && norm > 0.0, "the embedding is zero or not finite, so it has no direction");
        let unit = self.constant(vec![1, count], embedding.iter().map(|v| v / norm).collect())?;
        let flat = self.add("embedding", Flatten, &[output])?;
        let products = self.add("products", Mul, &[flat, unit])?;
        let dot = self.add("dot", Sum { dims: vec![1], keepdim: true }, &[products])?;
        let squares = self.add("squares", Pow { exponent: 2.0 }, &[flat])?;
        let sum = self.add("sum_of_squares", Sum { dims: vec![1], keepdim: true }, &[squares])?;
        let sum = self.add("stabilized", Scale { factor: 1.0, shift: EPSILON }, &[sum])?;
        let length = self.add("length", Pow { exponent: 0.5 }, &[sum])?;
        self.add("cosine", Div, &[dot, length])
    }
}

/// A prefix that no node's name begins with: `name`, followed by underscores if necessary.
fn unused(graph: &Builder, name: &str) -> String {
    let mut name = name.to_string();
    while graph.nodes().iter().any(|node| node.name.starts_with(&name)) {
        name.push('_');
    }
    name
}

/// The vector in a `.npy` file, given as `FILE` or, for a row of a matrix, `FILE[ROW]`.
fn row(text: &str) -> Result<Vec<f64>> {
    let indexed = text.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    let (file, row) = match indexed.filter(|_| !Path::new(text).exists()) {
        Some((file, row)) => (file, Some(row.parse::<usize>().with_context(|| format!("\"{row}\" is not a row"))?)),
        None => (text, None),
    };
    let array = read_npy(Path::new(file))?;
    let (rows, columns) = match array.shape[..] {
        [columns] => (1, columns),
        [rows, columns] => (rows, columns),
        _ => bail!("\"{}\" has the shape {:?}; expected a vector or a matrix of rows", words::name(file), array.shape),
    };
    ensure!(row.is_some() || rows == 1, "\"{0}\" has {rows} rows; choose one: text:{0}[0]", words::name(file));
    let row = row.unwrap_or_default();
    ensure!(row < rows, "no row {row} in \"{}\", which has {rows}", words::name(file));
    Ok(array.values[row * columns..(row + 1) * columns].iter().map(|&v| f64::from(v)).collect())
}

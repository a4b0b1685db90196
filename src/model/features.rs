//! Features: the activations of a layer for the pictures of a data set, one row per picture, computed in batches.

use super::feature_cache::FeatureCache;
use super::{Model, evaluate::batch_size};
use crate::data::Dataset;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Tensor};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// How the activations `(C, H, W)` of a layer are reduced to a feature vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeaturePooling {
    /// The mean over positions, a vector of length C.
    Mean,
    /// The maximum over positions, a vector of length C.
    Max,
    /// All values, a vector of length C · H · W.
    Flat,
}

impl FromStr for FeaturePooling {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "mean" => Ok(Self::Mean),
            "max" => Ok(Self::Max),
            "flat" => Ok(Self::Flat),
            other => bail!("no pooling named \"{other}\"; use mean, max or flat"),
        }
    }
}

impl FeaturePooling {
    /// Converts activations `(N, …)` to rows `(N, D)` in f32; activations without positions, `(N, C)`, are only flattened.
    pub fn rows(self, value: &Tensor) -> Result<Tensor> {
        let rows = match (self, value.rank()) {
            (Self::Mean, 3..) => value.flatten_from(2)?.mean(2)?,
            (Self::Max, 3..) => value.flatten_from(2)?.max(2)?,
            _ => value.flatten_from(1)?,
        };
        Ok(rows.to_dtype(DType::F32)?)
    }

    /// Length of the feature vector of a layer whose activations have the shape `(1, …)`.
    pub fn width(self, shape: &[usize]) -> usize {
        match (self, shape) {
            (Self::Mean | Self::Max, [_, channels, _, ..]) => *channels,
            _ => shape[1..].iter().product(),
        }
    }
}

/// A request for the features of pictures at a layer.
#[derive(Clone, Debug)]
pub struct Features<'a> {
    /// The network that computes the features.
    pub model: &'a Model,
    /// The data set that contains the pictures.
    pub data: &'a Dataset,
    /// The name of the layer.
    pub layer: &'a str,
    /// How feature maps are reduced to feature vectors.
    pub pool: FeaturePooling,
    /// Indices of the pictures in the data set.
    pub numbers: &'a [usize],
}

/// The error that stops a forward pass at the requested layer.
#[derive(Debug)]
struct Enough;

impl fmt::Display for Enough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped at the requested layer")
    }
}

impl std::error::Error for Enough {}

impl Features<'_> {
    /// Computes the feature vectors of the pictures as rows, `(pictures, D)` in f32. If `folder` is given, rows are cached there, so that
    /// an interrupted run can continue. `on` is called with the number of rows completed.
    ///
    /// Errors if the layer is unknown, if a picture is out of range or cannot be read, if the folder cannot be written, or if
    /// `on` returns an error.
    pub fn rows(&self, folder: Option<&Path>, on: &mut dyn FnMut(usize) -> Result<()>) -> Result<Tensor> {
        let width = self.width()?;
        let wrong = self.numbers.iter().find(|&&i| i >= self.data.len());
        ensure!(wrong.is_none(), "no picture {} in \"{}\"", wrong.unwrap_or(&0), self.data.name);
        let mut rows = vec![0f32; self.numbers.len() * width];
        let mut store = folder.map(|folder| FeatureCache::open(folder, &self.key()?, width)).transpose()?;
        let mut missing = vec![];
        for (at, (&number, row)) in self.numbers.iter().zip(rows.chunks_exact_mut(width)).enumerate() {
            let known = store.as_mut().map_or(Ok(false), |store| store.read(number, row))?;
            if !known {
                missing.push(at);
            }
        }
        on(self.numbers.len() - missing.len())?;
        let mut left = missing.len();
        for chunk in missing.chunks(batch_size(&self.model.graph)) {
            let numbers: Vec<_> = chunk.iter().map(|&at| self.numbers[at]).collect();
            let new = self.of(&self.data.batch(&numbers, &self.model.card.preprocess())?)?.flatten_all()?.to_vec1()?;
            for ((&at, &number), new) in chunk.iter().zip(&numbers).zip(new.chunks_exact(width)) {
                rows[at * width..(at + 1) * width].copy_from_slice(new);
                store.as_mut().map_or(Ok(()), |store| store.write(number, new))?;
            }
            left -= chunk.len();
            on(self.numbers.len() - left)?;
        }
        Ok(Tensor::from_vec(rows, (self.numbers.len(), width), &self.model.graph.device())?)
    }

    /// Length of a feature vector, D. Errors if the layer is unknown.
    pub fn width(&self) -> Result<usize> {
        Ok(self.pool.width(&self.model.graph.node(self.layer)?.shape))
    }

    /// Feature vectors of a batch of pictures, one row per picture. Layers after the requested one are not run.
    fn of(&self, x: &Tensor) -> Result<Tensor> {
        let graph = &self.model.graph;
        let mut found = None;
        let x = self.model.take(x)?;
        let run = graph.forward_with(&x, &mut |node, y| {
            if node.name == self.layer {
                found = Some(y);
                return Err(Enough.into());
            }
            Ok(y)
        });
        match run {
            Ok(_) => {}
            Err(e) if e.is::<Enough>() => {}
            Err(e) => return Err(e),
        }
        self.pool.rows(&found.context("the forward pass did not reach the layer")?)
    }

    /// The name of the cache file: a hash of everything that the features depend on (graph, weights, layer, pooling, preprocessing and
    /// pictures).
    fn key(&self) -> Result<String> {
        let mut hash = Sha256::new();
        for node in &self.model.graph.nodes {
            hash.update(format!("{} {:?} {:?};", node.name, node.op, node.inputs));
            for value in &node.params {
                for number in value.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?.chunks(1024) {
                    hash.update(number.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
                }
            }
        }
        hash.update(format!("{:?} {} {:?}", self.pool, self.layer, self.model.card.preprocess()));
        hash.update(self.data.fingerprint()?);
        Ok(hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect())
    }
}

//! Checkpoints: a `.safetensors` file with weights, optimizer state and training progress.

use super::trainer::{BestResult, Critic};
use super::{Trainer, TrainingOptions, fingerprint};
use crate::data::{Dataset, open, read_whole, write_whole};
use crate::graph::Graph;
use crate::model::Card;
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Result, ensure};
use candle_core::safetensors::load_buffer;
use candle_core::{Device, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Maximum size of a checkpoint in bytes.
const MAX_BYTES: u64 = 8 << 30;

/// Metadata key of [`State`] in a checkpoint.
const KEY: &str = "gradscope.training";
/// Metadata key of [`State`] in the weight file of a finished training run.
const TRAINED: &str = "gradscope.trained";

/// Metadata key of the class names, a JSON list, in weights trained on a data set whose classes are numbered alphabetically.
const LABELS: &str = "gradscope.labels";

/// The progress of a training run, stored as JSON.
#[derive(Serialize, Deserialize, PartialEq)]
struct State {
    model: String,
    /// SHA-256 of the labels, which identifies the data set independently of its path.
    data: String,
    options: TrainingOptions,
    step: usize,
    /// SHA-256 of the initial weights.
    #[serde(default)]
    begun: String,
    /// Epoch and number of correct predictions of the best result on the test set so far.
    #[serde(default)]
    best: Option<(usize, usize)>,
    /// Fingerprint of the style loss, if the network is trained with one.
    #[serde(default)]
    style: Option<String>,
}

impl Trainer {
    /// Writes a checkpoint atomically. Errors if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let weights = self.weights().into_iter().map(|(name, t)| (format!("model.{name}"), t));
        let slots = self.slots.iter().map(|(name, t)| (format!("optimizer.{name}"), t.clone()));
        let best = self.best.iter().flat_map(|best| &best.weights).map(|(name, t)| (format!("best.{name}"), t.clone()));
        let metadata = HashMap::from([(KEY.to_string(), serde_json::to_string(&self.state())?)]);
        write(path, weights.chain(slots).chain(best).collect(), Some(metadata))
    }

    fn state(&self) -> State {
        State {
            model: self.name.clone(),
            data: fingerprint::of_labels(&self.data),
            options: self.options.clone(),
            step: self.step,
            begun: self.begun.to_string(),
            best: self.best.as_ref().map(|best| (best.epoch, best.correct)),
            style: match &self.critic {
                Critic::Labels => None,
                Critic::Style(style) => Some(style.fingerprint().into()),
                Critic::Missing(fingerprint) => Some(fingerprint.clone()),
            },
        }
    }

    /// Atomically writes the resulting weights and a description of the training run. Errors if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.write_with(path, self.result())
    }

    /// Writes the current weights, for a training that goes on.
    pub fn write_current(&self, path: &Path) -> Result<()> {
        self.write_with(path, self.weights())
    }

    fn write_with(&self, path: &Path, weights: BTreeMap<String, Tensor>) -> Result<()> {
        let state = State { step: 0, best: None, ..self.state() };
        let mut metadata = HashMap::from([(TRAINED.to_string(), serde_json::to_string(&state)?)]);
        if self.data.alphabetical && !self.labels.is_empty() {
            metadata.insert(LABELS.to_string(), serde_json::to_string(&self.labels[..])?);
        }
        write(path, weights, Some(metadata))
    }

    /// Whether a file contains the weights that this training run would produce.
    pub fn wrote(&self, path: &Path) -> Result<bool> {
        if !path.exists() {
            return Ok(false);
        }
        let bytes = read_whole(path, MAX_BYTES)?;
        let Ok(Some(text)) = metadata(&bytes, TRAINED) else { return Ok(false) };
        let state = decoding("JSON", || serde_json::from_str::<State>(&text)).ok();
        Ok(state.is_some_and(|state| state == State { step: 0, best: None, ..self.state() }))
    }

    /// Resumes a training run from a checkpoint with the options stored in it, on the CPU. The final weights match those of an
    /// uninterrupted run.
    ///
    /// Errors if the file is not a checkpoint, or if it is a checkpoint for another network or data set.
    pub fn resume(path: &Path, graph: &Graph, card: &Card, data: impl Into<Arc<Dataset>>) -> Result<Self> {
        Self::load(path, graph, card, data.into())
            .with_context(|| format!("resuming training from \"{}\"", words::path(&path)))
    }

    fn load(path: &Path, graph: &Graph, card: &Card, data: Arc<Dataset>) -> Result<Self> {
        let bytes = read_whole(path, MAX_BYTES)?;
        let state = read_state(&bytes)?;
        ensure!(state.model == card.name, "the file is a checkpoint of \"{}\", not of \"{}\"", state.model, card.name);
        ensure!(
            state.data == fingerprint::of_labels(&data),
            "the network was trained on a data set other than \"{}\": the labels differ",
            data.name
        );
        let (mut weights, mut slots, mut best) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (name, tensor) in decoding("safetensors", || load_buffer(&bytes, &Device::Cpu))? {
            match name.split_once('.').unwrap_or_default() {
                ("model", name) => weights.insert(name.to_string(), tensor),
                ("best", name) => best.insert(name.to_string(), tensor),
                (_, name) => slots.insert(name.to_string(), tensor),
            };
        }
        let graph = graph.with_weights(weights)?;
        let best = state.best.map(|(epoch, correct)| BestResult { epoch, correct, weights: best });
        let begun = state.begun.into();
        let critic = state.style.map_or(Critic::Labels, Critic::Missing);
        Ok(Self { step: state.step, slots, best, begun, critic, ..Self::new(&graph, card, data, state.options)? })
    }
}

/// The class names stored in the header of a weight file; `None` if the file has none or cannot be read. Only the header is read.
/// Errors if the class names are damaged.
pub fn labels(path: &Path) -> Result<Option<Vec<String>>> {
    /// Maximum size of a header in bytes, as defined by the safetensors format.
    const HEADER: u64 = 100_000_000;
    #[derive(Deserialize)]
    struct Header {
        #[serde(default, rename = "__metadata__")]
        metadata: HashMap<String, String>,
    }
    let Ok(mut file) = open(path, u64::MAX) else { return Ok(None) };
    let mut start = [0; 8];
    let read = file.read_exact(&mut start).map(|()| u64::from_le_bytes(start));
    let Some(length) = read.ok().filter(|&length| length <= HEADER) else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    let Ok(header) = decoding("JSON", || serde_json::from_slice::<Header>(&bytes)) else { return Ok(None) };
    let text = header.metadata.get(LABELS);
    let names = |text: &String| decoding("JSON", || serde_json::from_str(text));
    text.map(|text| names(text).context("the class names in the checkpoint are damaged")).transpose()
}

/// Atomically writes weights to a `.safetensors` file in float32. Errors if the file cannot be written.
pub fn write_weights(path: &Path, weights: &BTreeMap<String, Tensor>) -> Result<()> {
    write(path, weights.clone(), None)
}

fn read_state(bytes: &[u8]) -> Result<State> {
    let text = metadata(bytes, KEY).context("the file is not a .safetensors file, or it is damaged")?;
    let text = text.context("the file is not a training checkpoint; open plain weights with -w")?;
    decoding("JSON", || serde_json::from_str(&text))
        .context("the checkpoint was written by a different version of gradscope")
}

/// The metadata entry `key` of a `.safetensors` file; `None` if there is no such entry.
fn metadata(bytes: &[u8], key: &str) -> Result<Option<String>> {
    let (_, header) = decoding("safetensors", || SafeTensors::read_metadata(bytes))?;
    Ok(header.metadata().as_ref().and_then(|all| all.get(key)).cloned())
}

fn write(path: &Path, tensors: BTreeMap<String, Tensor>, metadata: Option<HashMap<String, String>>) -> Result<()> {
    let data = tensors.values().map(fingerprint::bytes).collect::<Result<Vec<_>>>()?;
    let view =
        |((name, t), data)| -> Result<_> { Ok((name, TensorView::new(Dtype::F32, Tensor::dims(t).to_vec(), data)?)) };
    let views = tensors.iter().zip(data.iter().map(Vec::as_slice)).map(view).collect::<Result<Vec<_>>>()?;
    write_whole(path, &serialize(views, metadata)?)
}

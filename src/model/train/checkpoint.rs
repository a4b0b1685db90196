//! Checkpoints: a `.safetensors` file with weights, what the optimizer remembers, and where training stood.

use super::{Options, Trainer};
use crate::data::{Dataset, read_whole, write_whole};
use crate::graph::Graph;
use crate::model::Card;
use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The largest checkpoint that is read.
const MAX_BYTES: u64 = 8 << 30;

/// The key of [`State`] in the file's metadata.
const KEY: &str = "gradscope.training";

/// Where training stood.
#[derive(Serialize, Deserialize)]
struct State {
    model: String,
    /// SHA-256 of the labels, which tells data sets apart wherever they lie.
    data: String,
    options: Options,
    step: usize,
}

impl Trainer {
    /// Writes a checkpoint, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let state = State {
            model: self.name.clone(),
            data: fingerprint(&self.data),
            options: self.options.clone(),
            step: self.step,
        };
        let weights = self.weights().into_iter().map(|(name, t)| (format!("model.{name}"), t));
        let slots = self.slots.iter().map(|(name, t)| (format!("optimizer.{name}"), t.clone()));
        let metadata = HashMap::from([(KEY.to_string(), serde_json::to_string(&state)?)]);
        write(path, weights.chain(slots).collect(), Some(metadata))
    }

    /// Goes on from a checkpoint, with its options: the weights at the end are those of training in one go.
    ///
    /// Errors: not a checkpoint, of another network, or of another data set.
    pub fn resume(path: &Path, graph: &Graph, card: &Card, data: Dataset) -> Result<Self> {
        Self::load(path, graph, card, data).with_context(|| format!("resuming training from \"{}\"", path.display()))
    }

    fn load(path: &Path, graph: &Graph, card: &Card, data: Dataset) -> Result<Self> {
        let bytes = read_whole(path, MAX_BYTES)?;
        let state = read_state(&bytes)?;
        ensure!(state.model == card.name, "it is a checkpoint of \"{}\", not of \"{}\"", state.model, card.name);
        ensure!(
            state.data == fingerprint(&data),
            "it learnt from other pictures than those of \"{}\", whose labels differ",
            data.name
        );
        let (mut weights, mut slots) = (BTreeMap::new(), BTreeMap::new());
        for (name, tensor) in candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)? {
            match name.split_once('.').unwrap_or_default() {
                ("model", name) => weights.insert(name.to_string(), tensor),
                (_, name) => slots.insert(name.to_string(), tensor),
            };
        }
        let graph = graph.with_weights(weights)?;
        Ok(Self { step: state.step, slots, ..Self::new(&graph, card, data, state.options)? })
    }
}

/// Writes weights as a `.safetensors` file, whole or not at all; they are stored as float32.
pub fn write_weights(path: &Path, weights: &BTreeMap<String, Tensor>) -> Result<()> {
    write(path, weights.clone(), None)
}

fn read_state(bytes: &[u8]) -> Result<State> {
    let (_, header) = SafeTensors::read_metadata(bytes).context("it is no .safetensors file, or a damaged one")?;
    let text = header.metadata().as_ref().and_then(|m| m.get(KEY));
    let text = text.context("it is no checkpoint of training; plain weights can be given with -w instead")?;
    serde_json::from_str(text).context("it is a checkpoint of another version of this program")
}

fn write(path: &Path, tensors: BTreeMap<String, Tensor>, metadata: Option<HashMap<String, String>>) -> Result<()> {
    let bytes = |t: &Tensor| -> Result<Vec<u8>> {
        let values = t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(values.into_iter().flat_map(f32::to_le_bytes).collect())
    };
    let data = tensors.values().map(bytes).collect::<Result<Vec<_>>>()?;
    let view =
        |((name, t), data)| -> Result<_> { Ok((name, TensorView::new(Dtype::F32, Tensor::dims(t).to_vec(), data)?)) };
    let views = tensors.iter().zip(data.iter().map(Vec::as_slice)).map(view).collect::<Result<Vec<_>>>()?;
    write_whole(path, &serialize(views, metadata)?)
}

/// SHA-256 of the labels.
fn fingerprint(data: &Dataset) -> String {
    let labels: Vec<u8> = (0..data.len()).flat_map(|i| (data.label(i) as u64).to_le_bytes()).collect();
    Sha256::digest(&labels).iter().map(|b| format!("{b:02x}")).collect()
}

//! Snapshots for resuming a run later. A snapshot is a single `.safetensors` file with the state of the current step.
//!
//! Scalars and strings are stored as JSON in the metadata, and tensors as tensors. The random numbers of a step depend only on
//! the seed and the step, so a resumed run produces exactly the same result as an uninterrupted one.

use super::Session;
use super::history::KeptStep;
use crate::math::{Affinities, Point, Tsne};
use crate::model::card::document;
use crate::panics::decoding;
use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::safetensors::load_buffer;
use candle_core::{Device, Tensor};
use rhai::{Array, Dynamic, INT, Map};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// The metadata key of the JSON that describes the run.
const KEY: &str = "gradscope.run";

impl Session {
    /// Encodes the current step as the contents of a snapshot file.
    ///
    /// Errors if the state contains a value that cannot be stored, such as a trace.
    pub fn snapshot(&self) -> Result<Vec<u8>> {
        let step = self.present().context("there is no step to save")?;
        let mut tensors = vec![];
        let document = json!({
            "question": self.question()?,
            "scalars": self.scalars(),
            "millis": self.millis(),
            "done": step.done,
            "used": self.told().used(),
            "state": encode(&step.state, &mut tensors)?,
        });
        let named = tensors.iter().enumerate().map(|(i, t)| (i.to_string(), t));
        let metadata = HashMap::from([(KEY.to_string(), document.to_string())]);
        Ok(safetensors::serialize(named, Some(metadata))?)
    }

    /// Resumes the run from the contents of a snapshot file. Only the scalars of earlier steps are restored.
    ///
    /// Errors if the bytes are not a snapshot or belong to a run with a different model, picture, method or settings, stating
    /// what differs.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let head = decoding("safetensors", || SafeTensors::read_metadata(bytes));
        let (_, head) = head.context("the file is not a saved run")?;
        let text = head.metadata().as_ref().and_then(|m| m.get(KEY)).context("the file is not a saved run")?;
        let document: Value = decoding("JSON", || serde_json::from_str(text)).context("the file is damaged")?;
        self.compare(&document["question"])?;
        let tensors = decoding("safetensors", || load_buffer(bytes, self.input().device()))?;
        let state = decode(&document["state"], &tensors).context("the file is damaged")?;
        let scalars: Vec<Vec<(String, f64)>> = serde_json::from_value(document["scalars"].clone())?;
        let millis: Vec<f64> = serde_json::from_value(document["millis"].clone())?;
        ensure!(!millis.is_empty() && millis.len() == scalars.len(), "the file is damaged");
        let steps = scalars.into_iter().zip(millis);
        let mut steps: Vec<_> =
            steps.map(|(scalars, millis)| KeptStep { scalars, millis, ..KeptStep::default() }).collect();
        if let Some(last) = steps.last_mut() {
            last.state = state;
            last.done = document["done"].as_str().map(String::from);
        }
        // Snapshots from older versions lack the effective parameter values.
        let used = serde_json::from_value(document["used"].clone()).unwrap_or_default();
        self.set_steps(steps, used);
        Ok(())
    }

    /// A JSON description of everything that affects the result of the run.
    fn question(&self) -> Result<Value> {
        let method = self.method().context("no method is open")?;
        let input = self.input().flatten_all()?.to_dtype(candle_core::DType::F32)?.to_vec1::<f32>()?;
        let input: Vec<u8> = input.iter().flat_map(|v| v.to_le_bytes()).collect();
        let card = &self.model().card;
        let hash = |bytes: &[u8]| format!("{:x}", Sha256::digest(bytes));
        Ok(json!({
            "method": method.name,
            "text of the method": hash(method.all_text().as_bytes()),
            "model": self.model().card.name,
            "weights": &*self.model().hash,
            "card": (!card.origins().is_empty()).then(|| document(card, true)),
            "picture": hash(&input),
            "data": self.data().name(),
            "target": self.current_target(),
            "ablated": (!self.ablations().is_empty()).then(|| self.ablated()),
            "seed": self.seed(),
            "parameters": self.params().texts(self.model()).into_iter().collect::<HashMap<_, _>>(),
        }))
    }

    fn compare(&self, kept: &Value) -> Result<()> {
        let own = self.question()?;
        let differs = own.as_object().into_iter().flatten().find(|(key, value)| kept[key.as_str()] != **value);
        match differs {
            None => Ok(()),
            Some((key, _)) => bail!("the file belongs to a different run (changed: {key})"),
        }
    }
}

/// Encodes a state losslessly as JSON. Tensors are appended to `tensors` and represented by their index.
fn encode(value: &Dynamic, tensors: &mut Vec<Tensor>) -> Result<Value> {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        tensors.push(tensor.contiguous()?);
        return Ok(json!({ "tensor": tensors.len() - 1 }));
    }
    if let Some(map) = value.read_lock::<Tsne>() {
        return encode_tsne(&map, tensors);
    }
    if let Some(map) = value.read_lock::<Map>() {
        let parts = map.iter().map(|(k, v)| Ok((k.to_string(), encode(v, tensors)?)));
        return Ok(json!({ "map": parts.collect::<Result<serde_json::Map<_, _>>>()? }));
    }
    if let Some(array) = value.read_lock::<Array>() {
        return Ok(array.iter().map(|v| encode(v, tensors)).collect::<Result<Vec<_>>>()?.into());
    }
    Ok(match value.type_name() {
        "()" => Value::Null,
        "bool" => json!(value.as_bool().map_err(|e| anyhow!(e))?),
        "i64" => json!(value.as_int().map_err(|e| anyhow!(e))?),
        "f64" => json!({ "float": format!("{:?}", value.as_float().map_err(|e| anyhow!(e))?) }),
        "string" | "char" => json!(value.to_string()),
        other => bail!("a state that contains a value of type {other} cannot be saved"),
    })
}

fn decode(value: &Value, tensors: &HashMap<String, Tensor>) -> Result<Dynamic> {
    let part = |key: &str| value.get(key);
    if let Some(number) = part("tensor") {
        let tensor = tensors.get(&number.to_string()).context("a tensor is missing")?;
        return Ok(Dynamic::from(tensor.clone()));
    }
    if let Some(map) = part("tsne") {
        return Ok(Dynamic::from(decode_tsne(map, tensors)?));
    }
    if let Some(map) = part("map") {
        let parts = map.as_object().context("expected a map")?.iter();
        return Ok(parts.map(|(k, v)| Ok((k.as_str().into(), decode(v, tensors)?))).collect::<Result<Map>>()?.into());
    }
    if let Some(float) = part("float") {
        return Ok(float.as_str().context("expected a number")?.parse::<f64>()?.into());
    }
    Ok(match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(b) => (*b).into(),
        Value::Number(n) => Dynamic::from(n.as_i64().context("expected an integer")? as INT),
        Value::String(s) => s.clone().into(),
        Value::Array(a) => a.iter().map(|v| decode(v, tensors)).collect::<Result<Array>>()?.into(),
        Value::Object(_) => bail!("a value has an unknown type"),
    })
}

/// Encodes an unfinished t-SNE embedding as JSON: positions, updates, gains and affinities. Arrays are appended to `tensors`.
fn encode_tsne(map: &Tsne, tensors: &mut Vec<Tensor>) -> Result<Value> {
    let n = map.y.len();
    let mut put = |tensor: candle_core::Result<Tensor>| {
        tensors.push(tensor?);
        anyhow::Ok(tensors.len() - 1)
    };
    let mut points = |points: &[Point]| put(Tensor::from_slice(points.as_flattened(), (n, 2), &Device::Cpu));
    let (y, update, gains) = (points(&map.y)?, points(&map.update)?, points(&map.gains)?);
    let near = &map.affinities;
    let start: Vec<i64> = near.start.iter().map(|&i| i as i64).collect();
    Ok(json!({ "tsne": {
        "y": y, "update": update, "gains": gains,
        "start": put(Tensor::from_vec(start, n + 1, &Device::Cpu))?,
        "index": put(Tensor::from_slice(&near.index, near.index.len(), &Device::Cpu))?,
        "p": put(Tensor::from_slice(&near.p, near.p.len(), &Device::Cpu))?,
        "perplexity": near.perplexity.to_string(), "kl": map.kl.to_string(), "iterations": map.iterations,
    } }))
}

fn decode_tsne(value: &Value, tensors: &HashMap<String, Tensor>) -> Result<Tsne> {
    let tensor = |key: &str| tensors.get(&value[key].to_string()).context("a tensor is missing");
    let points = |key: &str| -> Result<Vec<Point>> {
        let rows = tensor(key)?.to_vec2::<f64>()?;
        rows.into_iter().map(|row| row.try_into().ok().context("a position needs two coordinates")).collect()
    };
    let number = |key: &str| -> Result<f64> { Ok(value[key].as_str().context("expected a number")?.parse()?) };
    let start = tensor("start")?.to_vec1::<i64>()?.into_iter().map(|i| i as usize).collect();
    let (index, p) = (tensor("index")?.to_vec1()?, tensor("p")?.to_vec1()?);
    let affinities = Affinities { start, index, p, perplexity: number("perplexity")? };
    let (y, update, gains) = (points("y")?, points("update")?, points("gains")?);
    ensure!(
        affinities.is_sound() && [&y, &update, &gains].iter().all(|p| p.len() == affinities.count()),
        "the sizes of the t-SNE arrays differ"
    );
    let iterations = value["iterations"].as_u64().context("the number of iterations is missing")? as usize;
    Ok(Tsne { affinities: Arc::new(affinities), y, kl: number("kl")?, iterations, update, gains })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_restored_bit_for_bit() {
        let tensor = Tensor::new(&[[0.1f32, f32::MIN_POSITIVE], [-0.0, 3e38]], &Device::Cpu).unwrap();
        let inner: Map = [("x".into(), Dynamic::from(tensor.clone())), ("none".into(), Dynamic::UNIT)].into();
        let numbers: Array =
            vec![0.1.into(), f64::NAN.into(), f64::INFINITY.into(), 7_i64.into(), true.into(), "ü".into()];
        let state: Map = [("inner".into(), inner.into()), ("numbers".into(), numbers.into())].into();
        let mut tensors = vec![];
        let text = encode(&state.into(), &mut tensors).unwrap().to_string();
        let tensors = tensors.into_iter().enumerate().map(|(i, t)| (i.to_string(), t)).collect();
        let back = decode(&serde_json::from_str(&text).unwrap(), &tensors).unwrap().cast::<Map>();
        let inner = back["inner"].clone().cast::<Map>();
        let bits = |t: &Tensor| {
            t.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(bits(&inner["x"].clone().cast()), bits(&tensor));
        let numbers = back["numbers"].clone().cast::<Array>();
        assert_eq!(format!("{numbers:?}"), "[0.1, NaN, inf, 7, true, \"ü\"]");
    }

    #[test]
    fn a_value_that_cannot_be_saved_is_named() {
        let error = encode(&Dynamic::from(std::time::Instant::now()), &mut vec![]).unwrap_err().to_string();
        assert!(error.contains("timestamp"), "{error}");
    }
}

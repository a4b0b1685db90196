//! What PyTorch writes into its pickles: the few names that are known, and how they make tensors.

use super::number::{Number, count};
use super::pickle::{Heap, Value, shown};
use anyhow::{Context, Result, bail, ensure};

/// The most axes of a tensor, as in PyTorch.
const MAX_AXES: usize = 64;

/// A function or class that a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Global {
    /// `_rebuild_tensor`, `_rebuild_tensor_v2`: a view of a storage.
    Tensor,
    /// `_rebuild_parameter`: its tensor.
    Parameter,
    /// `OrderedDict`, empty or of pairs.
    OrderedDict,
    /// `torch.Size`: a tuple.
    Size,
    /// `torch.device`: not needed here.
    Device,
    /// `FloatStorage` and the like.
    Storage(Number),
}

/// Numbers that tensors are views of.
#[derive(Debug)]
pub struct Storage<'a> {
    /// Their type.
    pub number: Number,
    /// Their name in the file.
    pub key: &'a str,
    /// How many they are.
    pub count: usize,
}

/// A tensor: some numbers of a storage. Value `(i, j, …)` stands at `offset + i · stride[0] + j · stride[1] + …`.
#[derive(Debug)]
pub struct View {
    /// The storage's place in the heap.
    pub storage: usize,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
}

impl Global {
    /// What this name stands for; a name that is not known is not run, and an error.
    pub fn find(module: &str, name: &str) -> Result<Self> {
        Ok(match (module, name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::Tensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Self::Parameter,
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch", "Size") => Self::Size,
            ("torch", "device") => Self::Device,
            ("torch" | "torch.cuda", name) if let Some(number) = number(name) => Self::Storage(number),
            _ => bail!(
                "it calls {}.{}, which is not run: only tensors are read; save model.state_dict() alone",
                shown(module),
                shown(name)
            ),
        })
    }
}

fn number(storage: &str) -> Option<Number> {
    Some(match storage.strip_suffix("Storage")? {
        "Double" => Number::F64,
        "Float" => Number::F32,
        "Half" => Number::F16,
        "BFloat16" => Number::Bf16,
        "Long" => Number::I64,
        "Int" => Number::I32,
        "Short" => Number::I16,
        "Char" => Number::I8,
        "Byte" => Number::U8,
        "Bool" => Number::Bool,
        _ => return None,
    })
}

impl<'a> Heap<'a> {
    /// `global(*args)`.
    pub fn call(&mut self, global: Global, args: Value<'a>) -> Result<Value<'a>> {
        let Value::List(list) = args else { bail!("the pickle calls a function without a tuple of arguments") };
        match (global, &self.lists[list][..]) {
            (Global::Tensor, &[storage, offset, shape, stride, ..]) => self.tensor(storage, offset, shape, stride),
            (Global::Parameter, &[tensor @ Value::Tensor(_), ..]) => Ok(tensor),
            (Global::OrderedDict, &[]) => Ok(self.dict(Vec::new())),
            (Global::OrderedDict, &[Value::List(items)]) => self.ordered(items),
            (Global::Size, &[sizes @ Value::List(_)]) => Ok(sizes),
            (Global::Device, _) => Ok(Value::Other),
            _ => bail!("the pickle calls {global:?} with arguments that do not fit"),
        }
    }

    /// The storage of a persistent id: `("storage", type, key, location, count)`; where it was does not matter.
    pub fn storage(&mut self, id: Value<'a>) -> Result<Value<'a>> {
        const SHAPE: &str = "the pickle has a storage that PyTorch does not write";
        let Value::List(id) = id else { bail!(SHAPE) };
        let storage = match self.lists[id][..] {
            // A sixth entry tells a part of another storage; it is None since PyTorch 0.4.
            [Value::Text("storage"), kind, key, _, count]
            | [Value::Text("storage"), kind, key, _, count, Value::None] => {
                let (Value::Global(Global::Storage(number)), Value::Text(key)) = (kind, key) else { bail!(SHAPE) };
                Storage { number, key, count: size(count)? }
            }
            _ => bail!(SHAPE),
        };
        self.storages.push(storage);
        Ok(Value::Storage(self.storages.len() - 1))
    }

    /// A view of a storage that lies within it.
    fn tensor(&mut self, storage: Value, offset: Value, shape: Value, stride: Value) -> Result<Value<'a>> {
        let Value::Storage(storage) = storage else { bail!("the pickle has a tensor without a storage") };
        let view = View { storage, offset: size(offset)?, shape: self.sizes(shape)?, stride: self.sizes(stride)? };
        ensure!(
            view.end()? <= self.storages[storage].count,
            "a tensor of shape {:?} reaches beyond its storage of {} values",
            view.shape,
            self.storages[storage].count
        );
        self.tensors.push(view);
        Ok(Value::Tensor(self.tensors.len() - 1))
    }

    /// An `OrderedDict` of pairs, as Python 2 wrote it.
    fn ordered(&mut self, items: usize) -> Result<Value<'a>> {
        let pair = |item: &Value| match item {
            Value::List(pair) => self.lists[*pair].as_array::<2>().map(|&[key, value]| (key, value)),
            _ => None,
        };
        let pairs = self.lists[items].iter().map(pair).collect::<Option<_>>();
        Ok(self.dict(pairs.context("the pickle has an OrderedDict of what are no pairs")?))
    }

    fn sizes(&self, list: Value) -> Result<Vec<usize>> {
        let Value::List(list) = list else { bail!("the pickle has a tensor without a shape") };
        let list = &self.lists[list];
        ensure!(list.len() <= MAX_AXES, "a tensor of {} axes", list.len());
        list.iter().map(|&n| size(n)).collect()
    }
}

impl View {
    /// The number after its last one in the storage.
    fn end(&self) -> Result<usize> {
        ensure!(self.shape.len() == self.stride.len(), "shape {:?} with strides {:?}", self.shape, self.stride);
        if count(&self.shape)? == 0 {
            return Ok(0);
        }
        let mut axes = self.shape.iter().zip(&self.stride);
        let last = axes.try_fold(self.offset, |at, (n, stride)| at.checked_add((n - 1).checked_mul(*stride)?));
        last.and_then(|at| at.checked_add(1)).with_context(|| format!("strides {:?} are too large", self.stride))
    }

    /// The bytes of its values in row order, from those of its storage with numbers of `size` bytes.
    pub fn gather(&self, storage: &[u8], size: usize) -> Vec<u8> {
        let values: usize = self.shape.iter().product();
        let mut bytes = Vec::with_capacity(values * size);
        let mut place = vec![0; self.shape.len()];
        let mut at = self.offset;
        for _ in 0..values {
            bytes.extend_from_slice(&storage[at * size..(at + 1) * size]);
            for axis in (0..place.len()).rev() {
                place[axis] += 1;
                at += self.stride[axis];
                if place[axis] < self.shape[axis] {
                    break;
                }
                at -= self.shape[axis] * self.stride[axis];
                place[axis] = 0;
            }
        }
        bytes
    }

    /// Whether its values stand in row order, one after another.
    pub fn contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.stride).rev().all(|(&n, &stride)| {
            let fits = n == 1 || stride == expected;
            expected *= n;
            fits
        })
    }
}

fn size(value: Value) -> Result<usize> {
    match value {
        Value::Int(n) if n >= 0 => Ok(usize::try_from(n)?),
        _ => bail!("the pickle has a tensor whose size, stride or offset is not a whole number from 0"),
    }
}

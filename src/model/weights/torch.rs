//! The supported functions and classes of PyTorch's pickles, and the tensors that they create.

use super::number::{Number, count};
use super::pickle::{Heap, PickleValue};
use anyhow::{Context, Result, bail, ensure};

/// Maximum number of dimensions of a tensor, as in PyTorch.
const MAX_AXES: usize = 64;

/// A function or class named in a pickle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Global<'a> {
    /// `_rebuild_tensor` or `_rebuild_tensor_v2`, which create a view of a storage.
    Tensor,
    /// `_rebuild_from_type_v2`, which creates a tensor of a subclass.
    Subclass,
    /// `_rebuild_parameter` or `_rebuild_parameter_with_state`, which return the tensor of a parameter.
    Parameter,
    /// `OrderedDict`, created empty or from key-value pairs.
    OrderedDict,
    /// `torch.Size`, which is read as a tuple.
    Size,
    /// `torch.device`, which is ignored.
    Device,
    /// The type of a storage, such as `FloatStorage`.
    Storage(Number),
    /// Any other class or function, by module and name; it is never run.
    Unknown(&'a str, &'a str),
}

/// A storage: the buffer that tensors are views of.
#[derive(Debug)]
pub struct Storage<'a> {
    /// Type of the values.
    pub number: Number,
    /// Key of the storage in the file.
    pub key: &'a str,
    /// Number of values in the storage.
    pub count: usize,
}

/// A strided view of a storage. Element `(i, j, …)` is at index `offset + i · stride[0] + j · stride[1] + …`.
#[derive(Clone, Debug)]
pub struct StridedView {
    /// Index of the storage in the heap.
    pub storage: usize,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
}

impl<'a> Global<'a> {
    /// The function or class with a given module and name.
    pub fn find(module: &'a str, name: &'a str) -> Self {
        match (module, name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::Tensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Self::Parameter,
            ("torch._tensor", "_rebuild_from_type_v2") => Self::Subclass,
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch", "Size") => Self::Size,
            ("torch", "device") => Self::Device,
            ("torch" | "torch.cuda" | "torch.storage", name) if let Some(number) = number(name) => {
                Self::Storage(number)
            }
            _ => Self::Unknown(module, name),
        }
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
        "ComplexFloat" => Number::Unread("complex64", 8),
        "ComplexDouble" => Number::Unread("complex128", 16),
        "QInt8" => Number::Unread("qint8", 1),
        "QUInt8" => Number::Unread("quint8", 1),
        "QUInt4x2" => Number::Unread("quint4x2", 1),
        "QUInt2x4" => Number::Unread("quint2x4", 1),
        "QInt32" => Number::Unread("qint32", 4),
        "Untyped" => Number::Unread("bytes", 1),
        _ => return None,
    })
}

impl<'a> Heap<'a> {
    /// Evaluates `called(*args)`. The result is a tensor or container if the function is supported, otherwise a placeholder.
    ///
    /// Errors if the arguments do not match the function or if too many values are copied.
    pub fn call(&mut self, called: PickleValue<'a>, args: usize) -> Result<PickleValue<'a>> {
        let PickleValue::Global(global) = called else {
            // A method or a partial function is represented by a placeholder; its result gets the class of that placeholder.
            let class = if let PickleValue::Object(object) = called { self.objects[object].class } else { ("", "") };
            return Ok(self.object(class, Some(args)));
        };
        match (global, &self.lists[args][..]) {
            // A tensor of an unknown class that is rebuilt from a placeholder remains that placeholder.
            (Global::Tensor | Global::Parameter, &[object @ PickleValue::Object(_), ..]) => Ok(object),
            (Global::Tensor, &[storage, offset, shape, stride, ..]) => self.tensor(storage, offset, shape, stride),
            (Global::Parameter, &[tensor @ PickleValue::Tensor(_), ..]) => Ok(tensor),
            (
                Global::Subclass,
                &[PickleValue::Global(make @ (Global::Tensor | Global::Parameter)), _, PickleValue::List(inner), ..],
            ) => self.call(PickleValue::Global(make), inner),
            (Global::OrderedDict, &[]) => Ok(self.dict(Vec::new())),
            (Global::OrderedDict, &[PickleValue::List(items)]) => self.ordered(items),
            (Global::OrderedDict, &[PickleValue::Dict(items)]) => {
                self.copies(self.dicts[items].len())?;
                Ok(self.dict(self.dicts[items].clone()))
            }
            (Global::Size, &[sizes @ PickleValue::List(_)]) => Ok(sizes),
            (Global::Device, _) => Ok(PickleValue::Other),
            // `copyreg` creates objects of the class given as its first argument.
            (Global::Unknown("copyreg" | "copy_reg", _), &[PickleValue::Global(Global::Unknown(module, name)), ..])
            | (Global::Unknown(module, name), _) => Ok(self.object((module, name), Some(args))),
            (Global::Tensor | Global::Parameter, _) => {
                bail!("the pickle creates a tensor from invalid arguments; the file is damaged")
            }
            _ => Ok(self.object(("", ""), Some(args))),
        }
    }

    /// The value that a persistent ID refers to: a storage, or a class stored with its source code.
    pub fn persistent(&mut self, id: PickleValue<'a>) -> Result<PickleValue<'a>> {
        match id {
            PickleValue::List(id) => match self.lists[id][..] {
                [PickleValue::Text("storage"), ..] => self.storage(id),
                [PickleValue::Text("module"), class, ..] => Ok(class),
                _ => Ok(PickleValue::Other),
            },
            _ => Ok(PickleValue::Other),
        }
    }

    /// Adds the storage described by the persistent ID `("storage", type, key, location, count)`; the location is ignored.
    fn storage(&mut self, id: usize) -> Result<PickleValue<'a>> {
        const SHAPE: &str = "the pickle has a storage in a form that PyTorch does not write";
        let storage = match self.lists[id][..] {
            // A sixth entry refers to a part of another storage; it is None since PyTorch 0.4.
            [PickleValue::Text("storage"), kind, key, _, count]
            | [PickleValue::Text("storage"), kind, key, _, count, PickleValue::None] => {
                let PickleValue::Text(key) = key else { bail!(SHAPE) };
                match kind {
                    PickleValue::Global(Global::Storage(number)) => Storage { number, key, count: size(count)? },
                    PickleValue::Global(Global::Unknown(module, name)) => return Ok(self.object((module, name), None)),
                    _ => bail!(SHAPE),
                }
            }
            _ => bail!(SHAPE),
        };
        self.storages.push(storage);
        Ok(PickleValue::Storage(self.storages.len() - 1))
    }

    /// Adds a tensor that is a view of a storage.
    ///
    /// Errors if the view extends beyond the storage.
    fn tensor(
        &mut self,
        storage: PickleValue,
        offset: PickleValue,
        shape: PickleValue,
        stride: PickleValue,
    ) -> Result<PickleValue<'a>> {
        let PickleValue::Storage(storage) = storage else { bail!("the pickle has a tensor without a storage") };
        let view =
            StridedView { storage, offset: size(offset)?, shape: self.sizes(shape)?, stride: self.sizes(stride)? };
        ensure!(
            view.end()? <= self.storages[storage].count,
            "a tensor of shape {:?} extends beyond its storage of {} values",
            view.shape,
            self.storages[storage].count
        );
        self.tensors.push(view);
        Ok(PickleValue::Tensor(self.tensors.len() - 1))
    }

    /// Creates an `OrderedDict` from a list of pairs, as written by Python 2.
    fn ordered(&mut self, items: usize) -> Result<PickleValue<'a>> {
        self.copies(self.lists[items].len())?;
        let pair = |item: &PickleValue| match item {
            PickleValue::List(pair) => self.lists[*pair].as_array::<2>().map(|&[key, value]| (key, value)),
            _ => None,
        };
        let pairs = self.lists[items].iter().map(pair).collect::<Option<_>>();
        Ok(self.dict(pairs.context("the pickle has an OrderedDict of items that are not pairs")?))
    }

    fn sizes(&self, list: PickleValue) -> Result<Vec<usize>> {
        let PickleValue::List(list) = list else { bail!("the pickle has a tensor without a shape") };
        let list = &self.lists[list];
        ensure!(list.len() <= MAX_AXES, "a tensor has {} dimensions; at most 64 are supported", list.len());
        list.iter().map(|&n| size(n)).collect()
    }
}

impl StridedView {
    /// One past the storage index of the view's last value.
    fn end(&self) -> Result<usize> {
        ensure!(
            self.shape.len() == self.stride.len(),
            "a tensor has shape {:?} but strides {:?}",
            self.shape,
            self.stride
        );
        if count(&self.shape)? == 0 {
            return Ok(0);
        }
        let mut axes = self.shape.iter().zip(&self.stride);
        let last = axes.try_fold(self.offset, |at, (n, stride)| at.checked_add((n - 1).checked_mul(*stride)?));
        last.and_then(|at| at.checked_add(1)).with_context(|| format!("strides {:?} are too large", self.stride))
    }
}

fn size(value: PickleValue) -> Result<usize> {
    match value {
        PickleValue::Int(n) if n >= 0 => Ok(usize::try_from(n)?),
        _ => bail!("the pickle has a tensor whose size, stride or offset is not a nonnegative integer"),
    }
}

//! The values of a pickle, and the heap of containers, tensors and placeholders that these values refer to.

use super::torch::{Global, Storage, StridedView};
use anyhow::{Result, ensure};

/// Maximum number of values copied between containers.
const MAX_COPIES: usize = 4_000_000;

/// A pickled value; containers, storages and tensors are indices into the [`Heap`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PickleValue<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A positive integer that does not fit into an i64.
    Big(u128),
    Float,
    Text(&'a str),
    Bytes,
    /// A tuple, list or set.
    List(usize),
    Dict(usize),
    Global(Global<'a>),
    Storage(usize),
    Tensor(usize),
    Object(usize),
    /// Any value that is not needed to create tensors.
    Other,
}

/// An inert placeholder for an object whose class or function is not supported.
#[derive(Debug, Default)]
pub struct Object<'a> {
    /// Module and name of the class or function that created the object.
    pub class: (&'a str, &'a str),
    /// Items added to the object, if it was filled like a dict.
    pub items: Vec<(PickleValue<'a>, PickleValue<'a>)>,
    /// State of the object, usually a dict of attributes.
    pub state: Option<PickleValue<'a>>,
    /// Heap index of the list of arguments that the object was created with.
    pub args: Option<usize>,
}

/// The containers, storages, tensors and objects of a pickle.
#[derive(Debug, Default)]
pub struct Heap<'a> {
    pub lists: Vec<Vec<PickleValue<'a>>>,
    pub dicts: Vec<Vec<(PickleValue<'a>, PickleValue<'a>)>>,
    pub storages: Vec<Storage<'a>>,
    pub tensors: Vec<StridedView>,
    pub objects: Vec<Object<'a>>,
    /// Number of values copied between containers so far.
    copied: usize,
}

impl<'a> Heap<'a> {
    /// Adds a list to the heap and returns it as a value.
    pub fn list(&mut self, items: Vec<PickleValue<'a>>) -> PickleValue<'a> {
        PickleValue::List(self.place(items))
    }

    /// Adds a list to the heap and returns its index.
    pub fn place(&mut self, items: Vec<PickleValue<'a>>) -> usize {
        self.lists.push(items);
        self.lists.len() - 1
    }

    /// Adds to the heap a placeholder for the result of a call.
    pub fn object(&mut self, class: (&'a str, &'a str), args: Option<usize>) -> PickleValue<'a> {
        self.objects.push(Object { class, args, ..Object::default() });
        PickleValue::Object(self.objects.len() - 1)
    }

    /// Counts copied values, because a small pickle can request the same copy many times.
    ///
    /// Errors if more than four million values are copied in total.
    pub fn copies(&mut self, count: usize) -> Result<()> {
        self.copied += count;
        ensure!(
            self.copied <= MAX_COPIES,
            "the pickle copies more than {MAX_COPIES} values; save model.state_dict() alone"
        );
        Ok(())
    }

    /// Adds a dict to the heap and returns it as a value.
    pub fn dict(&mut self, items: Vec<(PickleValue<'a>, PickleValue<'a>)>) -> PickleValue<'a> {
        self.dicts.push(items);
        PickleValue::Dict(self.dicts.len() - 1)
    }
}

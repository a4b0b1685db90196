//! The values of a pickle, and what they refer to: containers, tensors, placeholders.

use super::torch::{Global, Storage, StridedView};
use anyhow::{Result, ensure};

/// The most values that are copied from one container to another.
const MAX_COPIES: usize = 4_000_000;

/// A pickled value; containers are places in the [`Heap`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PickleValue<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A positive whole number beyond i64.
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
    /// Something that no tensor needs.
    Other,
}

/// An inert placeholder for an object whose class or function is unknown here.
#[derive(Debug, Default)]
pub struct Object<'a> {
    /// Module and name of what would have made it.
    pub class: (&'a str, &'a str),
    /// Its items, if it was filled like a dict.
    pub items: Vec<(PickleValue<'a>, PickleValue<'a>)>,
    /// Its state: most often a dict of attributes.
    pub state: Option<PickleValue<'a>>,
    /// The list of arguments.
    pub args: Option<usize>,
}

/// What the values of a pickle refer to.
#[derive(Debug, Default)]
pub struct Heap<'a> {
    pub lists: Vec<Vec<PickleValue<'a>>>,
    pub dicts: Vec<Vec<(PickleValue<'a>, PickleValue<'a>)>>,
    pub storages: Vec<Storage<'a>>,
    pub tensors: Vec<StridedView>,
    pub objects: Vec<Object<'a>>,
    /// How many values were copied from one container to another.
    copied: usize,
}

impl<'a> Heap<'a> {
    /// A new list.
    pub fn list(&mut self, items: Vec<PickleValue<'a>>) -> PickleValue<'a> {
        PickleValue::List(self.place(items))
    }

    /// The place of a new list.
    pub fn place(&mut self, items: Vec<PickleValue<'a>>) -> usize {
        self.lists.push(items);
        self.lists.len() - 1
    }

    /// A placeholder for what this call would have made.
    pub fn object(&mut self, class: (&'a str, &'a str), args: Option<usize>) -> PickleValue<'a> {
        self.objects.push(Object { class, args, ..Object::default() });
        PickleValue::Object(self.objects.len() - 1)
    }

    /// Counts values that are copied: a pickle may ask for the same copy again and again.
    pub fn copies(&mut self, count: usize) -> Result<()> {
        self.copied += count;
        ensure!(
            self.copied <= MAX_COPIES,
            "the pickle copies more than {MAX_COPIES} values; save model.state_dict() alone"
        );
        Ok(())
    }

    /// A new dict.
    pub fn dict(&mut self, items: Vec<(PickleValue<'a>, PickleValue<'a>)>) -> PickleValue<'a> {
        self.dicts.push(items);
        PickleValue::Dict(self.dicts.len() - 1)
    }
}

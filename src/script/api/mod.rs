//! The functions that scripts can call, with one file for each noun of the API. Functions that also exist in PyTorch have the same name,
//! argument order and meaning.

mod arithmetic;
mod attention;
mod backward;
pub(super) mod builder;
mod codec;
mod context;
mod ctc;
mod data;
pub(super) mod declare;
mod edit;
mod embed;
mod features;
mod elementwise;
mod figure;
pub(super) mod gaussian;
#[cfg(test)]
mod attack;
#[cfg(test)]
mod laws;
mod ledger;
mod linalg;
mod make;
mod model;
mod norms;
pub(in crate::script) mod nouns;
mod objective;
pub(super) mod options;
mod points;
mod quadrature;
mod randomize;
mod reduce;
mod rules;
mod run;
mod seed;
mod selector;
mod shape;
mod site;
mod spatial;
mod statistics;
mod trainer;
pub(super) mod training;
pub(super) mod types;
mod values;
mod variable;

pub(super) use super::sandbox::guard::Guard;
pub(super) use figure::{class_rows, figures};
pub(super) use run::LabeledTrace;
pub(super) use values::{
    Out, Variable, broadcast, classes, dim, dims, finite, in_type_of, integers, number, one_or_many, one_type, out,
    promoted, scalar, size, sizes, tensor_or_number,
};

use rhai::Engine;
use std::sync::Arc;

/// Registers all types and functions that scripts can use.
pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    types::register(engine);
    nouns::NOUNS.iter().flat_map(|noun| noun.register).for_each(|register| register(engine, guard));
}

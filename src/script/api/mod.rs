//! The functions that scripts can call, one file per noun. Names, argument order and meaning follow PyTorch where it has the function.

mod arithmetic;
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
mod values;
mod variable;

pub(super) use super::sandbox::guard::Guard;
pub(super) use figure::{class_rows, figures};
pub(super) use run::LabelledTrace;
pub(super) use values::{
    Out, Variable, broadcast, classes, dim, dims, finite, in_type_of, integers, number, one_or_many, one_type, out,
    promoted, scalar, size, sizes, tensor_or_number,
};

use candle_core::Tensor;
use rhai::Engine;
use std::sync::Arc;

/// Registers everything.
pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_type_with_name::<Tensor>("Tensor");
    make::register(engine, guard);
    arithmetic::register(engine, guard);
    elementwise::register(engine, guard);
    reduce::register(engine);
    quadrature::register(engine);
    shape::register(engine, guard);
    spatial::register(engine, guard);
    linalg::register(engine, guard);
    model::register(engine, guard);
    randomize::register(engine, guard);
    edit::register(engine, guard);
    seed::register(engine);
    backward::register(engine, guard);
    objective::register(engine);
    variable::register(engine, guard);
    norms::register(engine);
    ctc::register(engine);
    codec::register(engine);
    statistics::register(engine);
    rules::register(engine);
    site::register(engine);
    ledger::register(engine, guard);
    figure::register(engine);
    points::register(engine);
    declare::register(engine);
    context::register(engine, guard);
    data::register(engine, guard);
    features::register(engine, guard);
    trainer::register(engine, guard);
    embed::register(engine, guard);
    builder::register(engine);
}

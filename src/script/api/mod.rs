//! What scripts can call, one file a noun. Names, argument order and meaning are PyTorch's where it has the function.

mod arithmetic;
mod backward;
mod ball;
pub(super) mod builder;
mod chance;
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
#[cfg(test)]
mod attack;
#[cfg(test)]
mod laws;
mod ledger;
mod linalg;
mod make;
mod model;
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
mod trainer;
pub(super) mod training;
mod values;
mod variable;

pub(super) use super::guard::Guard;
pub(super) use figure::{class_rows, figures};
pub(super) use run::Run;
pub(super) use values::{
    Out, Variable, broadcast, classes, dim, dims, finite, in_type_of, integers, number, one_or_many, one_type, out,
    promoted, scalar, size, sizes, tensor_or_number,
};

use super::context::Cx;
use crate::backward::{Lrp, Relevance};
use crate::exec::Site;
use crate::model::Model;
use candle_core::Tensor;
use rhai::{Dynamic, Engine};
use std::sync::Arc;

/// Whether a value is of a type that no function changes in place: a copy is as good.
pub(super) fn is_immutable(value: &Dynamic) -> bool {
    value.is::<Tensor>()
        || value.is::<Cx>()
        || value.is::<context::Named>()
        || value.is::<data::Pictures>()
        || value.is::<Model>()
        || value.is::<Run>()
        || value.is::<Relevance>()
        || value.is::<seed::Seed>()
        || value.is::<Lrp>()
        || value.is::<Site>()
        || value.is::<Variable>()
        || value.is::<objective::Activations>()
}

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
    ball::register(engine);
    ctc::register(engine);
    codec::register(engine);
    chance::register(engine);
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

//! The types of values that scripts can hold: their names, and which of these types are immutable.

use super::builder::Handle;
use super::context::Named;
use super::data::Pictures;
use super::declare::Declared;
use super::objective::Activations;
use super::seed::Seed;
use super::trainer::Learner;
use super::{LabeledTrace, Variable};
use crate::exec::LayerContext;
use crate::explain::{Lrp, Relevance};
use crate::math::Tsne;
use crate::model::Model;
use crate::render::Figure;
use crate::script::method::context::Cx;
use crate::script::method::params::Param;
use candle_core::Tensor;
use rhai::{Dynamic, Engine};

/// Registers the name of every type that scripts can hold, for use in scripts, signatures and error messages.
pub(in crate::script) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Tensor>("Tensor");
    engine.register_type_with_name::<Cx>("Context");
    engine.register_type_with_name::<Named>("Parameters");
    engine.register_type_with_name::<Declared>("Default");
    engine.register_type_with_name::<Param>("Parameter");
    engine.register_type_with_name::<Pictures>("Dataset");
    engine.register_type_with_name::<Learner>("Trainer");
    engine.register_type_with_name::<Tsne>("Tsne");
    engine.register_type_with_name::<Model>("Model");
    engine.register_type_with_name::<LabeledTrace>("Trace");
    engine.register_type_with_name::<Seed>("Seed");
    engine.register_type_with_name::<Activations>("Activations");
    engine.register_type_with_name::<Variable>("Variable");
    engine.register_type_with_name::<Relevance>("Relevance");
    engine.register_type_with_name::<LayerContext>("Site");
    engine.register_type_with_name::<Lrp>("Rule");
    engine.register_type_with_name::<Figure>("Figure");
    engine.register_type_with_name::<Handle>("Node");
}

/// Whether the type of a value is immutable: no function changes such a value in place, so a copy is equivalent to the original.
pub(in crate::script) fn is_immutable(value: &Dynamic) -> bool {
    value.is::<Tensor>()
        || value.is::<Cx>()
        || value.is::<Named>()
        || value.is::<Pictures>()
        || value.is::<Model>()
        || value.is::<LabeledTrace>()
        || value.is::<Seed>()
        || value.is::<Activations>()
        || value.is::<Variable>()
        || value.is::<Relevance>()
        || value.is::<LayerContext>()
        || value.is::<Lrp>()
}

//! The nouns by which the API is organized, each with the functions that register it and an example script.

use super::{
    Guard, arithmetic, attention, backward, builder, codec, context, ctc, data, declare, edit, elementwise, embed,
    features, figure, ledger, linalg, make, model, norms, objective, points, quadrature, randomize, reduce, rules,
    seed, shape, site, spatial, statistics, trainer, variable,
};
use rhai::Engine;
use std::sync::Arc;

/// A group of related API functions, as shown by `gradscope api NOUN`.
pub(in crate::script) struct Noun {
    /// Name of the noun, such as `model`.
    pub name: &'static str,
    /// Functions that register the noun's functions with an engine.
    pub register: &'static [fn(&mut Engine, &Arc<Guard>)],
    /// An example that calls some of the noun's functions: a complete script, which is a method, an architecture or a program.
    pub example: &'static str,
}

/// Builds a [`Noun`] from its name, which is also the file name of its example, and the functions that register it.
macro_rules! noun {
    ($name:literal $(, $register:expr)*) => {
        Noun {
            name: $name,
            register: &[$($register),*],
            example: include_str!(concat!("example/", $name, ".rhai")),
        }
    };
}

/// All nouns, in the order of the documentation. A noun whose functions are registered elsewhere is listed only for its example.
pub(in crate::script) const NOUNS: &[Noun] = &[
    noun!("cx", context::register),
    noun!("params", |e, _| declare::register(e)),
    noun!("data", data::register),
    noun!("features", features::register, embed::register),
    noun!("trainer", trainer::register),
    noun!("model", model::register, |e, _| attention::register(e), randomize::register),
    noun!("trace", |e, _| model::trace(e), |e, _| attention::trace(e)),
    noun!("seed", |e, _| seed::register(e)),
    noun!("objective", |e, _| objective::register(e), variable::register),
    noun!("backward", backward::register, |e, _| model::relevance(e)),
    noun!("edit", edit::register),
    noun!("site", |e, _| site::register(e)),
    noun!("rule", |e, _| rules::register(e)),
    noun!("ledger", ledger::register),
    noun!("arithmetic", arithmetic::register),
    noun!("elementwise", elementwise::register),
    noun!("reduce", |e, _| reduce::register(e)),
    noun!("rows", |e, _| norms::register(e)),
    noun!("shape", shape::register),
    noun!("map", spatial::register, |e, _| codec::register(e)),
    noun!("linalg", linalg::register),
    noun!("statistics", |e, _| statistics::register(e)),
    noun!("ctc", |e, _| ctc::register(e)),
    noun!("make", make::register, |e, _| quadrature::register(e)),
    noun!("figure", |e, _| figure::register(e), |e, _| points::register(e)),
    noun!("answer"),
    noun!("program"),
    noun!("architecture", |e, _| builder::register(e)),
    noun!("language"),
];

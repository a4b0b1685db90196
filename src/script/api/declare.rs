//! Functions that declare a method's parameters, such as `param("epsilon", pixels(8.0), 0.0..=64.0, "radius of the ball")`.

use super::{Out, out};
use crate::script::method::params::{Param, ParamValue};
use crate::script::summary::ParamKind;
use anyhow::{Result, anyhow, bail, ensure};
use rhai::{Array, Dynamic, Engine, FLOAT, INT};
use std::ops::{Range, RangeInclusive};

/// The default value of a parameter, together with the parameter's type: `pixels(8.0)`, `class()`, `layer("conv")`, `channel()`,
/// `method("attribution")`.
#[derive(Clone)]
pub(in crate::script) struct Declared {
    kind: ParamKind,
    value: ParamValue,
}

/// Inclusive bounds of a real-valued parameter, written `0.0..=64.0`.
#[derive(Clone, Copy)]
struct Bounds(f64, f64);

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("..=", |a: FLOAT, b: FLOAT| Bounds(a, b));
    engine.register_fn("..=", |a: INT, b: FLOAT| Bounds(a as FLOAT, b));
    engine.register_fn("..=", |a: FLOAT, b: INT| Bounds(a, b as FLOAT));
    engine.register_fn("pixels", |v: FLOAT| Declared {
        kind: ParamKind::Pixels(0.0, 255.0),
        value: ParamValue::Pixels(v),
    });
    engine.register_fn("pixels", |v: INT| Declared {
        kind: ParamKind::Pixels(0.0, 255.0),
        value: ParamValue::Pixels(v as FLOAT),
    });
    engine.register_fn("class", || Declared { kind: ParamKind::Class, value: ParamValue::Class(None) });
    engine.register_fn("channel", || Declared { kind: ParamKind::Channel, value: ParamValue::Channel(None) });
    engine.register_fn("pictures", || Declared { kind: ParamKind::Pictures, value: ParamValue::Pictures(vec![]) });
    engine.register_fn("array", || Declared { kind: ParamKind::Array, value: ParamValue::Array(None) });
    engine.register_fn("layer", || layer(""));
    engine.register_fn("layer", layer);
    engine.register_fn("all_layers", || Declared { kind: ParamKind::Layer(vec![]), value: ParamValue::AllLayers });
    engine
        .register_fn("param", |name: &str, default: Dynamic, doc: &str| out(param(name, default, Dynamic::UNIT, doc)));
    engine.register_fn("param", |name: &str, default: Dynamic, domain: Dynamic, doc: &str| -> Out<Param> {
        out(param(name, default, domain, doc))
    });
}

/// Declares a parameter whose value is a layer of one of the given kinds (`"conv|linear"`; any kind if empty). The default is the
/// last layer whose output is a feature map.
fn layer(kinds: &str) -> Declared {
    let kinds = kinds.split('|').map(str::trim).filter(|k| !k.is_empty()).map(String::from).collect();
    Declared { kind: ParamKind::Layer(kinds), value: ParamValue::Layer(None) }
}

impl Declared {
    /// Declares a parameter whose value is one of `choices`.
    pub(in crate::script) fn choice(choices: Vec<String>, default: String) -> Self {
        Self { kind: ParamKind::Choice(choices), value: ParamValue::Text(default) }
    }
}

fn param(name: &str, default: Dynamic, domain: Dynamic, doc: &str) -> Result<Param> {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    ensure!(
        !name.is_empty() && name.chars().all(letters),
        "\"{name}\" is not a valid parameter name; use letters, digits and _"
    );
    let (kind, default) = declared(&default, &domain).map_err(|e| anyhow!("parameter \"{name}\": {e}"))?;
    let param = Param { name: name.into(), doc: doc.into(), kind, default };
    param.check(&param.default)?;
    Ok(param)
}

fn declared(default: &Dynamic, domain: &Dynamic) -> Result<(ParamKind, ParamValue)> {
    if let Some(given) = default.read_lock::<Declared>() {
        let kind = match (&given.kind, bounds(domain)) {
            (ParamKind::Pixels(..), Some(Bounds(low, high))) => ParamKind::Pixels(low, high),
            (kind, _) => kind.clone(),
        };
        return Ok((kind, given.value.clone()));
    }
    if let Ok(on) = default.as_bool() {
        return Ok((ParamKind::Switch, ParamValue::Switch(on)));
    }
    if let Ok(text) = default.clone().into_string() {
        return match domain.read_lock::<Array>() {
            Some(choices) => {
                Ok((ParamKind::Choice(choices.iter().map(ToString::to_string).collect()), ParamValue::Text(text)))
            }
            None => Ok((ParamKind::Text, ParamValue::Text(text))),
        };
    }
    let need = || anyhow!("a numeric parameter needs bounds, such as 1..=500 or 0.0..=1.0");
    if let (Ok(n), false) = (default.as_int(), domain.is::<Bounds>()) {
        let (low, high) = whole(domain).ok_or_else(need)?;
        return Ok((ParamKind::Integer(low, high), ParamValue::Integer(n)));
    }
    let Ok(v) = super::number(default) else {
        bail!(
            "a default must be a number, a string, true or false, pixels(…), class(), layer(…), channel(), array() or pictures(), got {}",
            default.type_name()
        );
    };
    let Bounds(low, high) = bounds(domain).ok_or_else(need)?;
    Ok((ParamKind::Number(low, high), ParamValue::Number(v)))
}

fn whole(domain: &Dynamic) -> Option<(INT, INT)> {
    if let Some(range) = domain.read_lock::<RangeInclusive<INT>>() {
        return Some((*range.start(), *range.end()));
    }
    domain.read_lock::<Range<INT>>().map(|r| (r.start, r.end - 1))
}

fn bounds(domain: &Dynamic) -> Option<Bounds> {
    if let Some(bounds) = domain.read_lock::<Bounds>() {
        return Some(*bounds);
    }
    whole(domain).map(|(low, high)| Bounds(low as f64, high as f64))
}

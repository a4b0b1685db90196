//! The parameters of a method, checked whenever they are set.

use super::remarks::written;
use crate::data::{read_npy, source};
use crate::graph::Graph;
use crate::graph::op::KINDS;
use crate::model::Model;
use crate::script::report::closest;
use crate::script::summary::{ParamKind, ParamRow};
use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use rhai::{Dynamic, INT};
use std::path::Path;

/// Suffix of a length given as a fraction of the parameter `epsilon`, as in `0.25eps`.
pub const EPSILON: &str = "eps";

/// A parameter declared by a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Name of the parameter.
    pub name: String,
    /// User-facing description of the parameter.
    pub doc: String,
    /// Type and range of the parameter.
    pub kind: ParamKind,
    /// Default value of the parameter.
    pub default: ParamValue,
}

/// The value of a method's parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    /// A real number.
    Number(f64),
    /// An integer.
    Integer(i64),
    /// A difference in pixel value, in units of 1/255.
    Pixels(f64),
    /// A difference in pixel value, as a fraction of the parameter `epsilon`.
    Share(f64),
    /// A boolean.
    Switch(bool),
    /// A string. For a choice, one of the listed strings.
    Text(String),
    /// A class index; `None` lets the method decide.
    Class(Option<usize>),
    /// A layer name; `None` for the last layer that outputs a feature map.
    Layer(Option<String>),
    /// All layers instead of a single one.
    AllLayers,
    /// A channel index; `None` lets the method decide.
    Channel(Option<usize>),
    /// An array; `None` lets the method decide.
    Array(Option<GivenArray>),
    /// A possibly empty list of pictures in their original size.
    Pictures(Vec<GivenArray>),
}

/// An array passed as a parameter value, and its origin.
#[derive(Clone, Debug)]
pub struct GivenArray {
    /// Name of the array's file.
    pub name: String,
    /// The values of the array.
    pub tensor: Tensor,
}

impl PartialEq for GivenArray {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.tensor.id() == other.tensor.id()
    }
}

/// The parameters of a method with their current values.
#[derive(Clone, Debug, Default)]
pub struct Params {
    params: Vec<Param>,
    values: Vec<ParamValue>,
}

impl Param {
    /// Parses a value from `--set` or the app.
    ///
    /// Errors if the value has the wrong type or is out of range, stating the expected type and range.
    pub fn read(&self, text: &str, model: &Model) -> Result<ParamValue> {
        let value = self.parse(text.trim(), model)?;
        self.check(&value)?;
        Ok(value)
    }

    fn parse(&self, text: &str, model: &Model) -> Result<ParamValue> {
        let number = || text.parse::<f64>().ok().filter(|v| v.is_finite());
        let none = text.is_empty() || text == "none";
        let value = match &self.kind {
            ParamKind::Number(..) => number().map(ParamValue::Number),
            ParamKind::Pixels(..) => share(text).or_else(|| number().map(ParamValue::Pixels)),
            ParamKind::Integer(..) => text.parse().ok().map(ParamValue::Integer),
            ParamKind::Switch => match text {
                "true" | "yes" | "on" | "1" => Some(ParamValue::Switch(true)),
                "false" | "no" | "off" | "0" => Some(ParamValue::Switch(false)),
                _ => None,
            },
            ParamKind::Choice(_) | ParamKind::Text => Some(ParamValue::Text(text.into())),
            ParamKind::Class if none => Some(ParamValue::Class(None)),
            ParamKind::Class => Some(ParamValue::Class(Some(model.card.class(text, model.classes())?))),
            ParamKind::Layer(_) if self.default == ParamValue::AllLayers && (none || text == "all") => {
                Some(ParamValue::AllLayers)
            }
            ParamKind::Layer(_) if none => Some(ParamValue::Layer(None)),
            ParamKind::Layer(kinds) => Some(ParamValue::Layer(Some(layer(&model.graph, text, kinds)?))),
            ParamKind::Channel if none => Some(ParamValue::Channel(None)),
            ParamKind::Array if none => Some(ParamValue::Array(None)),
            ParamKind::Pictures if none => Some(ParamValue::Pictures(vec![])),
            ParamKind::Pictures => {
                let all = text.split(',').map(|text| GivenArray::picture(text.trim(), model));
                Some(ParamValue::Pictures(all.collect::<Result<_>>()?))
            }
            ParamKind::Array => Some(ParamValue::Array(Some(GivenArray::read(text, model)?))),
            ParamKind::Channel => text.parse().ok().map(|c| ParamValue::Channel(Some(c))),
        };
        value.with_context(|| {
            format!("invalid value \"{text}\" for parameter \"{}\"; expected {}", self.name, self.kind.text())
        })
    }

    /// Errors if `value` has the wrong type or is out of range for this kind of parameter.
    pub fn check(&self, value: &ParamValue) -> Result<()> {
        let fits = match (&self.kind, value) {
            (ParamKind::Number(low, high), ParamValue::Number(v))
            | (ParamKind::Pixels(low, high), ParamValue::Pixels(v)) => (*low..=*high).contains(v),
            (ParamKind::Integer(low, high), ParamValue::Integer(v)) => (*low..=*high).contains(v),
            (ParamKind::Choice(choices), ParamValue::Text(text)) => choices.contains(text),
            _ => true,
        };
        ensure!(fits, "parameter \"{}\" must be {}, got {}", self.name, self.kind.text(), value.text());
        Ok(())
    }
}

impl ParamKind {
    /// A description of the type and range, such as `a number from 0 to 1`.
    pub fn text(&self) -> String {
        match self {
            Self::Number(low, high) => format!("a number from {low} to {high}"),
            Self::Integer(low, high) => format!("an integer from {low} to {high}"),
            Self::Pixels(low, high) => format!("a number from {low} to {high}, in units of 1/255"),
            Self::Switch => "true or false".into(),
            Self::Choice(choices) => format!("one of {}", choices.join(", ")),
            Self::Class => "a class by name or index, or none".into(),
            Self::Layer(kinds) if kinds.is_empty() => "a layer or module, by name or by index from the end (-1)".into(),
            Self::Layer(kinds) => {
                format!("a layer of kind {}, by name or by index from the end (-1)", kinds.join(" or "))
            }
            Self::Channel => "a channel index, or none".into(),
            Self::Text => "any string".into(),
            Self::Array => "a .npy file, or none".into(),
            Self::Pictures => "comma-separated pictures, or none".into(),
        }
    }
}

impl ParamValue {
    /// The value in `--set` syntax.
    pub fn text(&self) -> String {
        match self {
            Self::Number(v) | Self::Pixels(v) => v.to_string(),
            Self::Share(v) => format!("{v}{EPSILON}"),
            Self::Integer(v) => v.to_string(),
            Self::Switch(on) => on.to_string(),
            Self::Text(text) => text.clone(),
            Self::Class(class) | Self::Channel(class) => class.map(|c| c.to_string()).unwrap_or_default(),
            Self::Layer(layer) => layer.clone().unwrap_or_default(),
            Self::AllLayers => "all".into(),
            Self::Array(given) => given.as_ref().map(|g| g.name.clone()).unwrap_or_default(),
            Self::Pictures(all) => all.iter().map(|g| g.name.as_str()).collect::<Vec<_>>().join(","),
        }
    }

    /// The value in `--set` syntax, with the default layer replaced by its name in `model`.
    fn seen(&self, model: &Model) -> String {
        match self {
            Self::Layer(None) => last_map(&model.graph).into(),
            value => value.text(),
        }
    }

    /// The value as seen by scripts: pixel differences are scaled to `[0, 1]`, layers are names, and `()` stands for all layers.
    pub(in crate::script) fn dynamic(&self, model: &Model) -> Dynamic {
        let index = |i: &Option<usize>| i.map_or(Dynamic::UNIT, |i| Dynamic::from(i as INT));
        match self {
            Self::Number(v) | Self::Share(v) => (*v).into(),
            Self::Pixels(v) => (v / 255.0).into(),
            Self::Integer(v) => (*v).into(),
            Self::Switch(on) => (*on).into(),
            Self::Text(text) => text.clone().into(),
            Self::Class(class) => index(class),
            Self::Channel(channel) => index(channel),
            Self::Array(given) => given.as_ref().map_or(Dynamic::UNIT, |g| Dynamic::from(g.tensor.clone())),
            Self::Pictures(all) => all.iter().map(|g| Dynamic::from(g.tensor.clone())).collect::<rhai::Array>().into(),
            Self::Layer(Some(name)) => name.clone().into(),
            Self::AllLayers => Dynamic::UNIT,
            Self::Layer(None) => last_map(&model.graph).to_string().into(),
        }
    }
}

impl Params {
    /// Creates the parameters of a method, all at their default values.
    pub fn new(params: Vec<Param>) -> Self {
        let values = params.iter().map(|p| p.default.clone()).collect();
        Self { params, values }
    }

    /// Creates parameters from new declarations. Parameters that still exist keep their values from `self` if these are still valid.
    pub fn carried_to(&self, params: Vec<Param>) -> Self {
        let mut new = Self::new(params);
        for (param, value) in new.params.iter().zip(&mut new.values) {
            let Some(old) = self.params.iter().position(|p| p.name == param.name && same_kind(&p.kind, &param.kind))
            else {
                continue;
            };
            if self.values[old] != self.params[old].default && param.check(&self.values[old]).is_ok() {
                *value = self.values[old].clone();
            }
        }
        new
    }

    /// Sets a parameter from a string in `--set` syntax. Errors if the parameter does not exist or the value is invalid.
    pub fn set(&mut self, name: &str, text: &str, model: &Model) -> Result<()> {
        let Some(i) = self.params.iter().position(|p| p.name == name) else { bail!("{}", self.unknown(name)) };
        let value = self.params[i].read(text, model)?;
        if let ParamValue::Share(_) = value {
            let length = self.value("epsilon").is_some_and(|(p, _)| matches!(p.kind, ParamKind::Pixels(..)));
            ensure!(
                length && name != "epsilon",
                "the value \"{text}\" of parameter \"{name}\" is relative to epsilon, but there is no other parameter named \
                 \"epsilon\"; expected {}",
                self.params[i].kind.text()
            );
        }
        self.values[i] = value;
        Ok(())
    }

    /// Sets an array or picture parameter to a tensor that is not from a file. Errors if there is no array or picture parameter
    /// named `name`.
    pub fn give(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        let takes = |p: &Param| p.name == name && matches!(p.kind, ParamKind::Array | ParamKind::Pictures);
        let Some(i) = self.params.iter().position(takes) else { bail!("{}", self.unknown(name)) };
        let given = GivenArray { name: "numbers".into(), tensor };
        self.values[i] = match self.params[i].kind {
            ParamKind::Pictures => ParamValue::Pictures(vec![given]),
            _ => ParamValue::Array(Some(given)),
        };
        Ok(())
    }

    /// The value of the parameter `name` as seen by scripts. Errors if there is no such parameter.
    pub(in crate::script) fn get(&self, name: &str, model: &Model) -> Result<Dynamic> {
        match self.params.iter().position(|p| p.name == name) {
            Some(i) => match self.values[i] {
                ParamValue::Share(share) => self.length(i, share).map(Dynamic::from),
                ref value => Ok(value.dynamic(model)),
            },
            None => bail!("{}", self.unknown(name)),
        }
    }

    /// Converts a script's value for the parameter `name` to `--set` syntax. Errors if there is no such parameter.
    pub(in crate::script) fn written(&self, name: &str, value: &Dynamic) -> Result<String> {
        let Some(param) = self.params.iter().find(|p| p.name == name) else { bail!("{}", self.unknown(name)) };
        Ok(written(value, if matches!(param.kind, ParamKind::Pixels(..)) { 255.0 } else { 1.0 }))
    }

    /// Whether the parameter `name` exists and differs from its default.
    pub(in crate::script) fn is_changed(&self, name: &str) -> bool {
        self.params.iter().zip(&self.values).any(|(p, v)| p.name == name && p.default != *v)
    }

    /// Converts `share`, a fraction of the parameter `epsilon`, to a pixel difference in `[0, 1]`.
    fn length(&self, i: usize, share: f64) -> Result<f64> {
        let epsilon = match self.value("epsilon") {
            Some((_, ParamValue::Pixels(epsilon))) => *epsilon,
            _ => {
                bail!("lengths in \"eps\" are fractions of the parameter \"epsilon\", which this method does not have")
            }
        };
        self.params[i]
            .check(&ParamValue::Pixels(share * epsilon))
            .with_context(|| format!("{share} times epsilon ({epsilon})"))?;
        Ok(share * epsilon / 255.0)
    }

    /// The class index of the parameter `name`, if set.
    pub(in crate::script) fn class(&self, name: &str) -> Option<usize> {
        match self.value(name)? {
            (_, ParamValue::Class(class)) => *class,
            _ => None,
        }
    }

    /// The current and default value of the boolean parameter `name`; `None` if there is no such parameter.
    pub(in crate::script) fn switch(&self, name: &str) -> Option<(bool, bool)> {
        match self.value(name)? {
            (Param { default: ParamValue::Switch(default), .. }, ParamValue::Switch(on)) => Some((*on, *default)),
            _ => None,
        }
    }

    fn value(&self, name: &str) -> Option<(&Param, &ParamValue)> {
        self.params.iter().zip(&self.values).find(|(p, _)| p.name == name)
    }

    /// Names and values, as strings, of non-default parameters.
    pub(in crate::script) fn changed(&self) -> Vec<(String, String)> {
        let pairs = self.params.iter().zip(&self.values).filter(|(p, v)| p.default != **v);
        pairs.map(|(p, v)| (p.name.clone(), v.text())).collect()
    }

    /// Names and values of all parameters, as strings, with the default layer resolved to its name.
    pub fn texts(&self, model: &Model) -> Vec<(String, String)> {
        self.params.iter().zip(&self.values).map(|(p, v)| (p.name.clone(), v.seen(model))).collect()
    }

    /// One row per parameter, for the app's parameters panel.
    pub fn rows(&self, model: &Model) -> Vec<ParamRow> {
        let row = |(p, v): (&Param, &ParamValue)| ParamRow {
            name: p.name.clone(),
            doc: p.doc.clone(),
            kind: p.kind.clone(),
            value: v.seen(model),
            default: p.default.seen(model),
        };
        self.params.iter().zip(&self.values).map(row).collect()
    }

    fn unknown(&self, name: &str) -> String {
        let names: Vec<_> = self.params.iter().map(|p| p.name.as_str()).collect();
        let known = if names.is_empty() {
            "this method has no parameters".into()
        } else {
            format!("the parameters are {}", names.join(", "))
        };
        match closest(name, names.iter().copied()) {
            Some(near) => format!("unknown parameter \"{name}\"; did you mean \"{near}\"? {known}"),
            None => format!("unknown parameter \"{name}\"; {known}"),
        }
    }
}

impl GivenArray {
    /// Reads an array from a `.npy` file to the device of `model`.
    fn read(path: &str, model: &Model) -> Result<Self> {
        let array = read_npy(Path::new(path))?;
        let tensor = Tensor::from_vec(array.values, array.shape, &model.graph.device())?;
        Ok(Self { name: path.into(), tensor })
    }

    /// Opens the picture specified by `text` with the number of channels expected by `model`, as `(1, C, H, W)` in `[0, 1]`.
    fn picture(text: &str, model: &Model) -> Result<Self> {
        let pixels = model.card.preprocess().apply(&source::picture(text)?.1, true)?;
        Ok(Self { name: text.into(), tensor: pixels.to_device(&model.graph.device())? })
    }
}

/// Parses a fraction of epsilon, such as `0.25eps`.
fn share(text: &str) -> Option<ParamValue> {
    let number = text.strip_suffix(EPSILON)?.trim_end().trim_end_matches('*').trim_end();
    let share = if number.is_empty() { Some(1.0) } else { number.parse::<f64>().ok() };
    share.filter(|v| v.is_finite() && *v >= 0.0).map(ParamValue::Share)
}

fn same_kind(a: &ParamKind, b: &ParamKind) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// Finds a layer by name, by the name of the module whose output it is, or by index among layers of the given kinds. Negative
/// indices count from the end.
fn layer(graph: &Graph, text: &str, kinds: &[String]) -> Result<String> {
    debug_assert!(kinds.iter().all(|k| KINDS.contains(&k.as_str())));
    let fits: Vec<_> =
        graph.nodes.iter().filter(|n| kinds.is_empty() || kinds.iter().any(|k| k == n.op.kind())).collect();
    let Ok(number) = text.parse::<i64>() else {
        let node = graph.node(text)?;
        if fits.iter().any(|n| n.name == node.name) {
            return Ok(node.name.clone());
        }
        let kinds = kinds.join(" or ");
        let inside = |name: &str| name.strip_prefix(text).is_some_and(|rest| rest.starts_with('.'));
        match fits.iter().rev().find(|n| inside(&n.name)) {
            Some(last) => bail!(
                "the output of \"{text}\" is \"{}\", of kind {}, not {kinds}; the last {} in \"{text}\" is \"{}\"",
                node.name,
                node.op.kind(),
                last.op.kind(),
                last.name
            ),
            None => bail!("layer \"{}\" is of kind {}, not {kinds}", node.name, node.op.kind()),
        }
    };
    let place = if number < 0 { number + fits.len() as i64 } else { number };
    let node = usize::try_from(place).ok().and_then(|i| fits.get(i));
    Ok(node.with_context(|| format!("no layer {number}; there are {} layers", fits.len()))?.name.clone())
}

/// The default layer for class activation maps.
fn last_map(graph: &Graph) -> &str {
    &graph.nodes[graph.last_map()].name
}

//! The functions `run(method, options)`, which runs a method like the command line, and `evaluate(model, data)`.

use super::Setting;
use crate::data::{Picture, pixels, source};
use crate::model::{ClassMap, Model, matches};
use crate::render::{Body, Figure};
use crate::script::api::options::{CallOptions, text};
use crate::script::architecture::Architectures;
use crate::script::export;
use crate::script::host::call_method::ATTACK_STEPS;
use crate::script::method::data::Data;
use crate::script::sandbox::bounded_text;
use crate::script::session::Session;
use crate::script::session::checkpoint::Checkpoint;
use crate::script::summary::Frame;
use anyhow::{Context, Result, anyhow, ensure};
use candle_core::Tensor;
use rhai::{Array, Dynamic, INT, Map};
use std::path::PathBuf;

pub(super) const OPTIONS: [&str; 9] = ["model", "input", "target", "data", "set", "steps", "seed", "out", "no_resize"];
/// Name of the default network, whose weights are embedded in the binary.
const OWN_MODEL: &str = "shapes";

impl Setting {
    /// Runs a method to completion and returns `#{ tensors, tables, steps, scalars, done, target, parameters }`, where
    /// `parameters` holds the effective values of all parameters.
    pub(super) fn run(&self, method: &str, map: Map) -> Result<Map> {
        let options = CallOptions::new("run", map, &OPTIONS)?;
        let mut session = self.session(Some(method), &options)?;
        session.watched_by(self.desk.observer());
        let out = options.raw("out").map(text).transpose()?.map(PathBuf::from);
        let mut checkpoint = Checkpoint::new(out.as_deref(), true, &mut session)?;
        checkpoint.notes().iter().for_each(|note| self.desk.say(note));
        let frame = self.to_the_end(&mut session, &options, &mut checkpoint)?;
        session.told().notes().iter().for_each(|note| self.desk.say(note));
        if let Some(folder) = &out {
            export::write(folder, &session, &self.host, &frame, export::paint)?;
        }
        checkpoint.end()?;
        told(&session, &frame)
    }

    /// The session of a run, with its method if there is one.
    pub(super) fn session(&self, method: Option<&str>, o: &CallOptions) -> Result<Session> {
        let model = match (o.raw("model"), &self.model) {
            (Some(model), _) => {
                model.clone().try_cast::<Model>().context("`model` must be a network: model(\"resnet20\")")?
            }
            (None, Some(model)) => model.clone(),
            (None, None) => Architectures::new(self.host.models().clone(), self.host.guard()).open(OWN_MODEL, None)?,
        };
        let (name, input) = input(o, &model)?;
        let method = method.map(|name| self.host.method(name)).transpose()?;
        let mut session = Session::new(&self.host, model, &name, input)?;
        if let Some(asked) = o.raw("input").and_then(|input| text(input).ok()) {
            session.opened_as(&asked, None);
        }
        method.into_iter().for_each(|method| session.open(method));
        session.set_seed(o.whole("seed", 0)? as u64);
        if let Some(spec) = o.raw("data").map(text).transpose()? {
            session.set_data(Data::named(&spec));
        }
        if let Some(target) = o.raw("target") {
            session.set_target_text(&bounded_text::text(target))?;
        }
        for (name, value) in o.raw("set").map(settings).transpose()?.unwrap_or_default() {
            session.set(&name, &value).with_context(|| format!("setting {name}"))?;
        }
        Ok(session)
    }

    pub(super) fn to_the_end(
        &self,
        session: &mut Session,
        o: &CallOptions,
        checkpoint: &mut Checkpoint,
    ) -> Result<Frame> {
        let frame = session.view(&self.host)?;
        let Some(method) = session.method().filter(|m| m.stepped) else {
            ensure!(!o.has("steps"), "`steps`: this method has no steps");
            return Ok(frame);
        };
        let name = method.name.clone();
        let steps = o.size("steps", if method.group == "attack" { ATTACK_STEPS } else { usize::MAX })?;
        while session.cursor() < steps && session.can_go_on() {
            self.desk.observer().progress(&name, session.cursor(), 0);
            let step = session.advance(&self.host);
            checkpoint.save(session, step.is_err())?;
            step?;
        }
        session.view(&self.host)
    }

    /// Measures a network's accuracy on the data set named `data` and returns
    /// `#{ correct, total, accuracy, top_label, exact_match, labels, not_finite }`, where `labels` describes how the classes of
    /// the data set were matched to those of the network.
    pub(super) fn evaluate(&self, model: &Model, data: &str) -> Result<Map> {
        let data = source::open(data)?;
        let labels = ClassMap::of_classes(&data, &model.card, &model.graph)?.by.to_string();
        let observer = self.desk.observer();
        let (count, more) = matches(model, &data, &mut |count| {
            observer.progress("testing", count.total, data.len());
            self.host.guard().tick()
        })?;
        Ok(Map::from([
            ("correct".into(), Dynamic::from(count.correct as INT)),
            ("total".into(), Dynamic::from(count.total as INT)),
            ("accuracy".into(), Dynamic::from(count.accuracy())),
            ("top_label".into(), Dynamic::from(more.top_label as INT)),
            ("exact_match".into(), Dynamic::from(more.exact as INT)),
            ("labels".into(), labels.into()),
            ("not_finite".into(), Dynamic::from(count.not_finite as INT)),
        ]))
    }
}

/// The name and tensor of the input specified by the options: a picture by name or a tensor [default: the model's example
/// picture].
fn input(o: &CallOptions, model: &Model) -> Result<(String, Tensor)> {
    let prepared = |picture: &Picture| model.card.preprocess().apply(picture, o.switch("no_resize", false)?);
    match o.raw("input") {
        None => {
            let (name, picture) = source::picture(&model.card.picture)?;
            Ok((name, prepared(&picture)?))
        }
        Some(value) if value.is::<Tensor>() => {
            Ok(("a tensor".into(), pixels(&value.clone().try_cast::<Tensor>().context("`input` must be a picture")?)?))
        }
        Some(value) => {
            let (name, picture) = source::picture(&text(value)?)?;
            Ok((name, prepared(&picture)?))
        }
    }
}

/// Converts a map of parameters such as `#{ epsilon: 8 }` to pairs of name and value in `--set` syntax.
fn settings(value: &Dynamic) -> Result<Vec<(String, String)>> {
    let map = value.read_lock::<Map>().ok_or_else(|| anyhow!("`set` must be a map: #{{ epsilon: 8 }}"))?;
    Ok(map.iter().map(|(name, value)| (name.to_string(), bounded_text::text(value))).collect())
}

fn told(session: &Session, frame: &Frame) -> Result<Map> {
    let (mut tensors, mut tables) = (Map::new(), Map::new());
    for figure in &frame.figures {
        let Figure { title, body, .. } = figure;
        if let Some(values) = figure.values() {
            let tensor = Tensor::from_slice(&values.data, values.shape.clone(), session.input().device())?;
            tensors.insert(title.as_str().into(), Dynamic::from(tensor));
        }
        if let Body::Table { rows, .. } = body {
            let rows = rows.iter().map(|row| row.iter().map(|cell| cell.clone().into()).collect::<Array>().into());
            tables.insert(title.as_str().into(), rows.collect::<Array>().into());
        }
    }
    let numbers = |step: Vec<(String, f64)>| -> Map {
        step.into_iter().map(|(name, value)| (name.into(), Dynamic::from(value))).collect()
    };
    let used = session.as_used().into_iter().map(|(name, value)| (name.into(), value.into())).collect::<Map>();
    let steps: Vec<Map> = session.scalars().into_iter().map(numbers).collect();
    Ok(Map::from([
        ("tensors".into(), tensors.into()),
        ("tables".into(), tables.into()),
        ("scalars".into(), steps.last().cloned().unwrap_or_default().into()),
        ("steps".into(), steps.into_iter().map(Dynamic::from).collect::<Array>().into()),
        ("done".into(), frame.done.clone().map_or(Dynamic::UNIT, Dynamic::from)),
        ("parameters".into(), used.into()),
        ("target".into(), session.target().map_or(Dynamic::UNIT, |class| Dynamic::from(class as INT))),
    ]))
}

//! The probability of a class.

use super::bounds::{self, Bounds};
use super::expectation::{ExpectationSpec, Verdict};
use super::subject::Subject;
use crate::script::api::options::CallOptions;
use anyhow::{Context, Result};
use rhai::Dynamic;

/// The probability of a class, by default that of the target.
pub(super) const SPEC: ExpectationSpec = ExpectationSpec {
    name: "probability",
    example: "#{ of: \"star\", at_least: 0.9 }",
    about: "the probability of a class [default: the target]; after an attack, that of the attacked picture",
    check,
};

fn check(subject: &Subject, value: &Dynamic) -> Result<Vec<Verdict>> {
    let options = CallOptions::of_map("probability", value, &[&["of"][..], &bounds::KEYS].concat())?;
    let bounds = Bounds::of(&options)?;
    let model = subject.session.model();
    let class = match options.has("of") {
        true => model.card.class(&options.one_text("of")?, model.classes())?,
        false => subject.session.target().context("there is no target class; name one with `of`")?,
    };
    let rows = subject.scores(model.classes())?;
    let row = rows.iter().find(|row| row.class == class).context("the network has no finite class scores")?;
    Ok(vec![bounds.judge(&format!("the probability of {}", row.label), f64::from(row.probability))])
}

//! The predicted class.

use super::expectation::{ExpectationSpec, Verdict};
use super::subject::Subject;
use crate::script::api::options::text;
use anyhow::{Context, Result};
use rhai::Dynamic;

/// The most likely class of the picture or, after an attack, of the attacked picture.
pub(super) const SPEC: ExpectationSpec = ExpectationSpec {
    name: "class",
    example: "\"star\"",
    about: "the predicted class, by name or index; after an attack, that of the attacked picture",
    check,
};

fn check(subject: &Subject, value: &Dynamic) -> Result<Vec<Verdict>> {
    let model = subject.session.model();
    let wanted = match value.as_int() {
        Ok(index) => index.to_string(),
        Err(_) => text(value)?,
    };
    let wanted = model.card.class(&wanted, model.classes())?;
    let rows = subject.scores(1)?;
    let top = rows.first().context("the network has no finite class scores")?;
    Ok(vec![Verdict {
        measured: format!("the class is {}, {:.1}%", top.label, top.probability * 100.0),
        wanted: model.card.label(wanted),
        met: top.class == wanted,
    }])
}

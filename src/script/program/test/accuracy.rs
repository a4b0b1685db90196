//! Accuracy on a data set.

use super::bounds::{self, Bounds};
use super::expectation::{ExpectationSpec, Verdict};
use super::subject::Subject;
use crate::script::api::options::CallOptions;
use anyhow::{Context, Result};
use rhai::Dynamic;

/// The share of correctly classified pictures.
pub(super) const SPEC: ExpectationSpec = ExpectationSpec {
    name: "accuracy",
    example: "#{ on: \"made:shapes#test\", at_least: 0.95 }",
    about: "the share of correctly classified pictures of a data set",
    check,
};

fn check(subject: &Subject, value: &Dynamic) -> Result<Vec<Verdict>> {
    let options = CallOptions::of_map("accuracy", value, &[&["on"][..], &bounds::KEYS].concat())?;
    let (bounds, data) = (Bounds::of(&options)?, options.one_text("on")?);
    let measured = subject.setting.evaluate(subject.session.model(), &data)?;
    let accuracy =
        measured.get("accuracy").and_then(|value| value.as_float().ok()).context("no accuracy was measured")?;
    Ok(vec![bounds.judge(&format!("the accuracy on {data}"), accuracy)])
}

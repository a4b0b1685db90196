//! Accuracy on a data set under attack.

use super::bounds::{self, Bounds};
use super::expectation::{ExpectationSpec, Verdict};
use super::subject::Subject;
use crate::script::api::options::CallOptions;
use crate::script::method::data::Data;
use anyhow::{Context, Result, ensure};
use rhai::Dynamic;

/// The method that attacks a data set, and its limit on pictures: by default, tests are quick.
const METHOD: &str = "robustness";
const COUNT: usize = 100;

/// The share of pictures that are classified correctly and stay so under attack.
pub(super) const SPEC: ExpectationSpec = ExpectationSpec {
    name: "robust_accuracy",
    example: "#{ on: \"made:shapes#test\", attack: \"pgd\", set: \"epsilon=2\", count: 100, at_least: 0.5 }",
    about: "the share of pictures that are classified correctly under an attack, of the first `count` [default: 100; 0 for all]",
    check,
};

fn check(subject: &Subject, value: &Dynamic) -> Result<Vec<Verdict>> {
    let keys = [&["on", "attack", "set", "count", "seed"][..], &bounds::KEYS].concat();
    let options = CallOptions::of_map("robust_accuracy", value, &keys)?;
    let (bounds, data) = (Bounds::of(&options)?, options.one_text("on")?);
    let setting = subject.setting;
    let mut session = subject.session.clone();
    session.set_target(None)?;
    session.open(setting.host.method(METHOD)?);
    session.set_data(Data::named(&data));
    session.set_seed(options.whole("seed", 0)? as u64);
    let attack = if options.has("attack") { options.one_text("attack")? } else { "pgd".into() };
    session.set("attack", &attack)?;
    if options.has("set") {
        session.set("set", &options.one_text("set")?)?;
    }
    session.set("count", &options.size("count", COUNT)?.to_string())?;
    session.run(&setting.host)?;
    while session.can_go_on() {
        session.advance(&setting.host)?;
    }
    let last = session.scalars().pop().unwrap_or_default();
    let number = |name: &str| last.iter().find(|(own, _)| own == name).map(|(_, value)| *value);
    let (robust, all) = number("robust").zip(number("pictures")).context("no robust accuracy was measured")?;
    ensure!(all > 0.0, "the data set has no pictures");
    let settings = if options.has("set") { format!(" {}", options.one_text("set")?) } else { String::new() };
    Ok(vec![bounds.judge(&format!("the accuracy on {all} pictures of {data} under {attack}{settings}"), robust / all)])
}

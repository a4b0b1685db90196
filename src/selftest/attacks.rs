//! Test cases for attacks: gradient steps in norm balls, DeepFool, Carlini & Wagner, and the arithmetic used by these attacks.

use super::answers::{alias, together};
use super::harness::{Answer, Harness, by_input, map};
use super::network::ReadOptions;
use super::value::{list, number};
use crate::render::{Body, Figure};
use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use serde_json::{Value, json};

type Set = Vec<(&'static str, String)>;

/// Runs PGD with the parameters of the case, without stopping early.
pub(super) fn pgd(desk: Harness) -> Result<Answer> {
    let mut set = ball(desk)?;
    set.push(("norm", norm(desk)?.into()));
    set.push(("random_start", "false".into()));
    set.push(("stop", "false".into()));
    set.extend(goal(desk));
    let loss = match desk.params()["loss"].as_str().unwrap_or("ce") {
        "ce" | "cross_entropy" => "cross_entropy",
        "neg_log_output" => "logit",
        other => bail!("unknown loss \"{other}\""),
    };
    set.push(("loss", loss.into()));
    end(desk, "pgd", set)
}

/// Runs MI-FGSM with the parameters of the case. The normalization of gradients does not matter here, since each step uses only the sign.
pub(super) fn mi_fgsm(desk: Harness) -> Result<Answer> {
    ensure!(desk.params()["norm"].is_null() || norm(desk)? == "linf", "MI-FGSM supports only the Linf norm");
    let loss = &desk.params()["loss"];
    ensure!(loss.is_null() || loss == "ce", "MI-FGSM supports only the cross-entropy loss (\"ce\"), got {loss}");
    let mut set = ball(desk)?;
    set.extend(goal(desk));
    set.push(("decay", number(desk.params(), "decay")?.to_string()));
    set.push(("stop", "false".into()));
    end(desk, "mi_fgsm", set)
}

pub(super) fn deepfool(desk: Harness) -> Result<Answer> {
    let params = desk.params();
    let mut set: Set = vec![("norm", norm(desk)?.into())];
    for name in ["overshoot", "steps", "candidates"] {
        set.push((name, number(params, name)?.to_string()));
    }
    end(desk, "deepfool", set)
}

/// Runs the Carlini & Wagner attack and compares the L2 norm of its smallest perturbation with the bounds in the case.
pub(super) fn least_l2(desk: Harness) -> Result<Answer> {
    let set: Set = vec![("steps", "300".into()), ("searches", "9".into()), ("c", "0.001".into())];
    let (low, high) = bounds(desk)?;
    let network = desk.network(ReadOptions { bounds: Some((low, high)), ..ReadOptions::default() })?;
    let moved = desk.map(&network, desk.plugin("cw", &set)?, "perturbation")?;
    let l2 = moved.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt() * (high - low);
    let expected = &desk.case["expected"];
    let (least, most) = (number(expected, "l2_at_least")?, number(expected, "l2_at_most")?);
    let held = [("l2_at_least", l2.min(least)), ("l2_at_most", l2.max(most))];
    held.into_iter().map(|(name, v)| Ok((name.to_string(), Tensor::new(v, &Device::Cpu)?))).collect()
}

/// Takes one steepest-ascent step along a gradient that the test case supplies directly, so no picture is needed.
pub(super) fn steepest_step(desk: Harness) -> Result<Answer> {
    let set = [("norm", norm(desk)?.to_string()), ("length", number(desk.params(), "eps")?.to_string())];
    arithmetic(desk, &["gradient"], include_str!("scripts/step.rhai"), &set)
}

/// Computes norms of the difference between the vectors `a` and `b`.
pub(super) fn distances(desk: Harness) -> Result<Answer> {
    arithmetic(desk, &["a", "b"], include_str!("scripts/distances.rhai"), &[])
}

/// Projects a vector onto norm balls around another vector. For L1, the difference is rescaled as in Foolbox.
pub(super) fn project(desk: Harness) -> Result<Answer> {
    let set = [("radius", number(desk.params(), "eps")?.to_string())];
    arithmetic(desk, &["a", "b"], include_str!("scripts/project.rhai"), &set)
}

/// Computes the change in the pixels of a PNG file, in 8-bit levels, after one step of each length in the case.
pub(super) fn quantize(desk: Harness) -> Result<Answer> {
    let lengths =
        list(&desk.params()["eps"])?.iter().map(|e| e.as_f64().context("each length in \"eps\" must be a number"));
    let mut rows = vec![];
    for length in lengths.collect::<Result<Vec<_>>>()? {
        let set = [("length", length.to_string())];
        let mut row = arithmetic(desk, &["x", "sign"], include_str!("scripts/quantise.rhai"), &set)?;
        rows.push(row.remove("levels_changed").context("the script returned no \"levels_changed\"")?);
    }
    Ok([("levels_changed".into(), Tensor::cat(&rows, 0)?)].into())
}

/// The plugins' name for the norm specified in a case.
fn norm(desk: Harness) -> Result<&'static str> {
    let norm = &desk.params()["norm"];
    let written = norm.as_str().map_or_else(|| norm.to_string(), str::to_lowercase);
    match written.replace(['_', ' '], "").as_str() {
        "linf" | "inf" => Ok("linf"),
        "l2" | "2" | "2.0" => Ok("l2"),
        "l1" | "1" | "1.0" => Ok("l1"),
        _ => bail!("unknown norm {norm}; use L1, L2 or Linf"),
    }
}

/// The parameter `goal` of a targeted attack, set to the target class of the case; `None` if the attack is untargeted.
fn goal(desk: Harness) -> Option<(&'static str, String)> {
    let targeted = desk.params()["targeted"].as_bool().unwrap_or(false);
    targeted.then(|| ("goal", desk.target().to_string()))
}

/// Parameters for an attack in a norm ball: radius and step size, in units of 1/255 of the range between the bounds, and the
/// number of steps.
fn ball(desk: Harness) -> Result<Set> {
    let (low, high) = bounds(desk)?;
    let pixels = |name: &str| Ok::<_, anyhow::Error>((number(desk.params(), name)? * 255.0 / (high - low)).to_string());
    let steps = desk.params()["steps"].as_u64().context("the case needs \"steps\", an integer")?;
    Ok(vec![("epsilon", pixels("eps")?), ("step", pixels("step")?), ("steps", steps.to_string())])
}

/// The input values that represent black and white: the bounds given in the case, or bounds that no step can reach.
fn bounds(desk: Harness) -> Result<(f64, f64)> {
    let params = desk.params();
    if params.get("lower").is_some() {
        return Ok((number(params, "lower")?, number(params, "upper")?));
    }
    let reach = |v: &Value| super::value::tensor(v)?.abs()?.max_all()?.to_scalar::<f64>().map_err(Into::into);
    let inputs = desk.case["inputs"].as_object().context("the case has no inputs")?;
    let most = inputs.values().map(reach).collect::<Result<Vec<f64>>>()?.into_iter().fold(1.0, f64::max);
    ensure!(most < 1e6, "the case needs \"lower\" and \"upper\", because its inputs reach {most}");
    let side = (2.0 * most).log2().ceil().exp2();
    Ok((-side, side))
}

/// Runs the attack `name` and returns its final picture, in the units of the case, and whether the network is fooled.
fn end(desk: Harness, name: &str, set: Set) -> Result<Answer> {
    let (low, high) = bounds(desk)?;
    let which = &desk.params()["which"];
    ensure!(
        which.as_array().is_none_or(|w| w.len() == 1),
        "an attack must change either all inputs or the single input named by \"which\""
    );
    let only = which.get(0).unwrap_or(which).as_str();
    let squared = desk.params()["loss"] == "neg_log_output";
    let network = desk.network(ReadOptions { only, bounds: Some((low, high)), squared, ..ReadOptions::default() })?;
    let figures = desk.ask(&network, desk.plugin(name, &set)?)?;
    let x = map(&figures, "adversarial")?.reshape(network.picture.shape())?;
    let mut answer = by_input(&network, &((x * (high - low))? + low)?)?;
    answer.insert("success".into(), Tensor::new(f64::from(u8::from(fooled(&figures)?)), &Device::Cpu)?);
    Ok(answer)
}

fn fooled(figures: &[Figure]) -> Result<bool> {
    let badge = |f: &Figure| match &f.body {
        Body::Badge { text, good } if text == "fooled" => Some(*good),
        _ => None,
    };
    figures.iter().find_map(badge).context("the method returned no badge \"fooled\"")
}

/// Runs a script on the vectors named `inputs`, row by row. The vectors become the channels of a picture, in the given order.
fn arithmetic(desk: Harness, inputs: &[&str], script: &str, set: &[(&'static str, String)]) -> Result<Answer> {
    let names: serde_json::Map<_, _> = inputs.iter().map(|n| (n.to_string(), json!([]))).collect();
    let case = json!({
        "network": { "inputs": names, "output": "flat", "layers": [
            { "name": "flat", "op": "flatten", "in": [inputs[0]] },
        ] },
        "inputs": desk.case["inputs"],
        "target": 0,
    });
    let expected = desk.case["expected"].as_object().context("the case has no \"expected\" results")?;
    let mut rows = vec![];
    for row in 0..list(&desk.case["inputs"][inputs[0]])?.len() {
        let desk = Harness { row, ..desk.with(&case) };
        let figures = desk.ask(&desk.network(ReadOptions::default())?, desk.script(script, set)?)?;
        let own = |name: &str| if figures.iter().any(|f| f.title == name) { None } else { alias(name) };
        let vector =
            |name: &String| Ok((name.clone(), map(&figures, own(name).unwrap_or(name))?.flatten_all()?.unsqueeze(0)?));
        rows.push(expected.keys().map(vector).collect::<Result<Answer>>()?);
    }
    let mut answer = together(rows)?;
    for (name, value) in &mut answer {
        let shape = super::value::tensor(&expected[name])?;
        if shape.elem_count() == value.elem_count() {
            *value = value.reshape(shape.shape())?;
        }
    }
    Ok(answer)
}

//! What the cases of each method ask, and of whom: a plugin wherever its parameters can say it.

use super::desk::{Answer, Desk, table};
use super::network::Reading;
use super::value::{list, tensor};
use super::{attacks, dream, gradient, lrp, occlusion, tsne};
use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use serde_json::{Value, json};

/// The numbers that a case expects, as the program computes them.
///
/// Errors say what the case asks for that is not known.
pub(super) fn answer(desk: Desk) -> Result<Answer> {
    match desk.case["method"].as_str().unwrap_or_default() {
        "gradient" => gradient::answer(desk),
        "guided_backprop" => relu_rule(desk, "guided"),
        "deconvnet" => relu_rule(desk, "deconvnet"),
        "grad_cam" => grad_cam(desk),
        "grad_cam_from_arrays" => grad_cam_from_arrays(desk),
        "guided_grad_cam" => guided_grad_cam(desk),
        "integrated_gradients" => integrated_gradients(desk),
        "smoothgrad" => smoothgrad(desk),
        "occlusion" => occlusion::answer(desk),
        "lrp" => lrp::answer(desk),
        "curve_auc" => curve_auc(desk),
        "pgd" => attacks::pgd(desk),
        "mi_fgsm" => attacks::mi_fgsm(desk),
        "deepfool" => attacks::deepfool(desk),
        "min_l2_attack" => attacks::least_l2(desk),
        "steepest_step" => attacks::steepest_step(desk),
        "distances" => attacks::distances(desk),
        "project" => attacks::project(desk),
        "quantise" => attacks::quantise(desk),
        name @ ("gaussian_blur" | "clip_small_norm" | "clip_small_contribution") => dream::regulariser(desk, name),
        "style_losses" => dream::style(desk),
        "tsne_joint_p" | "tsne_kl_grad" => tsne::answer(desk),
        other => bail!("the method \"{other}\" is not known"),
    }
}

fn relu_rule(desk: Desk, rule: &str) -> Result<Answer> {
    let network = desk.network(Reading::default())?;
    desk.by_input(&network, desk.plugin("guided_backprop", &[("rule", rule.into())])?, "gradient")
}

fn grad_cam(desk: Desk) -> Result<Answer> {
    let network = desk.network(Reading::default())?;
    let set = [("layer", network.layer(desk.param("layer")?))];
    let map = match desk.params()["per_channel"].as_bool().unwrap_or(false) {
        true => desk.map(&network, desk.script(include_str!("scripts/channels.rhai"), &set)?, "map")?,
        false => desk.map(&network, desk.plugin("gradcam", &set)?, "cam_raw")?,
    };
    let positive = desk.params()["relu"].as_bool().unwrap_or(false);
    Ok([("map".into(), if positive { map.relu()? } else { map })].into())
}

/// A network whose gradient is the one given: the activation is its picture, the gradient its only weights.
fn grad_cam_from_arrays(desk: Desk) -> Result<Answer> {
    let (activation, gradient) = (&desk.case["inputs"]["activation"], &desk.case["inputs"]["gradient"]);
    let weights = tensor(gradient)?.flatten_all()?.to_vec1::<f64>()?;
    let case = json!({
        "network": { "inputs": { "x": [] }, "output": "score", "layers": [
            { "name": "flat", "op": "flatten", "in": ["x"] },
            { "name": "score", "op": "linear", "in": ["flat"], "weight": [weights] },
        ] },
        "inputs": { "x": activation },
        "target": 0,
        "params": { "layer": "x", "relu": desk.params()["relu"] },
    });
    let mut answer = grad_cam(desk.with(&case))?;
    match desk.params()["normalise"].as_str() {
        None => {}
        Some("divide_by_max") => {
            let map = answer.remove("map").context("Grad-CAM gives a map")?;
            let most = map.flatten_all()?.max(0)?.to_scalar::<f64>()?;
            answer.insert("map".into(), (map / most)?);
        }
        Some(other) => bail!("the scaling \"{other}\" is not known"),
    }
    Ok(answer)
}

fn guided_grad_cam(desk: Desk) -> Result<Answer> {
    let network = desk.network(Reading::default())?;
    let set = [("layer", network.layer(desk.param("layer")?)), ("resize", desk.param("upsample")?.into())];
    desk.by_input(&network, desk.plugin("guided_gradcam", &set)?, "attribution")
}

/// A baseline that is not 0 is where the picture is measured from, so that to the plugin it is black.
fn integrated_gradients(desk: Desk) -> Result<Answer> {
    let params = desk.params();
    let rule = match desk.param("rule")? {
        "gausslegendre" => "gauss_legendre",
        "riemann_middle" => "midpoint",
        "riemann_trapezoid" => "trapezoid",
        other => other,
    };
    let network = desk.network(Reading { origin: baseline(params), ..Reading::default() })?;
    let steps = params["n"].as_u64().context("integrated gradients need a number of steps, \"n\"")?;
    let set = [("steps", steps.to_string()), ("rule", rule.into()), ("baseline", "black".into())];
    desk.by_input(&network, desk.plugin("integrated_gradients", &set)?, "attribution")
}

/// The baseline of a case, unless it is 0.
pub(super) fn baseline(params: &Value) -> Option<&Value> {
    params.get("baseline").filter(|b| b.as_f64() != Some(0.0) && !b.is_null())
}

/// The noise is given: a tensor like the input for each sample.
fn smoothgrad(desk: Desk) -> Result<Answer> {
    let network = desk.network(Reading::default())?;
    let samples = list(&desk.params()["noise"]).context("SmoothGrad needs its noise")?;
    let noise = samples.iter().map(tensor).collect::<Result<Vec<_>>>()?;
    ensure!(network.inputs.len() == 1, "noise is for networks with one input");
    let row = |t: &Tensor| -> Result<Tensor> {
        Ok(t.narrow(0, desk.row.min(t.dim(0)? - 1), 1)?.reshape(network.picture.shape())?)
    };
    let noise = Tensor::cat(&noise.iter().map(row).collect::<Result<Vec<_>>>()?, 0)?;
    let variant = if desk.params()["square"].as_bool().unwrap_or(false) { "squared" } else { "mean" };
    let set = [("samples", samples.len().to_string()), ("variant", variant.into())];
    let question = desk.plugin("smoothgrad", &set)?;
    desk.by_input(&network, super::desk::Question { given: Some(("given", noise)), ..question }, "gradient")
}

/// The scores are the picture of a network that does nothing.
fn curve_auc(desk: Desk) -> Result<Answer> {
    let case = json!({
        "network": { "inputs": { "x": [] }, "output": "flat", "layers": [{ "name": "flat", "op": "flatten", "in": ["x"] }] },
        "inputs": { "x": [desk.case["inputs"]["scores"]] },
        "target": 0,
    });
    let desk = desk.with(&case);
    table(&desk.ask(&desk.network(Reading::default())?, desk.script(include_str!("scripts/areas.rhai"), &[])?)?)
}

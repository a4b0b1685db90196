//! Computes the results of each method's test cases, using the built-in plugin wherever its parameters can express the case.

use super::harness::{Answer, Harness, map, table};
use super::network::ReadOptions;
use super::value::{baseline, list, tensor};
use super::{attacks, dream, gradient, lrp, occlusion, tsne};
use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use serde_json::{Value, json};

/// Computes the results for which a case has expected values.
///
/// Errors if the case uses an unsupported feature.
pub(super) fn answer(desk: Harness) -> Result<Answer> {
    match desk.case["method"].as_str().unwrap_or_default() {
        "gradient" => gradient::answer(desk),
        "saliency" => gradient::saliency(desk),
        "input_x_gradient" => {
            let network = desk.network(ReadOptions::default())?;
            desk.by_input(&network, desk.plugin("input_x_gradient", &[])?, "attribution")
        }
        "deeplift" => {
            let network = desk.network(ReadOptions { origin: baseline(desk.params()), ..ReadOptions::default() })?;
            let set = [("baseline", "black".to_string())];
            desk.by_input(&network, desk.plugin("deeplift", &set)?, "attribution")
        }
        "quadrature" => quadrature(desk),
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
        "quantise" => attacks::quantize(desk),
        name @ ("gaussian_blur" | "clip_small_norm" | "clip_small_contribution") => dream::regularizer(desk, name),
        "style_losses" => dream::style(desk),
        "tsne_joint_p" | "tsne_kl_grad" => tsne::answer(desk),
        other => bail!("unknown method \"{other}\""),
    }
}

fn relu_rule(desk: Harness, rule: &str) -> Result<Answer> {
    let network = desk.network(ReadOptions::default())?;
    desk.by_input(&network, desk.plugin("guided_backprop", &[("rule", rule.into())])?, "gradient")
}

/// Computes the Grad-CAM map of a layer. For a layer without spatial dimensions, the result is the sum over its units or, if the
/// case expects one value per unit, the contribution of each unit.
fn grad_cam(desk: Harness) -> Result<Answer> {
    let network = desk.network(ReadOptions::default())?;
    let params = desk.params();
    let flag = |name: &str, default| switch(params, name, default);
    let variant = match params["variant"].as_str().unwrap_or("gradcam") {
        "grad_cam" => "gradcam",
        "grad_cam++" | "gradcampp" | "grad_cam_plus_plus" => "gradcam++",
        "layer_cam" => "layercam",
        "xgrad_cam" => "xgradcam",
        other => other,
    };
    let set = [("layer", network.layer(cam_layer(desk)?)), ("variant", variant.into())];
    let apart = flag("per_channel", false)? || !flag("attr_dim_summation", true)?;
    let map = match apart {
        true => desk.map(&network, desk.script(include_str!("scripts/channels.rhai"), &set)?, "map")?,
        false => desk.map(&network, desk.plugin("gradcam", &set)?, "cam_raw")?,
    };
    let expected = desk.case["expected"].as_object().and_then(|e| e.values().next());
    let by_unit = expected.is_some_and(|v| tensor(v).is_ok_and(|t| t.rank() == 2 && t.dims()[1] > 1));
    let map = if map.rank() == 2 && !apart && !by_unit { map.sum_keepdim(1)? } else { map };
    Ok([("map".into(), if flag("relu", false)? { map.relu()? } else { map })].into())
}

/// The name of the layer that a case specifies or, if the case sets `at_input`, of the first input of that layer.
fn cam_layer(desk: Harness<'_>) -> Result<&str> {
    let name = desk.param("layer")?;
    if !switch(desk.params(), "at_input", false)? {
        return Ok(name);
    }
    let layers = list(&desk.case["network"]["layers"])?;
    let layer = layers.iter().find(|l| l["name"] == name).with_context(|| format!("no layer named \"{name}\""))?;
    layer["in"][0].as_str().with_context(|| format!("layer \"{name}\" has no inputs"))
}

/// The boolean parameter `name` of a case; `default` if the case does not set it.
fn switch(params: &Value, name: &str, default: bool) -> Result<bool> {
    let value = &params[name];
    if value.is_null() {
        Ok(default)
    } else {
        value.as_bool().with_context(|| format!("\"{name}\" must be true or false"))
    }
}

/// Computes Grad-CAM from a given activation and gradient, on a network whose input is the activation and whose only weights are
/// the gradient.
fn grad_cam_from_arrays(desk: Harness) -> Result<Answer> {
    let (activation, gradient) = (&desk.case["inputs"]["activation"], &desk.case["inputs"]["gradient"]);
    let weights = tensor(gradient)?.flatten_all()?.to_vec1::<f64>()?;
    let case = json!({
        "network": { "inputs": { "x": [] }, "output": "score", "layers": [
            { "name": "flat", "op": "flatten", "in": ["x"] },
            { "name": "score", "op": "linear", "in": ["flat"], "weight": [weights] },
        ] },
        "inputs": { "x": activation },
        "target": 0,
        "params": { "layer": "x", "relu": desk.params()["relu"], "variant": desk.params()["variant"] },
    });
    let mut answer = grad_cam(desk.with(&case))?;
    match desk.params()["normalise"].as_str() {
        None => {}
        Some("divide_by_max") => {
            let map = answer.remove("map").context("Grad-CAM returned no map")?;
            let most = map.flatten_all()?.max(0)?.to_scalar::<f64>()?;
            answer.insert("map".into(), (map / most)?);
        }
        Some(other) => bail!("unknown normalization \"{other}\""),
    }
    Ok(answer)
}

fn guided_grad_cam(desk: Harness) -> Result<Answer> {
    let network = desk.network(ReadOptions::default())?;
    ensure!(
        switch(desk.params(), "relu", true)?,
        "Guided Grad-CAM keeps only positive evidence: \"relu\" must be true"
    );
    let set = [("layer", network.layer(desk.param("layer")?)), ("resize", desk.param("upsample")?.into())];
    desk.by_input(&network, desk.plugin("guided_gradcam", &set)?, "attribution")
}

/// Computes integrated gradients. A nonzero baseline is subtracted from the picture, so that the plugin's black baseline
/// represents it.
fn integrated_gradients(desk: Harness) -> Result<Answer> {
    let params = desk.params();
    let rule = rule(params)?;
    let network = desk.network(ReadOptions { origin: baseline(params), ..ReadOptions::default() })?;
    let steps = params["n"].as_u64().context("integrated gradients need the number of steps, \"n\"")?;
    let set = [("steps", steps.to_string()), ("rule", rule.into()), ("baseline", "black".into())];
    desk.by_input(&network, desk.plugin("integrated_gradients", &set)?, "attribution")
}

/// The plugin's name for the quadrature rule of a case [default: Gauss-Legendre, as in Captum].
fn rule(params: &Value) -> Result<&str> {
    if params["rule"].is_null() {
        return Ok("gauss_legendre");
    }
    Ok(match params["rule"].as_str().context("the quadrature rule must be a string")? {
        "gausslegendre" | "gauss-legendre" | "legendre" | "leggauss" => "gauss_legendre",
        "riemann_middle" | "middle" => "midpoint",
        "riemann_trapezoid" => "trapezoid",
        "left" => "riemann_left",
        "right" => "riemann_right",
        other => other,
    })
}

/// Computes the nodes and weights of a quadrature rule over the interval of the case. The default is [0, 1], or [-1, 1] if the case
/// expects negative nodes.
fn quadrature(desk: Harness) -> Result<Answer> {
    let params = desk.params();
    let n = params["n"].as_u64().context("a quadrature needs the number of points, \"n\"")?;
    let mut nodes = ["nodes", "x", "t", "points"].iter().map(|name| &desk.case["expected"][*name]);
    let below = nodes.any(|v| v[0].as_f64().is_some_and(|first| first < 0.0));
    let [low, high] = match params["interval"].as_array().map(Vec::as_slice) {
        Some([low, high]) => [low, high].map(|v| v.as_f64().context("an interval must be two numbers")),
        Some(_) => bail!("an interval must be two numbers"),
        None => [Ok(if below { -1.0 } else { 0.0 }), Ok(1.0)],
    };
    let (low, high) = (low?, high?);
    let case = json!({
        "network": { "inputs": { "x": [] }, "output": "flat", "layers": [{ "name": "flat", "op": "flatten", "in": ["x"] }] },
        "inputs": { "x": [[0.0]] },
        "target": 0,
    });
    let set = [("rule", rule(params)?.into()), ("n", n.to_string())];
    let asked = desk.with(&case);
    let script = desk.script(include_str!("scripts/quadrature.rhai"), &set)?;
    let figures = asked.ask(&asked.network(ReadOptions::default())?, script)?;
    let of = |title| map(&figures, title)?.flatten_all().map_err(anyhow::Error::from);
    let nodes = ((of("nodes")? * (high - low))? + low)?;
    Ok([("nodes".into(), nodes), ("weights".into(), (of("weights")? * (high - low))?)].into())
}

/// Computes SmoothGrad with the noise given in the case: one tensor of the input's shape per sample.
fn smoothgrad(desk: Harness) -> Result<Answer> {
    let network = desk.network(ReadOptions::default())?;
    let samples = list(&desk.params()["noise"]).context("SmoothGrad needs \"noise\"")?;
    let noise = samples.iter().map(tensor).collect::<Result<Vec<_>>>()?;
    ensure!(network.inputs.len() == 1, "noise is only supported for networks with one input");
    let row = |t: &Tensor| -> Result<Tensor> {
        Ok(t.narrow(0, desk.row.min(t.dim(0)? - 1), 1)?.reshape(network.picture.shape())?)
    };
    let noise = Tensor::cat(&noise.iter().map(row).collect::<Result<Vec<_>>>()?, 0)?;
    let [square, variance] = ["square", "variance"].map(|name| switch(desk.params(), name, false));
    let variant = match (square?, variance?) {
        (false, false) => "mean",
        (true, false) => "squared",
        (false, true) => "variance",
        _ => bail!("SmoothGrad returns the mean of squares or the variance, not both"),
    };
    let set = [("samples", samples.len().to_string()), ("variant", variant.into())];
    let question = desk.plugin("smoothgrad", &set)?;
    desk.by_input(&network, super::harness::PluginCall { given: Some(("given", noise)), ..question }, "gradient")
}

/// Computes the area under a curve of scores. The scores are passed as the input of a network that returns its input.
fn curve_auc(desk: Harness) -> Result<Answer> {
    let case = json!({
        "network": { "inputs": { "x": [] }, "output": "flat", "layers": [{ "name": "flat", "op": "flatten", "in": ["x"] }] },
        "inputs": { "x": [desk.case["inputs"]["scores"]] },
        "target": 0,
    });
    let desk = desk.with(&case);
    table(&desk.ask(&desk.network(ReadOptions::default())?, desk.script(include_str!("scripts/areas.rhai"), &[])?)?)
}

//! The vocabulary of test cases, with alternative spellings of each word.
//!
//! [`read`] replaces every word with its first spelling. Unknown words are errors, so that nothing in a case is silently ignored.

use crate::graph::op::SPECS;
use crate::script::report::closest;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The spellings of one word, separated by spaces. The rest of the self-test uses the first spelling.
type Word = &'static str;

/// Descriptive keys of a case, which do not affect the results.
const REMARKS: &[Word] = &[
    "id",
    "tier",
    "provenance",
    "source",
    "notes note comment",
    "headline",
    "catches",
    "description",
    "reference",
    "versions",
    "tags",
];
const CASE: &[Word] =
    &["method", "network model", "inputs input", "params parameters", "target", "expected", "tolerance"];
const NETWORK: &[Word] = &["inputs", "layers", "output", "name", "notes note comment"];
const TOLERANCE: &[Word] = &["abs atol absolute", "rel rtol relative", "f32 float32 single"];

/// The vocabulary of a method: its names, its parameters and, if its cases have no network, its inputs.
struct Method(Word, &'static [Word], &'static [Word]);

const SEED: Word = "seed";
const CAM: &[Word] = &[
    SEED,
    "layer",
    "relu relu_attributions",
    "variant",
    "per_channel",
    "attr_dim_summation",
    "at_input attribute_to_layer_input layer_input",
];
const BALL: &[Word] = &[
    "eps epsilon radius",
    "step step_size alpha abs_stepsize",
    "steps n_steps iterations",
    "decay momentum mu",
    "norm",
    "loss",
    "targeted",
    "lower low clip_min",
    "upper high clip_max",
    "zero_thresh",
    "clip_to_ball",
    "which",
];

const METHODS: &[Method] = &[
    Method("gradient vanilla_gradient input_gradient", &[SEED], &[]),
    Method("saliency", &[SEED, "abs"], &[]),
    Method("input_x_gradient gradient_x_input inputxgradient", &[SEED], &[]),
    Method("guided_backprop guided_backpropagation", &[SEED], &[]),
    Method("deconvnet deconv deconvolution", &[SEED], &[]),
    Method("grad_cam gradcam layer_grad_cam layer_gradcam", CAM, &[]),
    Method(
        "grad_cam_from_arrays gradcam_from_arrays",
        &["relu", "normalise normalize", "variant"],
        &["activation activations", "gradient gradients"],
    ),
    Method(
        "guided_grad_cam guided_gradcam",
        &[SEED, "layer", "relu relu_attributions", "upsample interpolate_mode interpolation resize"],
        &[],
    ),
    Method(
        "integrated_gradients ig",
        &[SEED, "baseline baselines", "rule method quadrature", "n steps n_steps points n_iter"],
        &[],
    ),
    Method("deeplift deep_lift", &[SEED, "baseline baselines"], &[]),
    Method("smoothgrad smooth_grad", &[SEED, "noise", "square squared", "variance vargrad"], &[]),
    Method(
        "occlusion",
        &[SEED, "window sliding_window_shapes", "stride strides", "baseline baselines", "combine", "which"],
        &[],
    ),
    Method(
        "lrp",
        &[
            SEED,
            "rules",
            "composite",
            "canonise canonize",
            "also_equals",
            "low",
            "high",
            "epsilon eps",
            "gamma",
            "alpha",
            "bias",
        ],
        &[],
    ),
    Method(
        "quadrature gauss_legendre gausslegendre gauss_legendre_nodes legendre_nodes quadrature_nodes leggauss ig_nodes",
        &["rule method", "n steps n_steps points degree deg", "interval"],
        &[],
    ),
    Method("curve_auc auc", &[], &["scores"]),
    Method("pgd bim fgsm", BALL, &[]),
    Method("mi_fgsm mifgsm", BALL, &[]),
    Method(
        "deepfool",
        &["norm", "overshoot", "steps max_iter", "candidates num_classes", "lower low", "upper high"],
        &[],
    ),
    Method("min_l2_attack cw carlini_wagner", &["lower low", "upper high"], &[]),
    Method("steepest_step optimize_linear", &["norm", "eps epsilon length"], &["gradient grad gradients g"]),
    Method("distances", &[], &["a", "b"]),
    Method("project", &["eps epsilon radius"], &["a", "b"]),
    Method("quantise quantize", &["eps epsilon"], &["x", "sign"]),
    Method("gaussian_blur", &["sigma", "truncate", "border mode"], &["img image x"]),
    Method("clip_small_norm", &["percentile"], &["img image x"]),
    Method("clip_small_contribution", &["percentile", "abs"], &["img image x", "grad gradient"]),
    Method("style_losses", &[], &["F", "target"]),
    Method("tsne_joint_p", &["perplexity"], &["X"]),
    Method("tsne_kl_grad", &["perplexity", "dof degrees_of_freedom"], &["X", "Y"]),
];

const LAYER: &[Word] = &["name", "op type kind", "in input inputs", "notes note comment"];
/// Keys of a layer's parameters in a case.
const NUMBERS: &[Word] = &["weight", "bias", "gamma", "beta", "mean running_mean", "var running_var variance"];

/// Names and options of layers that consist of several operations or have a different name in the graph module.
const OTHER: &[(Word, &[Word])] =
    &[("affine scale_shift", &["scale", "shift"]), ("square", &[]), ("sub subtract", &[]), ("sum", &[])];

/// The vocabulary of an operation: its names and its options.
struct Operation {
    names: String,
    takes: Vec<String>,
}

/// All operations that a case may use.
static OPS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let own = SPECS.iter().map(|spec| Operation {
        names: spec.names().collect::<Vec<_>>().join(" "),
        takes: spec.arguments.iter().map(|a| [&[a.name], a.aliases].concat().join(" ")).collect(),
    });
    let words = |words: &[Word]| words.iter().map(|w| w.to_string()).collect();
    let other = OTHER.iter().map(|(names, takes)| Operation { names: names.to_string(), takes: words(takes) });
    other.chain(own).collect()
});

/// The operation that has the spelling `written`, if any.
fn operation(written: &str) -> Option<&'static Operation> {
    OPS.iter().find(|op| spelled(&op.names, written))
}

const PLACE: &[Word] = &["op ops type", "name names layer", "first", "first_conv", "any all"];
const KEPT: &[Word] = &["eps epsilon stabiliser stabilizer", "bias"];

/// Names and options of LRP rules, except for stabilizer and bias, which all rules have.
const RULES: &[(Word, &[Word])] = &[
    ("epsilon lrp_epsilon norm z", &[]),
    ("zero lrp_0 lrp0", &[]),
    ("gamma", &["gamma"]),
    ("alphabeta alpha_beta ab", &["alpha", "beta"]),
    ("alpha1beta0", &[]),
    ("alpha2beta1", &[]),
    ("zplus z_plus z+", &[]),
    ("zbox z_box zb box", &["low", "high"]),
    ("gamma_plain", &["gamma"]),
    ("a1b0_plain alpha1_beta0 zplus_plain", &[]),
    ("flat", &[]),
    ("wsquare w_square wsq w2", &[]),
    ("pass identity", &[]),
    ("gradient grad", &[]),
    ("proportional", &[]),
    ("absolute abs", &[]),
];

/// Normalizes the vocabulary of a case.
///
/// Errors if a word is unknown, suggesting a similar one.
pub(super) fn read(case: &Value) -> Result<Value> {
    let mut case = renamed(object(case, "a case")?, "a case", &[CASE, REMARKS])?;
    let written = case.get("method").and_then(Value::as_str).context("the case has no \"method\"")?;
    let known = METHODS.iter().find(|m| spelled(m.0, written));
    let Some(Method(names, params, inputs)) = known else { bail!("unknown method \"{written}\"") };
    let method = first(names);
    let set = optional(&case, "params");
    let mut set = renamed(
        object(&set, "\"params\"")?,
        &format!("the method \"{method}\""),
        &[params, &["note notes comment description"]],
    )?;
    if let Some(rules) = set.get("rules").filter(|r| !r.is_null()) {
        let rules = items(rules, "\"rules\"")?.iter().map(rule).collect::<Result<Vec<_>>>()?;
        set.insert("rules".into(), rules.into());
    }
    unsupported(&set)?;
    case.insert("params".into(), set.into());
    case.insert("method".into(), method.into());
    case.insert("tolerance".into(), tolerance(&optional(&case, "tolerance"))?);
    let given = optional(&case, "inputs");
    match case.get("network").filter(|n| !n.is_null()) {
        Some(net) => {
            let net = network(net)?;
            let known = object(&net["inputs"], "the network's \"inputs\"")?;
            if let Some(name) = object(&given, "\"inputs\"")?.keys().find(|name| !known.contains_key(*name)) {
                bail!("the network has no input \"{name}\"");
            }
            case.insert("network".into(), net);
        }
        None => {
            let given = renamed(object(&given, "\"inputs\"")?, &format!("the method \"{method}\""), &[inputs])?;
            case.insert("inputs".into(), given.into());
        }
    }
    Ok(case.into())
}

/// Errors if an option that supports only one value has a different value.
fn unsupported(set: &Map<String, Value>) -> Result<()> {
    let number = |key: &str| set.get(key).map(|v| v.as_f64().unwrap_or(f64::NAN));
    let only = |key: &str, value: f64| {
        let given = number(key);
        ensure!(given.is_none_or(|v| v == value), "\"{key}\" must be {value}, not {}", set[key]);
        Ok(())
    };
    only("truncate", 4.0)?;
    only("dof", 1.0)?;
    let thresh = number("zero_thresh").unwrap_or(0.0);
    ensure!((0.0..=1e-6).contains(&thresh), "\"zero_thresh\" must be at most 1e-6, not {thresh}");
    if set.get("clip_to_ball") == Some(&Value::Bool(false)) {
        let far = number("step").zip(number("eps")).zip(number("steps")).map(|((step, eps), n)| step * n > eps);
        ensure!(far == Some(false), "\"clip_to_ball\" must be true, because steps are always projected onto the ball");
    }
    if let Some(border) = set.get("border") {
        let fits = border.as_str().is_some_and(|b| b.starts_with("reflect"));
        ensure!(fits, "the border mode of a blur must be \"reflect\" (edges repeated), not {border}");
    }
    Ok(())
}

fn network(net: &Value) -> Result<Value> {
    let mut net = renamed(object(net, "\"network\"")?, "a network", &[NETWORK])?;
    let layers = net.get("layers").context("the network has no \"layers\"")?;
    let layers = items(layers, "\"layers\"")?.iter().map(layer).collect::<Result<Vec<_>>>()?;
    net.insert("layers".into(), layers.into());
    Ok(net.into())
}

fn layer(layer: &Value) -> Result<Value> {
    let layer = object(layer, "a layer")?;
    let (key, written) =
        ["op", "type", "kind"].iter().find_map(|k| Some((k, layer.get(*k)?))).context("a layer has no \"op\"")?;
    let written = written.as_str().with_context(|| format!("\"{key}\" of a layer must be a string"))?;
    let op = operation(written).with_context(|| format!("unknown operation \"{written}\""))?;
    let own: Vec<Word> = op.takes.iter().map(String::as_str).collect();
    // The option `bias` is either a list of numbers or a boolean, which such a list implies.
    let numbers: Vec<Word> = NUMBERS.iter().copied().filter(|w| !own.contains(w)).collect();
    let mut layer = renamed(layer, &format!("a layer \"{}\"", first(&op.names)), &[LAYER, &own, &numbers])?;
    layer.insert("op".into(), first(&op.names).into());
    if let Some(Value::String(one)) = layer.get("in") {
        layer.insert("in".into(), json!([one]));
    }
    Ok(layer.into())
}

/// Normalizes a pair `{ match, rule }` of an LRP case. Either value may be abbreviated to a name.
fn rule(pair: &Value) -> Result<Value> {
    let pair =
        renamed(object(pair, "an entry of \"rules\"")?, "an entry of \"rules\"", &[&["match layers where", "rule"]])?;
    let place = match optional(&pair, "match") {
        Value::String(name) if operation(&name).is_some() => json!({ "op": name }),
        Value::String(name) => json!({ "name": name }),
        other => other,
    };
    let mut place = renamed(object(&place, "\"match\"")?, "\"match\"", &[PLACE])?;
    if let Some(ops) = place.get("op") {
        let op = |op: &Value| -> Result<Value> {
            let written = op.as_str().context("an operation in \"match\" must be a string")?;
            let known = operation(written).with_context(|| format!("unknown operation \"{written}\""))?;
            Ok(first(&known.names).into())
        };
        let ops = match ops {
            Value::Array(many) => many.iter().map(op).collect::<Result<Vec<_>>>()?,
            one => vec![op(one)?],
        };
        place.insert("op".into(), ops.into());
    }
    ensure!(
        place.len() == 1,
        "\"match\" must have exactly one of \"op\", \"name\", \"first\", \"first_conv\" and \"any\""
    );
    let rule = match optional(&pair, "rule") {
        Value::String(name) => json!({ "kind": name }),
        other => other,
    };
    let rule = object(&rule, "\"rule\"")?;
    let written =
        ["kind", "name", "type"].iter().find_map(|k| rule.get(*k)?.as_str()).context("a rule has no \"kind\"")?;
    let known = RULES.iter().find(|(names, _)| spelled(names, written));
    let (names, own) = known.with_context(|| format!("unknown rule \"{written}\""))?;
    let mut rule = renamed(rule, &format!("the rule \"{}\"", first(names)), &[&["kind name type"], KEPT, own])?;
    rule.insert("kind".into(), first(names).into());
    Ok(json!({ "match": place, "rule": rule }))
}

/// Normalizes a tolerance, given as `{ abs, rel, f32 }` or as a single number.
fn tolerance(value: &Value) -> Result<Value> {
    if value.is_number() {
        return Ok(json!({ "abs": value }));
    }
    Ok(renamed(object(value, "\"tolerance\"")?, "\"tolerance\"", &[TOLERANCE])?.into())
}

/// Renames the keys of a map to their first spellings. Errors if a key is not in `words`.
fn renamed(map: &Map<String, Value>, of: &str, words: &[&[Word]]) -> Result<Map<String, Value>> {
    let words = || words.iter().copied().flatten();
    let mut known = Map::new();
    for (key, value) in map {
        let Some(word) = words().find(|word| spelled(word, key)) else {
            let near = closest(key, words().flat_map(|w| w.split(' '))).map(|k| format!("; did you mean \"{k}\"?"));
            let all = words().map(|w| first(w)).collect::<Vec<_>>().join(", ");
            let all = if all.is_empty() { "; it takes no options".into() } else { format!("; use {all}") };
            bail!("{of} has no option \"{key}\"{}", near.unwrap_or(all));
        };
        let before = known.insert(first(word).to_string(), value.clone());
        ensure!(before.is_none(), "{of} sets \"{}\" twice with different spellings", first(word));
    }
    Ok(known)
}

/// Whether `text` is a spelling of `word`. Case, hyphens, underscores and spaces are ignored, except in one-letter words.
fn spelled(word: &str, text: &str) -> bool {
    let plain = |t: &str| t.to_lowercase().replace(['-', '_', ' '], "");
    word.split(' ').any(|w| w == text || (w.len() > 1 && plain(w) == plain(text)))
}

fn first(word: &str) -> &str {
    word.split(' ').next().unwrap_or(word)
}

fn optional(map: &Map<String, Value>, key: &str) -> Value {
    map.get(key).filter(|v| !v.is_null()).cloned().unwrap_or_else(|| json!({}))
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>> {
    value.as_object().with_context(|| format!("{what} must be a JSON object"))
}

fn items<'a>(value: &'a Value, what: &str) -> Result<&'a Vec<Value>> {
    value.as_array().with_context(|| format!("{what} must be a list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case() -> Value {
        json!({
            "id": "one", "method": "Grad-CAM", "network": { "inputs": { "x": [2] }, "output": "f", "layers": [
                { "name": "f", "op": "fc", "in": "x", "weight": [[1.0, 2.0]] },
            ] },
            "inputs": { "x": [[1.0, 2.0]] }, "target": 0, "params": { "layer": "f" }, "expected": { "map": [[1.0]] },
            "tolerance": 1e-6,
        })
    }

    #[test]
    fn other_spellings_are_normalized() {
        let read = read(&case()).unwrap();
        assert_eq!(read["method"], "grad_cam");
        assert_eq!(read["network"]["layers"][0]["op"], "linear");
        assert_eq!(read["network"]["layers"][0]["in"], json!(["x"]));
        assert_eq!(read["tolerance"]["abs"], 1e-6);
    }

    #[test]
    fn an_unknown_word_is_an_error_anywhere() {
        for (place, key) in [
            ("", "wieghts"),
            ("/params", "layre"),
            ("/network", "outputs"),
            ("/network/layers/0", "stride"),
            ("/inputs", "y"),
        ] {
            let mut case = case();
            case.pointer_mut(place).unwrap()[key] = json!(1);
            let why = format!("{:#}", read(&case).unwrap_err());
            assert!(why.contains(&format!("\"{key}\"")), "{place}: {why}");
        }
        let mut twice = case();
        twice["params"] = json!({ "relu": true, "relu_attributions": true, "layer": "f" });
        assert!(read(&twice).is_err());
    }

    #[test]
    fn unsupported_options_that_would_change_results_are_an_error() {
        for (method, params) in [
            ("gaussian_blur", json!({ "sigma": 1.0, "truncate": 3.0 })),
            ("gaussian_blur", json!({ "sigma": 1.0, "border": "constant" })),
            ("tsne_kl_grad", json!({ "perplexity": 3.0, "dof": 2 })),
            ("pgd", json!({ "eps": 0.1, "step": 0.1, "steps": 2, "clip_to_ball": false })),
            ("pgd", json!({ "eps": 0.1, "step": 0.1, "steps": 2, "zero_thresh": 0.1 })),
        ] {
            let case =
                json!({ "method": method, "params": params, "inputs": {}, "expected": {}, "tolerance": { "abs": 1 } });
            assert!(read(&case).is_err(), "{case}");
        }
    }
}

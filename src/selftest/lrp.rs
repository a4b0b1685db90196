//! Test cases for LRP. The plugin runs named composites, and a generated script runs lists of rules.

use super::harness::{Answer, Harness, by_input, map};
use super::network::{CaseSeed, Network, ReadOptions};
use super::value::{list, number, text};
use crate::graph::Scores;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Tensor};
use serde_json::Value;

/// The stabilizer ε: its default, and its value in Captum's rules.
const STABILIZER: f64 = 1e-6;
const CAPTUM: f64 = 1e-9;

pub(super) fn answer(desk: Harness) -> Result<Answer> {
    let by_name = desk.params()["composite"].as_str();
    let bounds = if by_name.is_some() { bounds(desk)? } else { None };
    let network = desk.bare(ReadOptions { bounds, ..ReadOptions::default() })?;
    let mut answer = match by_name {
        Some(composite) => by_input(&network, &by_composite(desk, &network, composite)?)?,
        None => by_rules(desk, &network)?,
    };
    sums(desk, &network, &mut answer)?;
    match desk.params()["also_equals"].as_str() {
        None => {}
        Some("input_x_gradient") => {
            let also = desk.by_input(&network, desk.plugin("input_x_gradient", &[])?, "attribution")?;
            answer.extend(also.into_iter().map(|(name, map)| (format!("{name} of input_x_gradient"), map)));
        }
        Some(other) => bail!("relevance can only be compared with input_x_gradient, not with \"{other}\""),
    }
    Ok(answer)
}

/// The rules of a case, as (selector, rule) pairs; empty if the case specifies only a composite.
fn rules<'a>(desk: Harness<'a>) -> Result<Vec<(&'a Value, &'a Value)>> {
    let params = desk.params();
    if params["rules"].is_null() && !params["composite"].is_null() {
        return Ok(vec![]);
    }
    let rules = list(&params["rules"]).context("LRP needs \"rules\" or a \"composite\"")?;
    Ok(rules.iter().map(|r| (&r["match"], &r["rule"])).collect())
}

/// Lower and upper bound of the pixel values, if the rules of the case specify them.
fn bounds(desk: Harness) -> Result<Option<(f64, f64)>> {
    let rules = rules(desk)?;
    let zbox = rules.iter().map(|(_, rule)| *rule).find(|rule| rule["kind"] == "zbox");
    match zbox.or(Some(desk.params()).filter(|p| !p["low"].is_null())) {
        Some(of) => Ok(Some((number(of, "low")?, number(of, "high")?))),
        None => Ok(None),
    }
}

/// Whether batch norms are folded into the preceding layers.
fn merged(desk: Harness) -> Result<bool> {
    match desk.params()["canonise"].as_str() {
        Some("merge_batchnorm" | "merge_batch_norm" | "SequentialMergeBatchNorm") => Ok(true),
        None if desk.params()["canonise"].is_null() => Ok(false),
        _ => bail!("unknown canonization {}; use \"merge_batchnorm\"", desk.params()["canonise"]),
    }
}

/// The plugin's name for the composite that a case calls `name`.
fn composite(name: &str) -> &str {
    let plain: String = name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.trim_start_matches("lrp") {
        "alpha1beta0" | "a1b0" => "alpha1beta0",
        "alpha2beta1" | "a2b1" => "alpha2beta1",
        _ => name,
    }
}

fn by_composite(desk: Harness, network: &Network, name: &str) -> Result<Tensor> {
    let norms = network.model.graph.nodes.iter().any(|n| n.op.kind() == "batch_norm");
    ensure!(
        !norms || merged(desk)?,
        "a composite needs batch norms merged into the preceding layers: set \"canonise\" to \"merge_batchnorm\""
    );
    ensure!(
        desk.seed()? == CaseSeed::Class,
        "a named composite starts from a single class; use \"rules\" for a different seed"
    );
    let params = desk.params();
    let mut set = vec![("composite", composite(name).to_string())];
    for (key, name) in [("eps", "epsilon"), ("gamma", "gamma"), ("alpha", "alpha")] {
        if !params[key].is_null() {
            set.push((name, number(params, key)?.to_string()));
        }
    }
    let mut bias = params["bias"].as_str();
    for (_, rule) in rules(desk)? {
        let value = |name| Ok::<_, anyhow::Error>(number(rule, name)?.to_string());
        match text(rule, "kind")? {
            "epsilon" => set.push(("epsilon", value("eps")?)),
            "gamma" => set.push(("gamma", value("gamma")?)),
            "alphabeta" => {
                let (alpha, beta) = (number(rule, "alpha")?, number(rule, "beta")?);
                ensure!(alpha - beta == 1.0, "alpha must be beta + 1 in a composite, got {alpha} and {beta}");
                set.push(("alpha", value("alpha")?));
            }
            _ => {}
        }
        bias = bias.or(rule["bias"].as_str());
        ensure!(
            rule["bias"].is_null() || rule["bias"].as_str() == bias,
            "all rules of a composite must treat the bias in the same way"
        );
    }
    if let Some(bias) = bias {
        set.push(("bias", bias.into()));
    }
    desk.map(network, desk.plugin("lrp", &set)?, "relevance")
}

/// Computes the relevance at the inputs and at every layer named in the expected results, using the rules of the case.
fn by_rules(desk: Harness, network: &Network) -> Result<Answer> {
    let known = |name: &str| network.model.graph.find(name).is_ok();
    let names = desk.case["expected"].as_object().context("the case has no \"expected\" results")?.keys();
    let layers: Vec<_> = names.filter(|name| known(name) && network.inputs.iter().all(|(i, _)| i != *name)).collect();
    let figures = desk.ask(network, desk.script(&script(desk, network, &layers)?, &[])?)?;
    let mut answer = by_input(network, &map(&figures, "input")?)?;
    for layer in layers {
        answer.insert(layer.clone(), map(&figures, layer)?);
    }
    Ok(answer)
}

/// The source code of a method that applies the rules of the case, as a user would write it.
fn script(desk: Harness, network: &Network, layers: &[&String]) -> Result<String> {
    let mut list = vec![];
    for (place, rule) in rules(desk)? {
        let rule = rule_text(rule)?;
        list.extend(
            selectors(desk, place, network)?.into_iter().map(|selector| format!("        [{selector:?}, {rule}],\n")),
        );
    }
    let maps: String = layers.iter().map(|l| format!(", signed(rel[{l:?}], {l:?})")).collect();
    let model = if merged(desk)? { "cx.model.folded()" } else { "cx.model" };
    let seed = match desk.seed()? {
        CaseSeed::Class => "trace.logits * one_hot(cx.target, cx.model.classes)".into(),
        CaseSeed::Sum => "trace.logits".into(),
        CaseSeed::Weighted(weights) => format!("trace.logits * trace.logits.new_tensor({weights:?})"),
    };
    Ok(format!(
        "//! The rules of a case.\nimport \"lib/lrp\" as lrp;\nconst PLUGIN = #{{ group: \"attribution\" }};\n\n\
         fn run(cx) {{\n    let trace = {model}.forward(cx.input);\n    \
         let seed  = {seed};\n    \
         let rel   = backward(trace, seed, #{{ rules: [\n{}    ] + default_rules() }});\n    \
         [signed(rel.input, \"input\"){maps}]\n}}\n",
        list.concat()
    ))
}

/// Converts a rule of a case to script syntax.
fn rule_text(rule: &Value) -> Result<String> {
    let (kind, bias) = (text(rule, "kind")?, rule["bias"].as_str().unwrap_or("full"));
    let of = |name| number(rule, name);
    let of_a_kind = match kind {
        "epsilon" | "zero" => {
            return Ok(format!("epsilon({:?}, {bias:?})", rule["eps"].as_f64().unwrap_or(STABILIZER)));
        }
        "gamma" => format!("gamma({:?}, {bias:?})", of("gamma")?),
        "alphabeta" => format!("alpha_beta({:?}, {:?}, {bias:?})", of("alpha")?, of("beta")?),
        "alpha1beta0" => format!("alpha_beta(1.0, 0.0, {bias:?})"),
        "alpha2beta1" => format!("alpha_beta(2.0, 1.0, {bias:?})"),
        "zplus" => format!("zplus({bias:?})"),
        "zbox" => {
            ensure!(
                bias != "full" || rule["bias"].is_null(),
                "the bias cancels in the box rule; use \"split\" or \"zero\""
            );
            format!("zbox({}, {})", numbers(&rule["low"])?, numbers(&rule["high"])?)
        }
        "gamma_plain" => format!("gamma_plain({:?}, {bias:?})", of("gamma")?),
        "a1b0_plain" => format!("zplus_plain({bias:?})"),
        "flat" => "flat()".into(),
        "wsquare" => format!("wsquare({bias:?})"),
        "proportional" => "proportional()".into(),
        "absolute" => "absolute()".into(),
        // The rules `pass` and `gradient` do not divide, so they have no stabilizer.
        "pass" => return Ok("pass()".into()),
        "gradient" => return Ok("gradient()".into()),
        other => bail!("unknown rule \"{other}\""),
    };
    let usual = if kind.ends_with("_plain") { CAPTUM } else { STABILIZER };
    Ok(match rule["eps"].as_f64() {
        Some(epsilon) if epsilon != usual => format!("{of_a_kind}.stabilized({epsilon:?})"),
        _ => of_a_kind,
    })
}

/// Converts a number, or a list of one number per channel, to a tensor in script syntax.
fn numbers(value: &Value) -> Result<String> {
    let number = |v: &Value| {
        v.as_f64().context("a bound of the box rule must be a number, or a list with one number per channel")
    };
    match value {
        Value::Array(many) => {
            let many = many.iter().map(number).collect::<Result<Vec<_>>>()?;
            Ok(format!("cx.input.new_tensor({many:?}).reshape([1, -1, 1, 1])"))
        }
        one => Ok(format!("cx.input.new_tensor([{:?}])", number(one)?)),
    }
}

/// Selectors for the layers that a rule applies to: layers of one operation, layers with given names, the first layers with
/// weights, or all layers.
fn selectors(desk: Harness, place: &Value, network: &Network) -> Result<Vec<String>> {
    let layers = list(&desk.case["network"]["layers"])?;
    let named = |name: &str| -> Result<Vec<String>> {
        let node = network.model.graph.node(name)?;
        let minus = network.model.graph.find(&format!("{name}.minus")).is_ok();
        // The selector includes the kind, because a layer may be named like a kind. A difference is a sum with a negated second
        // input.
        let own = [format!("{}: {name}", node.op.kind())];
        Ok(own.into_iter().chain(minus.then(|| format!("batch_norm: {name}.minus"))).collect())
    };
    let all = |names: Vec<&str>| Ok(names.into_iter().map(named).collect::<Result<Vec<_>>>()?.concat());
    let of = |fits: &dyn Fn(&str) -> bool| {
        let fitting = layers.iter().filter(|l| l["op"].as_str().is_some_and(fits));
        fitting.map(|l| text(l, "name")).collect::<Result<Vec<_>>>()
    };
    if let Some(name) = place["name"].as_str() {
        return named(name);
    }
    if let Some(names) = place["name"].as_array() {
        return all(names
            .iter()
            .map(|n| n.as_str().context("the name of a layer must be a string"))
            .collect::<Result<_>>()?);
    }
    let first = network.model.graph.first_with_weights();
    if place["first"] == true {
        return all(first.map(|n| n.name.as_str()).collect());
    }
    if place["first_conv"] == true {
        return all(first.filter(|n| n.op.kind() == "conv").map(|n| n.name.as_str()).collect());
    }
    if place["any"] == true {
        return all(of(&|_| true)?);
    }
    let ops = list(&place["op"]).context("`match` must specify an operation, a layer name, or the first layer")?;
    all(of(&|op| ops.iter().any(|o| o == op))?)
}

/// Adds three sums to the results: the network's output for the seed, the total relevance at the inputs, and their difference.
fn sums(desk: Harness, network: &Network, answer: &mut Answer) -> Result<()> {
    let (model, picture) = network.to(desk.dtype, desk.host.guard().device())?;
    let logits = model.graph.forward(&picture)?.logits()?.to_dtype(DType::F64)?.flatten_all()?;
    // A single-output network has a pair of classes, the second of which is the output.
    let logits = if model.graph.scores == Scores::Pair { logits.narrow(0, 1, 1)? } else { logits };
    let output = match desk.seed()? {
        CaseSeed::Class => logits.narrow(0, if logits.dims() == [1] { 0 } else { desk.target() }, 1)?.squeeze(0)?,
        CaseSeed::Sum => logits.sum_all()?,
        CaseSeed::Weighted(weights) => (&logits * Tensor::new(weights, logits.device())?)?.sum_all()?,
    };
    let parts = answer.iter().filter(|(name, _)| network.inputs.iter().any(|(i, _)| i == *name));
    let parts = parts.map(|(_, map)| map.sum_all()).collect::<candle_core::Result<Vec<_>>>()?;
    let sum = Tensor::stack(&parts, 0)?.sum_all()?;
    answer.insert("f_minus_sum_inputs".into(), (&output - &sum)?);
    answer.insert("sum_inputs".into(), sum);
    answer.insert("network_output".into(), output);
    Ok(())
}

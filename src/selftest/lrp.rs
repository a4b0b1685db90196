//! Cases of LRP: a composite by name is asked of the plugin, a list of rules becomes a script.

use super::desk::{Answer, Desk, by_input, map};
use super::network::{Network, Reading};
use super::value::{list, number};
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Tensor};
use serde_json::Value;

pub(super) fn answer(desk: Desk) -> Result<Answer> {
    let network = desk.network(Reading { bounds: bounds(desk)?, ..Reading::default() })?;
    let mut answer = match desk.params()["composite"].as_str() {
        Some(composite) => by_input(&network, &by_composite(desk, &network, composite)?)?,
        None => by_rules(desk, &network)?,
    };
    sums(desk, &network, &mut answer)?;
    if desk.params()["also_equals"] == "input_x_gradient" {
        let also = desk.by_input(&network, desk.plugin("input_x_gradient", &[])?, "attribution")?;
        answer.extend(also.into_iter().map(|(name, map)| (format!("{name} of input_x_gradient"), map)));
    }
    Ok(answer)
}

/// The rules of a case.
fn rules<'a>(desk: Desk<'a>) -> Result<impl Iterator<Item = (&'a Value, &'a Value)>> {
    Ok(list(&desk.params()["rules"])?.iter().map(|r| (&r["match"], &r["rule"])))
}

/// What pixels lie between, where a rule says it.
fn bounds(desk: Desk) -> Result<Option<(f64, f64)>> {
    let mut boxes = rules(desk)?.map(|(_, rule)| rule).filter(|rule| rule["kind"] == "zbox");
    boxes.next().map(|rule| Ok((number(rule, "low")?, number(rule, "high")?))).transpose()
}

fn by_composite(desk: Desk, network: &Network, composite: &str) -> Result<Tensor> {
    let norms = network.model.graph.nodes.iter().any(|n| n.op.kind() == "batch_norm");
    ensure!(
        !norms || desk.params()["canonise"] == "merge_batchnorm",
        "a composite is asked for with batch norms merged into the layers before them: \"canonise\": \"merge_batchnorm\""
    );
    let mut set = vec![("composite", composite.to_string())];
    for (_, rule) in rules(desk)? {
        let value = |name| Ok::<_, anyhow::Error>(number(rule, name)?.to_string());
        match rule["kind"].as_str() {
            Some("epsilon") => set.push(("epsilon", value("eps")?)),
            Some("gamma") => set.push(("gamma", value("gamma")?)),
            Some("alphabeta") => set.push(("alpha", value("alpha")?)),
            _ => {}
        }
    }
    desk.map(network, desk.plugin("lrp", &set)?, "relevance")
}

/// Relevance at the inputs and at every layer that the case asks for.
fn by_rules(desk: Desk, network: &Network) -> Result<Answer> {
    let known = |name: &str| network.model.graph.find(name).is_ok();
    let names = desk.case["expected"].as_object().context("a case expects something")?.keys();
    let layers: Vec<_> = names.filter(|name| known(name) && network.inputs.iter().all(|(i, _)| i != *name)).collect();
    let figures = desk.ask(network, desk.script(&script(desk, network, &layers)?, &[])?)?;
    let mut answer = by_input(network, &map(&figures, "input")?)?;
    for layer in layers {
        answer.insert(layer.clone(), map(&figures, layer)?);
    }
    Ok(answer)
}

/// A method with the rules of the case, as somebody would write it.
fn script(desk: Desk, network: &Network, layers: &[&String]) -> Result<String> {
    let mut list = vec![];
    for (place, rule) in rules(desk)? {
        let rule = rule_text(rule)?;
        list.extend(
            selectors(place, network)?.into_iter().map(|selector| format!("        [{selector:?}, {rule}],\n")),
        );
    }
    let maps: String = layers.iter().map(|l| format!(", signed(rel[{l:?}], {l:?})")).collect();
    let model = if desk.params()["canonise"] == "merge_batchnorm" { "cx.model.folded()" } else { "cx.model" };
    Ok(format!(
        "//! The rules of a case.\nimport \"lib/lrp\" as lrp;\nconst PLUGIN = #{{ group: \"attribution\" }};\n\n\
         fn run(cx) {{\n    let trace = {model}.forward(cx.input);\n    \
         let seed  = trace.logits * one_hot(cx.target, cx.model.classes);\n    \
         let rel   = backward(trace, seed, #{{ rules: [\n{}    ] + lrp::rest() }});\n    \
         [signed(rel.input, \"input\"){maps}]\n}}\n",
        list.concat()
    ))
}

/// How a script writes a rule.
fn rule_text(rule: &Value) -> Result<String> {
    let bias = rule["bias"].as_str().unwrap_or("full");
    let of = |name| number(rule, name);
    Ok(match rule["kind"].as_str().unwrap_or_default() {
        "epsilon" => format!("epsilon({:?}, {bias:?})", of("eps")?),
        "gamma" => format!("gamma({:?}, {bias:?})", of("gamma")?),
        "alphabeta" => format!("alpha_beta({:?}, {:?}, {bias:?})", of("alpha")?, of("beta")?),
        "zplus" => format!("zplus({bias:?})"),
        "zbox" => "lrp::box(cx.model)".into(),
        "gamma_plain" => format!("gamma_plain({:?}, {bias:?})", of("gamma")?),
        "a1b0_plain" => format!("zplus_plain({bias:?})"),
        "flat" => "flat()".into(),
        "wsquare" => format!("wsquare({bias:?})"),
        "pass" => "pass()".into(),
        other => bail!("the rule \"{other}\" is not known"),
    })
}

/// The selectors of what a rule is for: kinds, a layer, or the first layers with weights.
fn selectors(place: &Value, network: &Network) -> Result<Vec<String>> {
    if let Some(name) = place["name"].as_str() {
        // A layer may be called as a kind is.
        let kind = network.model.graph.node(name)?.op.kind();
        return Ok(vec![format!("{kind}: {name}")]);
    }
    let first = network.model.graph.first_with_weights();
    if place["first"] == true {
        return Ok(first.map(|n| n.name.clone()).collect());
    }
    if place["first_conv"] == true {
        return Ok(first.filter(|n| n.op.kind() == "conv").map(|n| n.name.clone()).collect());
    }
    match &place["op"] {
        Value::Array(ops) => Ok(vec![ops.iter().map(kind).collect::<Result<Vec<_>>>()?.join("|")]),
        op => Ok(vec![kind(op)?.into()]),
    }
}

/// What selectors call an operation.
fn kind(op: &Value) -> Result<&str> {
    Ok(match op.as_str().context("a rule is for an operation, a layer, or the first layer")? {
        "conv2d" => "conv",
        "avgpool2d" => "avg_pool",
        "maxpool2d" => "max_pool",
        "batchnorm2d" => "batch_norm",
        same => same,
    })
}

/// The network's output for the class, all relevance at the inputs, and what is missing between them.
fn sums(desk: Desk, network: &Network, answer: &mut Answer) -> Result<()> {
    let (model, picture) = network.to(desk.dtype)?;
    let logits = model.graph.forward(&picture)?.logits()?.to_dtype(DType::F64)?.flatten_all()?;
    let class = usize::try_from(desk.case["target"].as_u64().context("a case has a target")?)?;
    let output = logits.narrow(0, class, 1)?.squeeze(0)?;
    let parts = answer.iter().filter(|(name, _)| network.inputs.iter().any(|(i, _)| i == *name));
    let parts = parts.map(|(_, map)| map.sum_all()).collect::<candle_core::Result<Vec<_>>>()?;
    let sum = Tensor::stack(&parts, 0)?.sum_all()?;
    answer.insert("f_minus_sum_inputs".into(), (&output - &sum)?);
    answer.insert("sum_inputs".into(), sum);
    answer.insert("network_output".into(), output);
    Ok(())
}

//! `gradscope methods`: lists the methods, or describes some of them with their parameters.

use super::args::{HostArgs, MethodsArgs};
use super::tables::{as_json, as_table, named};
use super::{open, out, usage};
use crate::script::host::Host;
use crate::script::method::Method;
use crate::script::method::params::{Param, ParamValue};
use crate::script::summary::{MethodRow, ParamKind, Report};
use crate::words;
use anyhow::Result;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Lists the methods with their parameters, or describes the given methods.
pub fn methods(host_args: &HostArgs, args: &MethodsArgs) -> Result<ExitCode> {
    let host = open::host(host_args)?;
    if args.methods.is_empty() {
        return list(&host, args.json);
    }
    let open = |name: &String| host.method(name).map_err(|e| if e.is::<Report>() { e } else { usage::usage(e) });
    let methods = args.methods.iter().map(open).collect::<Result<Vec<_>>>()?;
    if args.json {
        return as_json(methods.iter().map(|m| page_document(&host.row_of(m), m)).collect());
    }
    for (i, method) in methods.iter().enumerate() {
        out::say(&(if i > 0 { "\n".to_string() } else { String::new() } + page(method).trim_end()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(host: &Host, json: bool) -> Result<ExitCode> {
    let rows = host.methods();
    if json {
        return as_json(rows.iter().map(|row| document(row, host.method(&row.name).ok().as_ref())).collect());
    }
    let parameters = |row: &MethodRow| {
        let names = |m: Method| m.params.into_iter().map(|p| p.name).collect::<Vec<_>>().join(" ");
        host.method(&row.name).map(names).unwrap_or_default()
    };
    let cells = |r: &MethodRow| {
        let group = if r.broken.is_some() { "broken".into() } else { r.group.clone() };
        vec![named(&r.name), group, r.summary.lines().next().unwrap_or_default().into(), parameters(r)]
    };
    as_table(&["method", "group", "shows", "parameters"], rows.iter().map(cells).collect())
}

/// Describes a method as JSON; `method` is `None` if its script does not compile.
fn document(row: &MethodRow, method: Option<&Method>) -> Value {
    let params = method.map(|m| &m.params[..]).unwrap_or_default();
    let param = |p: &Param| {
        let mut all = json!({ "name": p.name, "doc": p.doc, "default": p.default.text(), "takes": p.kind.text() });
        if let ParamKind::Choice(choices) = &p.kind {
            all["choices"] = choices.clone().into();
        }
        all
    };
    json!({
        "name": row.name,
        "group": row.group,
        "summary": row.summary,
        "stepped": method.map(|m| m.stepped),
        "path": row.path,
        "broken": row.broken,
        "parameters": params.iter().map(param).collect::<Vec<_>>(),
    })
}

/// Describes a method as JSON like [`document`], with its documentation, the papers it cites, and an example.
fn page_document(row: &MethodRow, method: &Method) -> Value {
    let mut all = document(row, Some(method));
    all["doc"] = method.doc.as_str().into();
    all["sources"] = sources(&method.doc).into();
    all["example"] = example(method).into();
    all
}

/// A page about a method: its documentation, how it runs, its parameters, and an example.
fn page(method: &Method) -> String {
    let steps = match (method.stepped, method.group.as_str()) {
        (false, _) => "at once".into(),
        (true, "attack") => {
            format!("in steps; --steps N sets their number [default: until it is done, at most {}]", super::run::STEPS)
        }
        (true, _) => "in steps; --steps N sets their number [default: until it is done]".to_string(),
    };
    let script = method.source.path.as_ref().map_or_else(|| "built in".into(), |path| words::path(&path));
    let mut page =
        format!("{}  ({})\n\n{}\n\n", named(&method.name), words::name(&method.group), words::text(&method.doc));
    page += &format!("runs    {steps}\nscript  {script}\n");
    match &method.params[..] {
        [] => page += "\nno parameters\n",
        params => {
            page += "\nparameters, set with --set NAME=VALUE:\n";
            let width = params.iter().map(|p| p.name.chars().count()).max().unwrap_or(0);
            params.iter().for_each(|p| page += &parameter(p, width));
        }
    }
    page += &format!("\nexample:\n  {}\n", example(method));
    page
}

/// Two lines about a parameter: its description, then its default and its values.
fn parameter(p: &Param, width: usize) -> String {
    let name = words::name(&p.name);
    let default = match (&p.default, p.default.text()) {
        (ParamValue::Layer(None), _) => "the last one that outputs a feature map".into(),
        (ParamValue::Text(_), text) if text.is_empty() => "empty".into(),
        (_, text) if text.is_empty() => "none".into(),
        (_, text) => words::name(&text).into_owned(),
    };
    let indent = " ".repeat(width + 4);
    let (doc, takes) = (words::line(&p.doc), p.kind.text());
    format!("  {name:<width$}  {doc}\n{indent}{takes} [default: {default}]\n")
}

/// The lines of a script's comment that cite a paper.
fn sources(doc: &str) -> Vec<&str> {
    doc.lines().filter(|line| ["arXiv:", "doi:", "http"].iter().any(|mark| line.contains(mark))).collect()
}

/// A command line that runs a method with one parameter set to a value other than its default, if there is such a parameter.
fn example(method: &Method) -> String {
    let name = match &method.source.path {
        Some(path) if method.source.group.is_none() => words::path(&path),
        _ => named(&method.name),
    };
    let set = method.params.iter().find_map(|p| Some(format!(" --set {}={}", p.name, other_value(p)?)));
    let data = if method.source.text.contains("cx.data") { " --data made:shapes" } else { "" };
    let steps = if method.stepped { " --steps 10" } else { "" };
    format!("gradscope run {name} -i picture.png{data}{}{steps}", set.unwrap_or_default())
}

/// A valid value of a parameter that differs from its default, if one is easy to give.
fn other_value(p: &Param) -> Option<String> {
    match (&p.kind, &p.default) {
        (ParamKind::Choice(choices), ParamValue::Text(default)) => choices.iter().find(|c| *c != default).cloned(),
        (ParamKind::Switch, ParamValue::Switch(on)) => Some((!on).to_string()),
        (ParamKind::Integer(_, high), ParamValue::Integer(v)) if *v > 0 && v * 2 <= *high => Some((v * 2).to_string()),
        (ParamKind::Number(_, high) | ParamKind::Pixels(_, high), ParamValue::Number(v) | ParamValue::Pixels(v))
            if *v > 0.0 && v * 2.0 <= *high =>
        {
            Some((v * 2.0).to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::folders::Folders;

    #[test]
    fn the_example_of_every_method_sets_a_valid_value() {
        let host = Host::new(Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
        let mut set = 0;
        for row in host.methods() {
            let method = host.method(&row.name).unwrap();
            for p in &method.params {
                let Some(value) = other_value(p) else { continue };
                let value = match &p.kind {
                    ParamKind::Choice(_) => ParamValue::Text(value),
                    ParamKind::Switch => ParamValue::Switch(value.parse().unwrap()),
                    ParamKind::Integer(..) => ParamValue::Integer(value.parse().unwrap()),
                    ParamKind::Pixels(..) => ParamValue::Pixels(value.parse().unwrap()),
                    _ => ParamValue::Number(value.parse().unwrap()),
                };
                assert!(p.check(&value).is_ok() && value != p.default, "{}: {}", row.name, p.name);
            }
            set += usize::from(example(&method).contains("--set"));
        }
        assert!(set > 50, "{set}");
    }

    #[test]
    fn lines_that_cite_papers_are_the_sources() {
        let doc = "FGSM.\n\nx + sign g\nGoodfellow 2015, arXiv:1412.6572\nBach et al., doi:10.1/2";
        assert_eq!(sources(doc), ["Goodfellow 2015, arXiv:1412.6572", "Bach et al., doi:10.1/2"]);
    }
}

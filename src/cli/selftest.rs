//! `gradscope selftest`: compares this build's results with those of other libraries.

use super::args::{HostArgs, SelftestArgs as Args};
use super::out::{self, say};
use super::progress::ProgressLine;
use super::run_options::run_options;
use super::stop::{GRACE_OF_TRAINING, StopFlag};
use crate::data::read_whole;
use crate::model::onnx::conformance::{self, Verdict};
use crate::render::{Body, Figure, text};
use crate::script::method::context::Observer;
use crate::selftest::{Outcome, Selftest};
use crate::words;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Maximum size of a file of test cases in bytes.
const LIMIT: u64 = 1 << 30;

/// Prints the number of test cases that agree, by method and source. The exit code is 1 if a case exceeds its tolerance or cannot
/// be computed.
pub fn selftest(host_args: &HostArgs, args: &Args) -> Result<ExitCode> {
    if let Some(folder) = &args.onnx {
        return onnx(folder, args.json);
    }
    let (outcomes, all) = outcomes(host_args, args)?;
    let wrong = outcomes.iter().filter(|o| !o.passed).count();
    if args.json {
        out::json(&outcomes.iter().map(document).collect())?;
    } else {
        say(&table(&outcomes))?;
        for o in outcomes.iter().filter(|o| !o.passed) {
            let found =
                o.why.clone().unwrap_or_else(|| format!("error {:.1e} in f64, {:.1e} in f32", o.double, o.single));
            say(&format!("WRONG  {}: {}", words::name(&o.name), words::line(&found)))?;
        }
        say(&format!("{} of {} cases agree", outcomes.len() - wrong, outcomes.len()))?;
    }
    ensure!(outcomes.len() == all, "cancelled after {} of {all} cases", outcomes.len());
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

/// Runs ONNX's conformance tests in a folder, and prints those that fail and the operators that are not supported.
fn onnx(folder: &Path, as_json: bool) -> Result<ExitCode> {
    let reading = || format!("reading the tests in \"{}\"", words::path(&folder));
    let tests = conformance::tests(folder).with_context(reading)?;
    ensure!(
        !tests.is_empty(),
        "\"{}\" has no ONNX tests; expected subfolders with model.onnx and test_data_set_0",
        words::path(&folder)
    );
    let name = |test: &Path| words::path(&test.strip_prefix(folder).unwrap_or(test)).to_string();
    let stop = StopFlag::new(&Arc::default(), GRACE_OF_TRAINING)?;
    let bar = ProgressLine::of(tests.len(), 0)?;
    let mut verdicts = vec![];
    for test in tests.iter().take_while(|_| !stop.wanted()) {
        verdicts.push((name(test), conformance::run(test)));
        bar.set(verdicts.len(), "tests");
    }
    bar.end();
    let failed = verdicts.iter().filter(|(_, v)| matches!(v, Verdict::Failed(_))).count();
    let passed = verdicts.iter().filter(|(_, v)| *v == Verdict::Passed).count();
    if as_json {
        let entry = |(name, verdict): &(String, Verdict)| match verdict {
            Verdict::Passed => json!({ "test": name, "outcome": "passed" }),
            Verdict::Failed(why) => json!({ "test": name, "outcome": "failed", "why": why }),
            Verdict::NotClaimed(operators) => {
                json!({ "test": name, "outcome": "not supported", "operators": operators })
            }
        };
        out::json(&verdicts.iter().map(entry).collect())?;
    } else {
        let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, verdict) in &verdicts {
            match verdict {
                Verdict::Failed(why) => say(&format!("WRONG  {name}: {}", words::line(why)))?,
                Verdict::NotClaimed(operators) => {
                    operators.iter().for_each(|op| *missing.entry(op).or_default() += 1);
                }
                Verdict::Passed => {}
            }
        }
        let unsupported: Vec<_> = missing.iter().map(|(op, n)| format!("{} ({n})", words::name(op))).collect();
        say(&format!(
            "{passed} of {} tests of supported operators pass; {} tests use unsupported operators: {}",
            passed + failed,
            verdicts.len() - passed - failed,
            if unsupported.is_empty() { "none".into() } else { unsupported.join(", ") }
        ))?;
    }
    ensure!(verdicts.len() == tests.len(), "cancelled after {} of {} tests", verdicts.len(), tests.len());
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// The outcomes of the cases until the user cancels, and the number of all cases.
fn outcomes(host_args: &HostArgs, args: &Args) -> Result<(Vec<Outcome>, usize)> {
    let selftest = Selftest::on(run_options(host_args)?.device);
    let stop = StopFlag::new(selftest.guard(), GRACE_OF_TRAINING)?;
    let bar = ProgressLine::spinner("selftest");
    let mut all = 0;
    let watch = |done: usize, total: usize| {
        all = total;
        bar.progress("cases", done, total);
        if stop.wanted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let outcomes = match &args.cases {
        None => selftest.run_until(Selftest::CASES, None, watch),
        Some(path) => {
            let text =
                String::from_utf8(read_whole(path, LIMIT)?).context("the file of test cases is not UTF-8 text")?;
            let reading = || format!("running the cases of \"{}\"", words::path(path));
            selftest.run_until(&text, args.method.as_deref(), watch).with_context(reading)
        }
    };
    bar.end();
    Ok((outcomes?, all))
}

/// Formats a table with one row per method and source, sorted by method, then by source.
fn table(outcomes: &[Outcome]) -> String {
    let mut groups: Vec<((&str, &str), Vec<&Outcome>)> = vec![];
    for o in outcomes {
        let key = (o.method.as_str(), o.source.as_str());
        match groups.iter_mut().find(|(k, _)| *k == key) {
            Some((_, group)) => group.push(o),
            None => groups.push((key, vec![o])),
        }
    }
    groups.sort_by_key(|(key, _)| *key);
    let columns = ["method", "source", "cases", "agree", "error f64", "error f32"].map(String::from).to_vec();
    let rows = groups.iter().map(|((method, source), group)| row(method, source, group)).collect();
    text(&Figure::new(String::new(), Body::Table { columns, rows }), usize::MAX).unwrap_or_default()
}

fn row(method: &str, source: &str, group: &[&Outcome]) -> Vec<String> {
    let agree = group.iter().filter(|o| o.passed).count();
    let greatest = |of: fn(&Outcome) -> f64| match group.iter().map(|o| of(o)).fold(0.0, f64::max) {
        error if error.is_finite() => format!("{error:.1e}"),
        _ => "-".into(),
    };
    let counts = [group.len(), agree].map(|n| n.to_string());
    [&[method.into(), source.into()], &counts[..], &[greatest(|o| o.double), greatest(|o| o.single)]].concat()
}

fn document(o: &Outcome) -> Value {
    json!({
        "id": o.name, "method": o.method, "source": o.source, "agrees": o.passed, "why": o.why,
        "error_f64": o.double.is_finite().then_some(o.double), "error_f32": o.single.is_finite().then_some(o.single),
    })
}

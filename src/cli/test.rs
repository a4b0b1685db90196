//! `gradscope test`: checks what a network looks at, for CI.

use super::args::{HostArgs, TestArgs};
use super::console::Terminal;
use super::stop::{GRACE, StopFlag};
use super::usage::usage;
use super::{deadline, junit, open, out};
use crate::data::write_whole;
use crate::script::folders::ScriptSource;
use crate::script::program::test::{EXPECTATIONS, Outcome, TestPlan, Verdict, tests, write_failures};
use crate::words;
use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Runs the tests in a file. The exit code is 1 if any test fails.
pub fn test(host_args: &HostArgs, args: &TestArgs) -> Result<ExitCode> {
    if args.expectations {
        return list();
    }
    let Some(file) = &args.file else {
        return Err(usage(anyhow!("it needs a file of tests; \"gradscope new test NAME\" writes one")));
    };
    let host = Arc::new(open::host(host_args)?);
    let stop = StopFlag::new(host.guard(), GRACE)?;
    deadline::begin(args.time_limit, host.guard())?;
    let source = ScriptSource::read(file).map_err(usage)?;
    let network = &args.network;
    let named = network.model.is_some() || network.weights.is_some();
    let model = named.then(|| open::model(&host, network)).transpose()?;
    let plan = TestPlan { model, update: args.update, only: args.only.clone() };
    let guard = host.guard().clone();
    let terminal = Arc::new(Terminal::new(&source.name).quiet(args.json));
    let (console, quiet) = (terminal.clone(), args.json);
    let each = move |outcome: &Outcome| if quiet { Ok(()) } else { console.bar.suspend(|| tell(outcome)) };
    let ran = tests(host, &source, &plan, terminal.clone(), each);
    terminal.bar.end();
    let outcomes = match ran {
        Err(_) if stop.wanted() => bail!("cancelled"),
        Err(error) => return Err(guard.ended().map_or(error, |why| anyhow!(why))),
        Ok(outcomes) => outcomes,
    };
    let written = write_failures(&args.out, &outcomes)?;
    let file = words::path(file);
    if let Some(report) = &args.junit {
        write_whole(report, junit::report(&file, &outcomes).as_bytes())?;
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    if args.json {
        out::json(&document(&file, &outcomes, &written))?;
    } else {
        written.iter().try_for_each(|(_, folder)| out::say(&format!("pictures: {}", words::path(folder))))?;
        out::say(&format!("{} passed, {failed} failed", outcomes.len() - failed))?;
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Prints the expectations that tests may have.
fn list() -> Result<ExitCode> {
    for spec in EXPECTATIONS {
        out::say(&format!("{}\n    {}\n    {}: {}", spec.name, spec.about, spec.name, spec.example))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the outcome of a test.
fn tell(outcome: &Outcome) -> Result<()> {
    let name = words::name(&outcome.name);
    if outcome.passed() {
        let verdicts: Vec<_> = outcome.verdicts.iter().map(Verdict::to_string).collect();
        return out::say(&format!("ok    {name}: {}", words::line(&verdicts.join("; "))));
    }
    out::say(&format!("FAIL  {name} (line {})", outcome.line))?;
    outcome.reasons().iter().try_for_each(|reason| out::say(&format!("      {}", words::line(reason))))
}

fn document(file: &str, outcomes: &[Outcome], written: &[(usize, PathBuf)]) -> Value {
    let verdict = |v: &Verdict| json!({ "measured": v.measured, "wanted": v.wanted, "met": v.met });
    let one = |(index, outcome): (usize, &Outcome)| {
        let folder = written.iter().find(|(own, _)| *own == index).map(|(_, folder)| folder.to_string_lossy());
        json!({
            "name": outcome.name,
            "line": outcome.line,
            "passed": outcome.passed(),
            "seconds": outcome.took.as_secs_f64(),
            "verdicts": outcome.verdicts.iter().map(verdict).collect::<Vec<_>>(),
            "error": outcome.error,
            "pictures": folder,
        })
    };
    let passed = outcomes.iter().filter(|outcome| outcome.passed()).count();
    json!({
        "file": file,
        "passed": passed,
        "failed": outcomes.len() - passed,
        "tests": outcomes.iter().enumerate().map(one).collect::<Vec<_>>(),
    })
}

//! `gradscope selftest`: this build's numbers against PyTorch's.

use super::args::Selftest;
use super::draw::print;
use crate::data::read_whole;
use crate::model::selftest::{self, Outcome};
use anyhow::{Context, Result};
use std::process::ExitCode;

/// The largest file of cases that is read.
const LIMIT: u64 = 1 << 30;

/// Prints each case with its greatest error; fails when one is beyond its bound or cannot be computed.
pub fn selftest(args: &Selftest) -> Result<ExitCode> {
    let outcomes = outcomes(args)?;
    for o in &outcomes {
        let verdict = if o.passed { "ok   " } else { "WRONG" };
        let found = o.why.clone().unwrap_or_else(|| format!("greatest error {:.1e}", o.greatest_error));
        print(&format!("{verdict}  {:<48}  {found}", o.name))?;
    }
    let wrong = outcomes.iter().filter(|o| !o.passed).count();
    let source = if args.cases.is_some() { "their file" } else { "PyTorch" };
    print(&format!("{} of {} cases agree with {source}", outcomes.len() - wrong, outcomes.len()))?;
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

fn outcomes(args: &Selftest) -> Result<Vec<Outcome>> {
    let Some(path) = &args.cases else { return selftest::run() };
    let text = String::from_utf8(read_whole(path, LIMIT)?).context("the file of cases is no text")?;
    let reading = || format!("computing the cases of \"{}\"", path.display());
    selftest::run_text(&text, args.method.as_deref()).with_context(reading)
}

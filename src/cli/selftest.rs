//! `gradscope selftest`: this build's numbers against PyTorch's.

use super::draw::print;
use crate::model::selftest;
use anyhow::Result;
use std::process::ExitCode;

/// Prints each case with its greatest error; fails when one is beyond its bound.
pub fn selftest() -> Result<ExitCode> {
    let outcomes = selftest::run()?;
    for o in &outcomes {
        let verdict = if o.passed { "ok   " } else { "WRONG" };
        print(&format!("{verdict}  {:<40}  greatest error {:.1e}", o.name, o.greatest_error))?;
    }
    let wrong = outcomes.iter().filter(|o| !o.passed).count();
    print(&format!("{} of {} cases agree with PyTorch", outcomes.len() - wrong, outcomes.len()))?;
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

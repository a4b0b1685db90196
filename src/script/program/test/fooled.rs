//! Whether an attack fools the network.

use super::expectation::{ExpectationSpec, Verdict};
use super::subject::Subject;
use anyhow::{Context, Result};
use rhai::Dynamic;

/// The verdict of an attack.
pub(super) const SPEC: ExpectationSpec =
    ExpectationSpec { name: "fooled", example: "false", about: "whether the attack `method` fools the network", check };

fn check(subject: &Subject, value: &Dynamic) -> Result<Vec<Verdict>> {
    let wanted = value.as_bool().ok().context("`fooled` must be true or false")?;
    let fooled = subject.fooled().context("the method is not an attack; set `method` to one, such as \"fgsm\"")?;
    let text = |fooled| if fooled { "fooled" } else { "not fooled" };
    Ok(vec![Verdict {
        measured: format!("the network is {}", text(fooled)),
        wanted: text(wanted).into(),
        met: fooled == wanted,
    }])
}

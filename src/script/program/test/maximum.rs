//! Whether a map's maximum lies in a region.

use super::expectation::{ExpectationSpec, Verdict};
use super::region::Region;
use super::subject::Subject;
use crate::script::api::options::CallOptions;
use anyhow::{Result, ensure};
use rhai::Dynamic;

/// The pointing game (Zhang et al. 2018, arXiv:1608.00507), without tolerance.
pub(super) const SPEC: ExpectationSpec = ExpectationSpec {
    name: "maximum",
    example: "#{ inside: \"mask.png\" }",
    about: "the map's greatest value lies inside a box or mask, or outside of one",
    check,
};

fn check(subject: &Subject, value: &Dynamic) -> Result<Vec<Verdict>> {
    let options = CallOptions::of_map("maximum", value, &["inside", "outside"])?;
    ensure!(options.has("inside") != options.has("outside"), "it needs either `inside` or `outside`");
    let outside = options.has("outside");
    let region = Region::of(subject, &options, if outside { "outside" } else { "inside" })?;
    let map = subject.map()?;
    let (mut greatest, mut hit) = (f64::NEG_INFINITY, false);
    region.pixels(&map, |value, inside| {
        if value > greatest {
            (greatest, hit) = (value, inside);
        } else if value == greatest {
            // A cell of a coarse map may lie partly in the region.
            hit |= inside;
        }
    });
    let place = |inside: bool| format!("{} {}", if inside { "inside" } else { "outside" }, region.name);
    Ok(vec![Verdict {
        measured: format!("the maximum is {}", place(hit)),
        wanted: place(!outside),
        met: hit != outside,
    }])
}

//! The share of a map that lies in a region.

use super::bounds::{self, Bounds};
use super::expectation::{ExpectationSpec, Verdict};
use super::region::Region;
use super::subject::Subject;
use crate::script::api::options::CallOptions;
use anyhow::{Result, ensure};
use rhai::Dynamic;

/// The sum of a map's positive values in a region, divided by that of all (relevance mass accuracy, Arras et al. 2022, eq. 2,
/// doi:10.1016/j.inffus.2021.11.008).
pub(super) const SPEC: ExpectationSpec = ExpectationSpec {
    name: "share",
    example: "#{ inside: [64, 40, 128, 128], at_least: 0.6 }",
    about: "the sum of the map's positive values in a box or mask, divided by that of all",
    check,
};

fn check(subject: &Subject, value: &Dynamic) -> Result<Vec<Verdict>> {
    let options = CallOptions::of_map("share", value, &[&["inside"][..], &bounds::KEYS].concat())?;
    let (bounds, region, map) = (Bounds::of(&options)?, Region::of(subject, &options, "inside")?, subject.map()?);
    let (mut within, mut all) = (0.0, 0.0);
    region.pixels(&map, |value, inside| {
        let positive = value.max(0.0);
        all += positive;
        within += if inside { positive } else { 0.0 };
    });
    ensure!(all > 0.0, "the map has no positive values");
    Ok(vec![bounds.judge(&format!("the share inside {}", region.name), within / all)])
}

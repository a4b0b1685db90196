//! Comparison of a map with a golden map: a file that holds the map as it should be.

use super::bounds::Bounds;
use super::expectation::{ExpectationSpec, Verdict};
use super::subject::Subject;
use crate::data::{create_folder, read_npy, write_npy};
use crate::math::ssim;
use crate::render::Array;
use crate::script::api::options::{CallOptions, text};
use crate::words;
use anyhow::{Result, ensure};
use rhai::Dynamic;
use std::path::Path;

/// Default of the least cosine similarity.
const COSINE: f64 = 0.99;

/// The cosine similarity or SSIM of the map and a golden map.
pub(super) const SPEC: ExpectationSpec = ExpectationSpec {
    name: "golden",
    example: "#{ file: \"goldens/lrp.npy\", cosine: 0.99 }",
    about: "the map's cosine similarity [default: at least 0.99] or SSIM with a golden map; --update writes the file",
    check,
};

fn check(subject: &Subject, value: &Dynamic) -> Result<Vec<Verdict>> {
    let (file, bounds) = if value.is_string() {
        (text(value)?, vec![("cosine", COSINE)])
    } else {
        let options = CallOptions::of_map("golden", value, &["file", "cosine", "ssim"])?;
        let given = ["cosine", "ssim"].into_iter().filter(|key| options.has(key));
        let bounds = given.map(|key| Ok((key, options.number(key, 0.0)?))).collect::<Result<Vec<_>>>()?;
        (options.one_text("file")?, if bounds.is_empty() { vec![("cosine", COSINE)] } else { bounds })
    };
    let (path, map) = (Path::new(&file), subject.map()?);
    if subject.update {
        path.parent().filter(|folder| *folder != Path::new("")).map_or(Ok(()), create_folder)?;
        write_npy(path, &map.shape, &map.data)?;
        let measured = format!("wrote {}", words::path(&path));
        return Ok(vec![Verdict { measured, wanted: String::new(), met: true }]);
    }
    ensure!(path.is_file(), "there is no golden map \"{}\"; gradscope test --update writes it", words::path(&path));
    let golden = read_npy(path)?;
    let golden = Array::new(golden.shape, golden.values)?;
    ensure!(
        golden.shape == map.shape,
        "the golden map \"{}\" has shape {:?}, but the map has {:?}; gradscope test --update replaces it",
        words::path(&path),
        golden.shape,
        map.shape
    );
    let judge = |(kind, least): (&str, f64)| {
        let value = match kind {
            "ssim" => ssim(&golden.data, &map.data, [map.shape[0], map.shape[1]])?,
            _ => cosine(&golden.data, &map.data),
        };
        Ok(Bounds::at_least(least)
            .judge(&format!("the {} with {file}", if kind == "ssim" { "SSIM" } else { "cosine" }), value))
    };
    bounds.into_iter().map(judge).collect()
}

/// The cosine of the angle between two maps; NaN if one of them is zero.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

//! Exports the names of points for TensorBoard's embedding projector, to accompany the vectors in the TSV file.

use super::format::{Drawn, Format, Purpose};
use crate::render::{self, Body};
use anyhow::Result;

pub(super) const FORMAT: Format = Format { ending: "metadata.tsv", purpose: Purpose::Other, bytes };

fn bytes(drawn: &Drawn) -> Result<Option<Vec<u8>>> {
    Ok(match &drawn.figure.body {
        Body::Sheet { points } => Some(render::metadata(points).into_bytes()),
        _ => None,
    })
}

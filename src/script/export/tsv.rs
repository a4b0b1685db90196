//! Exports the coordinates of points as TSV for TensorBoard's embedding projector.

use super::format::{Drawn, Format, Purpose};
use crate::render::{self, Body};
use anyhow::Result;

pub(super) const FORMAT: Format = Format { ending: "tsv", purpose: Purpose::Other, bytes };

fn bytes(drawn: &Drawn) -> Result<Option<Vec<u8>>> {
    Ok(match &drawn.figure.body {
        Body::Sheet { points } => Some(render::vectors(points).into_bytes()),
        _ => None,
    })
}

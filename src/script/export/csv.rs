//! Exports the points of scatter plots and sheets as CSV.

use super::format::{Drawn, Format, Purpose};
use crate::render::{self, Body};
use anyhow::Result;

pub(super) const FORMAT: Format = Format { ending: "csv", purpose: Purpose::Other, bytes };

fn bytes(drawn: &Drawn) -> Result<Option<Vec<u8>>> {
    Ok(match &drawn.figure.body {
        Body::Scatter { points } | Body::Sheet { points } => Some(render::csv(points).into_bytes()),
        _ => None,
    })
}

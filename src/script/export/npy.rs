//! Exports raw values as NumPy `.npy` files. Pictures have shape `(1, C, H, W)`.

use super::format::{Drawn, Format, Purpose};
use crate::data::npy_bytes;
use crate::render::{Body, Figure};
use anyhow::Result;

pub(super) const FORMAT: Format = Format { ending: "npy", purpose: Purpose::RawValues, bytes };

fn bytes(drawn: &Drawn) -> Result<Option<Vec<u8>>> {
    array_bytes(drawn.figure).transpose()
}

/// The `.npy` file of a figure's raw values; `None` if the figure has none.
pub(super) fn array_bytes(figure: &Figure) -> Option<Result<Vec<u8>>> {
    let values = figure.values()?;
    let mut shape = values.shape.clone();
    if matches!(figure.body, Body::Image { .. }) {
        shape.insert(0, 1);
    }
    Some(npy_bytes(&shape, &values.data))
}

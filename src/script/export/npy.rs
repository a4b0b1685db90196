//! Exports raw values as NumPy `.npy` files. Pictures have shape `(1, C, H, W)`.

use super::format::{Drawn, Format, Purpose};
use crate::data::npy_bytes;
use crate::render::Body;
use anyhow::Result;

pub(super) const FORMAT: Format = Format { ending: "npy", purpose: Purpose::RawValues, bytes };

fn bytes(drawn: &Drawn) -> Result<Option<Vec<u8>>> {
    let Some(values) = drawn.figure.values() else { return Ok(None) };
    let mut shape = values.shape.clone();
    if matches!(drawn.figure.body, Body::Image { .. }) {
        shape.insert(0, 1);
    }
    npy_bytes(&shape, &values.data).map(Some)
}

//! Exports figures that are not pictures, such as tables, as plain text.

use super::format::{Drawn, Format, Purpose};
use crate::render;
use anyhow::Result;

pub(super) const FORMAT: Format = Format { ending: "txt", purpose: Purpose::Viewing, bytes };

/// Width of the text in characters.
const WIDTH: usize = 100;

fn bytes(drawn: &Drawn) -> Result<Option<Vec<u8>>> {
    let text = || render::text(drawn.figure, WIDTH).unwrap_or_default() + "\n";
    Ok(drawn.picture.is_none().then(|| text().into_bytes()))
}

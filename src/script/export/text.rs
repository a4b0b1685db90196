//! Texts and tables as plain text, for figures that are not pictures.

use super::format::{Drawn, Format};
use crate::render;
use anyhow::Result;

pub(super) const FORMAT: Format = Format { ending: "txt", shown: true, bytes };

/// The width in characters.
const WIDTH: usize = 100;

fn bytes(drawn: &Drawn) -> Result<Option<Vec<u8>>> {
    let text = || render::text(drawn.figure, WIDTH).unwrap_or_default() + "\n";
    Ok(drawn.picture.is_none().then(|| text().into_bytes()))
}

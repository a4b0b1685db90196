//! All figures as one picture.

use crate::data::write_whole;
use crate::render::ContactSheet;
use crate::script::session::Session;
use anyhow::{Context, Result};
use image::ImageFormat;
use std::io::Cursor;
use std::path::Path;

/// Writes a sheet as PNG. Errors where none of its figures is a picture.
pub fn write(file: &Path, session: &Session, sheet: &ContactSheet) -> Result<()> {
    let sheet = sheet.paint(&heading(session)).context("there is no picture to save")?;
    let mut bytes = Cursor::new(vec![]);
    sheet.write_to(&mut bytes, ImageFormat::Png).context("packing the sheet")?;
    write_whole(file, bytes.get_ref())
}

/// What a session shows, on one line.
pub(super) fn heading(session: &Session) -> String {
    let method = session.method().map_or("", |m| &m.name);
    let step = match session.method() {
        Some(m) if m.stepped => format!(" step {}", session.cursor()),
        _ => String::new(),
    };
    format!("{method} {} {}{step}", session.model().card.name, session.picture())
}

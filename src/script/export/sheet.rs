//! Exports a contact sheet: a single picture of all figures.

use crate::data::write_whole;
use crate::render::ContactSheet;
use crate::script::session::Session;
use anyhow::{Context, Result};
use image::ImageFormat;
use std::io::Cursor;
use std::path::Path;

/// Writes a contact sheet as PNG. Errors if none of the figures on the sheet is a picture.
pub fn write(file: &Path, session: &Session, sheet: &ContactSheet) -> Result<()> {
    write_titled(file, &heading(session), sheet)
}

/// Writes a contact sheet with this heading as PNG. Errors if none of the figures on the sheet is a picture.
pub fn write_titled(file: &Path, heading: &str, sheet: &ContactSheet) -> Result<()> {
    let sheet = sheet.paint(heading).context("there is no picture to save")?;
    let mut bytes = Cursor::new(vec![]);
    sheet.write_to(&mut bytes, ImageFormat::Png).context("encoding the sheet")?;
    write_whole(file, bytes.get_ref())
}

/// A one-line description of what a session shows: method, model, picture, step.
pub(super) fn heading(session: &Session) -> String {
    let method = session.method().map_or("", |m| &m.name);
    let step = match session.method() {
        Some(m) if m.stepped => format!(" step {}", session.cursor()),
        _ => String::new(),
    };
    format!("{method} {} {}{step}", session.model().card.name, session.picture())
}

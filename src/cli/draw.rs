//! Prints figures to the terminal.

use super::config;
use super::out::{self, say};
use crate::render::{self, Colormap, Figure};
use crate::tui::{Graphics, Inline};
use anyhow::Result;
use std::io::IsTerminal;

/// Maximum width of a picture in columns.
const COLUMNS: u16 = 64;
/// Maximum height of a picture in rows.
const ROWS: u16 = 24;
/// Number of rows reserved for text below a picture.
const WORDS: u16 = 4;

/// Prints figures to stdout.
pub struct FigurePrinter {
    pictures: Inline,
    columns: u16,
    rows: u16,
}

impl FigurePrinter {
    /// Creates a printer. Pictures are drawn as set on the command line, or else in the configuration, or else with the best protocol
    /// the terminal supports. If stdout is not a terminal, pictures are omitted unless the command line sets how to draw them.
    pub fn new(wish: Graphics) -> Result<Self> {
        let wish = match wish {
            Graphics::Auto if !on_terminal() => Graphics::NONE,
            Graphics::Auto => config::read()?.graphics.unwrap_or_default(),
            asked => asked,
        };
        // Some terminals report a size of 0.
        let size = crossterm::terminal::size().ok().filter(|(columns, rows)| *columns > 0 && *rows > 0);
        let (columns, rows) = size.unwrap_or((80, 24));
        let rows = rows.saturating_sub(WORDS).clamp(1, ROWS);
        Ok(Self { pictures: Inline::new(wish), columns: columns.clamp(1, COLUMNS), rows })
    }

    /// Prints a figure: its caption, then its picture or its text.
    pub fn show(&self, figure: &Figure) -> Result<()> {
        say(&format!("\n{}", render::caption(figure)))?;
        if let Some(text) = render::text(figure, 100) {
            return say(&text);
        }
        let Some(picture) = render::paint(figure, Colormap::default()) else { return Ok(()) };
        out::written(self.pictures.draw(&picture, self.columns, self.rows))
    }
}

/// Whether stdout is a terminal.
#[allow(clippy::disallowed_methods)]
pub fn on_terminal() -> bool {
    std::io::stdout().is_terminal()
}

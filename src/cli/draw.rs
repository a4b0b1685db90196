//! Figures in the terminal, line after line.

use super::config;
use super::out::{self, say};
use crate::render::{self, Colormap, Figure};
use crate::tui::{Graphics, Inline};
use anyhow::Result;
use std::io::IsTerminal;

/// Columns that a picture takes at most.
const COLUMNS: u16 = 64;
/// Rows that a picture takes at most.
const ROWS: u16 = 24;
/// Rows that are left for words below a picture.
const WORDS: u16 = 4;

/// Where figures go.
pub struct FigurePrinter {
    pictures: Inline,
    columns: u16,
    rows: u16,
}

impl FigurePrinter {
    /// Stdout, with pictures as the command line says, else the configuration, else the terminal itself. Into a pipe or a file
    /// they go only where the command line says how.
    pub fn new(wish: Graphics) -> Result<Self> {
        let wish = match wish {
            Graphics::Auto if !on_terminal() => Graphics::NONE,
            Graphics::Auto => config::read()?.graphics.unwrap_or_default(),
            asked => asked,
        };
        // A terminal that does not know its size says 0.
        let size = crossterm::terminal::size().ok().filter(|(columns, rows)| *columns > 0 && *rows > 0);
        let (columns, rows) = size.unwrap_or((80, 24));
        let rows = rows.saturating_sub(WORDS).clamp(1, ROWS);
        Ok(Self { pictures: Inline::new(wish), columns: columns.clamp(1, COLUMNS), rows })
    }

    /// Caption, then the picture, or the words.
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

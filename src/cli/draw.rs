//! Figures in the terminal, line after line.

use super::config;
use crate::render::{self, Colormap, Figure};
use crate::tui::{Graphics, Inline};
use anyhow::Result;
use std::io::{IsTerminal, Write};

/// Columns that a picture takes at most.
const COLUMNS: u16 = 64;
/// Rows that a picture takes at most.
const ROWS: u16 = 24;
/// Rows that are left for words below a picture.
const WORDS: u16 = 4;

/// Where figures go.
pub struct Screen {
    pictures: Inline,
    columns: u16,
    rows: u16,
}

impl Screen {
    /// Stdout, with pictures as the command line says, else the configuration, else the terminal itself. Into a pipe or a file
    /// they go only where the command line says how.
    pub fn new(wish: Graphics) -> Result<Self> {
        let wish = match wish {
            Graphics::Auto if !std::io::stdout().is_terminal() => Graphics::Nothing,
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
        print(&format!("\n{}", render::caption(figure)))?;
        if let Some(text) = render::text(figure, 100) {
            return print(&text);
        }
        let Some(picture) = render::paint(figure, Colormap::default()) else { return Ok(()) };
        Ok(self.pictures.draw(&picture, self.columns, self.rows)?)
    }
}

/// A line on stdout, control characters of foreign names escaped; a closed pipe is an error, not a panic.
pub fn print(text: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{}", printable(text))?;
    Ok(())
}

/// A text that does nothing to a terminal but to be read.
pub(super) fn printable(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => all.push(c),
            c if c.is_control() => all.extend(c.escape_unicode()),
            c => all.push(c),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_the_cursor_or_colour_is_printed_as_its_number() {
        assert_eq!(printable("tabby\x1b[31m\x07\u{9b}\r"), "tabby\\u{1b}[31m\\u{7}\\u{9b}\\u{d}");
        assert_eq!(printable("a\tü\n█"), "a\tü\n█");
    }
}

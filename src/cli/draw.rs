//! Figures in the terminal, line after line.

use crate::render::{self, Colormap, Figure};
use crate::tui::Graphics;
use anyhow::Result;
use image::{DynamicImage, RgbImage};
use std::io::{IsTerminal, Write};

/// Columns that a picture takes at most.
const COLUMNS: u32 = 64;
/// Rows that a picture takes at most.
const ROWS: u32 = 24;

/// Where figures go.
pub struct Screen {
    draw: Graphics,
    columns: u32,
    rows: u32,
}

impl Screen {
    /// Stdout; pictures only where it is a terminal.
    pub fn new(draw: Graphics) -> Self {
        let draw = if std::io::stdout().is_terminal() || draw != Graphics::Auto { draw } else { Graphics::Nothing };
        let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
        let rows = u32::from(rows.saturating_sub(4).max(8)).min(ROWS);
        Self { draw, columns: u32::from(columns.max(20)).min(COLUMNS), rows }
    }

    /// Caption, then the picture, or the words.
    pub fn show(&self, figure: &Figure) -> Result<()> {
        print(&format!("\n{}", render::caption(figure)))?;
        if let Some(text) = render::text(figure, 100) {
            return print(&text);
        }
        match render::paint(figure, Colormap::default()) {
            Some(picture) => self.picture(picture),
            None => Ok(()),
        }
    }

    fn picture(&self, picture: RgbImage) -> Result<()> {
        match self.draw {
            Graphics::Nothing | Graphics::Letters => Ok(()),
            Graphics::Auto | Graphics::Kitty | Graphics::Iterm | Graphics::Sixel => self.by_protocol(picture),
            Graphics::Half | Graphics::Blocks => print(&self.cells(&picture)),
        }
    }

    /// By kitty's or iTerm2's protocol where the terminal knows one, else by half blocks.
    fn by_protocol(&self, picture: RgbImage) -> Result<()> {
        let kitty = viuer::get_kitty_support() != viuer::KittySupport::None;
        if !kitty && !viuer::is_iterm_supported() {
            return print(&self.cells(&picture));
        }
        let (width, height) = picture.dimensions();
        let columns = self.columns.min(self.rows * 2 * width / height.max(1)).max(1);
        let config = viuer::Config { absolute_offset: false, width: Some(columns), ..viuer::Config::default() };
        viuer::print(&DynamicImage::from(picture), &config)?;
        Ok(())
    }

    fn cells(&self, picture: &RgbImage) -> String {
        render::half_blocks(picture, self.columns, self.rows)
    }
}

/// A line on stdout; a closed pipe is an error, not a panic.
pub fn print(text: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}

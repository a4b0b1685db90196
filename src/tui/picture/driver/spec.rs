//! What is known of a driver, and what it does.

use crate::tui::picture::blocks::Blocks;
use crate::tui::terminal::caps::{Caps, Environment};
use crate::tui::theme::Depth;
use image::RgbImage;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::fmt::Debug;
use std::io::{self, Write};

/// A way to draw pictures, as `--graphics` names it.
#[derive(Debug)]
pub struct DriverSpec {
    /// Its name.
    pub name: &'static str,
    /// What it does, for the help.
    pub summary: &'static str,
    /// Whether it works in this terminal.
    pub suits: fn(&Caps, Environment, Depth) -> bool,
    /// The driver for this terminal.
    pub driver: fn(&Caps, Environment) -> &'static dyn Driver,
}

/// How pictures stand on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As ordinary cells, drawn with each frame.
    Cells(Blocks),
    /// As placeholders: cells that stand for parts of a picture that was sent once.
    Placeholders,
    /// Over blank cells that later frames skip.
    Overlay,
    /// Not at all.
    Nowhere,
}

/// A part of a picture as it is sent: the rows of cells above it, and its bytes.
pub type PicturePart = (u16, Vec<u8>);

/// Draws pictures by a protocol, or as cells.
pub trait Driver: Debug + Send + Sync {
    /// Its name in the status line.
    fn name(&self) -> &'static str;

    /// How its pictures stand on the screen.
    fn standing(&self) -> Standing;

    /// The picture at the size that is sent, given the pixels of its cells; `None` if nothing is sent.
    fn sized(&self, _image: &RgbImage, _pixels: (u32, u32)) -> Option<RgbImage> {
        None
    }

    /// The parts of a picture of that size, given the size of a cell.
    fn encode(&self, _image: &RgbImage, _cell: (u16, u16)) -> Vec<PicturePart> {
        Vec::new()
    }

    /// The commands that show these parts in a rectangle. No other command may come between them.
    fn commands(&self, _parts: &[PicturePart], _id: u32, _rect: Rect) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Whether each command shows its own strip, so that other commands may come between them.
    fn in_strips(&self) -> bool {
        false
    }

    /// The command that deletes a picture; empty if redrawn cells erase it.
    fn delete(&self, _id: u32) -> Vec<u8> {
        Vec::new()
    }

    /// The bytes that delete a picture when the app ends; empty if nothing stays behind.
    fn removal(&self, _id: u32) -> Vec<u8> {
        Vec::new()
    }

    /// Whether there are placeholders for a rectangle of this size.
    fn can_stand(&self, _rect: Rect) -> bool {
        false
    }

    /// Fills a rectangle with the placeholders of a picture.
    fn placeholders(&self, _buf: &mut Buffer, _rect: Rect, _id: u32) {}

    /// A picture as lines of a stream, from the start of a line to that of the line below it.
    fn stream(&self, image: &RgbImage, depth: Depth, rect: Rect, pixels: (u32, u32), id: u32) -> Vec<u8>;

    /// Writes a picture to a stream.
    fn print(
        &self,
        out: &mut dyn Write,
        image: &RgbImage,
        depth: Depth,
        (rect, pixels): (Rect, (u32, u32)),
        id: u32,
    ) -> io::Result<()> {
        out.write_all(&self.stream(image, depth, rect, pixels, id))
    }
}

/// Moves the cursor.
pub fn go(x: u16, y: u16) -> Vec<u8> {
    format!("\x1b[{};{}H", y + 1, x + 1).into_bytes()
}

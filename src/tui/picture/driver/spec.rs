//! The specification of a driver, and the driver trait.

use crate::tui::picture::blocks::Blocks;
use crate::tui::terminal::caps::{Caps, Environment};
use crate::tui::theme::Depth;
use image::RgbImage;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::fmt::Debug;
use std::io::{self, Write};

/// A driver as listed by `--graphics`.
#[derive(Debug)]
pub struct DriverSpec {
    /// The name.
    pub name: &'static str,
    /// A description for the help.
    pub summary: &'static str,
    /// Whether it works in this terminal.
    pub suits: fn(&Caps, Environment, Depth) -> bool,
    /// The driver for this terminal.
    pub driver: fn(&Caps, Environment) -> &'static dyn Driver,
}

/// How pictures are placed on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As ordinary cells, drawn with each frame.
    Cells(Blocks),
    /// As placeholders: cells that refer to parts of a picture that was sent once.
    Placeholders,
    /// Over blank cells that later frames skip.
    Overlay,
    /// Not drawn.
    Nowhere,
}

/// An encoded part of a picture: the number of rows of cells above it, and its bytes.
pub type PicturePart = (u16, Vec<u8>);

/// Draws pictures by a protocol, or as cells.
pub trait Driver: Debug + Send + Sync {
    /// The name in the status line.
    fn name(&self) -> &'static str;

    /// How its pictures are placed on the screen.
    fn standing(&self) -> Standing;

    /// The picture resized for sending, given the size of its cells in pixels; `None` if nothing is sent.
    fn sized(&self, _image: &RgbImage, _pixels: (u32, u32)) -> Option<RgbImage> {
        None
    }

    /// Encodes a resized picture into parts, given the size of a cell in pixels.
    fn encode(&self, _image: &RgbImage, _cell: (u16, u16)) -> Vec<PicturePart> {
        Vec::new()
    }

    /// The commands that show these parts in a rectangle. They must not be interleaved with others.
    fn commands(&self, _parts: &[PicturePart], _id: u32, _rect: Rect) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Whether each command shows a strip of its own, so that other commands may come between them.
    fn in_strips(&self) -> bool {
        false
    }

    /// The command that deletes a picture; empty if redrawn cells erase it.
    fn delete(&self, _id: u32) -> Vec<u8> {
        Vec::new()
    }

    /// The bytes that delete a picture when the app exits; empty if clearing the screen suffices.
    fn removal(&self, _id: u32) -> Vec<u8> {
        Vec::new()
    }

    /// Whether placeholders can fill a rectangle of this size.
    fn can_stand(&self, _rect: Rect) -> bool {
        false
    }

    /// Fills a rectangle with the placeholders of a picture.
    fn placeholders(&self, _buf: &mut Buffer, _rect: Rect, _id: u32) {}

    /// Encodes a picture as lines of a stream; the cursor ends at the start of the line below it.
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

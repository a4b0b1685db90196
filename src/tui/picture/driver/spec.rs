//! The specification of a driver, and the trait that drivers implement.

use crate::tui::picture::blocks::Blocks;
use crate::tui::terminal::caps::{Caps, Environment};
use crate::tui::theme::Depth;
use image::RgbImage;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::fmt::Debug;
use std::io::{self, Write};

/// An entry in the driver table, as listed by `--graphics`.
#[derive(Debug)]
pub struct DriverSpec {
    /// Name of the driver.
    pub name: &'static str,
    /// Description of the driver in the help.
    pub summary: &'static str,
    /// Whether the driver suits a terminal with these capabilities, environment and color depth.
    pub suits: fn(&Caps, Environment, Depth) -> bool,
    /// The driver for a terminal with these capabilities and environment.
    pub driver: fn(&Caps, Environment) -> &'static dyn Driver,
}

/// How a driver places pictures on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Pictures are drawn as ordinary cells with these characters, in each frame.
    Cells(Blocks),
    /// Pictures are sent once and shown with placeholders: cells that refer to parts of a picture.
    Placeholders,
    /// Pictures are drawn over blank cells, which later frames do not redraw.
    Overlay,
    /// Pictures are not drawn.
    Nowhere,
}

/// An encoded part of a picture: the number of cell rows above it, and its bytes.
pub type PicturePart = (u16, Vec<u8>);

/// A picture in a row of pictures between lines of text.
#[derive(Clone, Copy, Debug)]
pub struct RowPicture<'a> {
    /// The picture.
    pub image: &'a RgbImage,
    /// The cells that the picture covers, relative to the start of the row's first line.
    pub rect: Rect,
    /// The size of the cells in pixels.
    pub pixels: (u32, u32),
    /// A new ID.
    pub id: u32,
}

/// The cells of a row of pictures, starting at the top left.
pub fn row_area(pictures: &[RowPicture<'_>]) -> Rect {
    let most = |side: fn(&Rect) -> u16| pictures.iter().map(|picture| side(&picture.rect)).max().unwrap_or(0);
    Rect::new(0, 0, most(|rect| rect.right()), most(|rect| rect.bottom()))
}

/// Draws pictures with a graphics protocol or as cells.
pub trait Driver: Debug + Send + Sync {
    /// Name of the driver in the status line.
    fn name(&self) -> &'static str;

    /// How the driver's pictures are placed on the screen.
    fn standing(&self) -> Standing;

    /// Resizes a picture for sending. `pixels` is the size of the picture's area on the screen. `None` if nothing is sent.
    fn sized(&self, _image: &RgbImage, _pixels: (u32, u32)) -> Option<RgbImage> {
        None
    }

    /// Encodes a resized picture into parts, given the cell size in pixels. Drivers that draw cells return no parts.
    fn encode(&self, _image: &RgbImage, _cell: (u16, u16)) -> Vec<PicturePart> {
        Vec::new()
    }

    /// The commands that show the encoded parts of a picture in a rectangle. Unless [`in_strips`](Self::in_strips) is true, they
    /// must not be interleaved with other commands.
    fn commands(&self, _parts: &[PicturePart], _id: u32, _rect: Rect) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Whether each command shows a separate strip of the picture, so that other commands may come in between.
    fn in_strips(&self) -> bool {
        false
    }

    /// The command that deletes a picture; empty if redrawing the cells under the picture erases it.
    fn delete(&self, _id: u32) -> Vec<u8> {
        Vec::new()
    }

    /// The bytes that delete a picture on exit; empty if clearing the screen deletes it.
    fn removal(&self, _id: u32) -> Vec<u8> {
        Vec::new()
    }

    /// Whether placeholders can fill a rectangle as large as `rect`.
    fn can_stand(&self, _rect: Rect) -> bool {
        false
    }

    /// Fills the cells of a rectangle with the placeholders of a picture.
    fn placeholders(&self, _buf: &mut Buffer, _rect: Rect, _id: u32) {}

    /// Encodes pictures side by side for a stream of text lines. The cursor ends at the start of the line below the pictures.
    fn stream_row(&self, pictures: &[RowPicture<'_>], depth: Depth) -> Vec<u8>;

    /// Encodes a picture for a stream of text lines. The cursor ends at the start of the line below the picture.
    fn stream(&self, image: &RgbImage, depth: Depth, rect: Rect, pixels: (u32, u32), id: u32) -> Vec<u8> {
        self.stream_row(&[RowPicture { image, rect, pixels, id }], depth)
    }

    /// Writes a picture to a stream of text lines.
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

/// The escape code that moves the cursor to a zero-based column and row.
pub fn go(x: u16, y: u16) -> Vec<u8> {
    format!("\x1b[{};{}H", y + 1, x + 1).into_bytes()
}

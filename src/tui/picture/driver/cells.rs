//! Drivers that draw pictures as ordinary cells.

use super::spec::{Driver, DriverSpec, RowPicture, Standing, row_area};
use crate::tui::picture::blocks::{self, Blocks};
use crate::tui::picture::{sample, stream};
use crate::tui::theme::Depth;
use image::RgbImage;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::io::{self, Write};

/// The driver table's entry for quadrant characters.
pub const BLOCKS: DriverSpec = DriverSpec {
    name: "blocks",
    summary: "Quadrant characters, four pixels per cell",
    suits: |_, _, depth| depth == Depth::True,
    driver: |_, _| QUADRANTS,
};

/// The driver table's entry for half blocks.
pub const HALF: DriverSpec = DriverSpec {
    name: "half",
    summary: "Half blocks, for fonts without quadrants",
    suits: |_, _, depth| matches!(depth, Depth::Sixteen | Depth::Indexed),
    driver: |_, _| HALVES,
};

/// The driver table's entry for ASCII characters.
pub const LETTERS: DriverSpec = DriverSpec {
    name: "letters",
    summary: "ASCII characters",
    suits: |_, _, depth| depth == Depth::None,
    driver: |_, _| IN_LETTERS,
};

/// The driver that draws pictures with quadrant characters.
pub const QUADRANTS: &dyn Driver = &Cells(Blocks::Quadrant);
/// The driver that draws pictures as half blocks.
pub const HALVES: &dyn Driver = &Cells(Blocks::Half);
/// The driver that draws pictures as ASCII characters.
pub const IN_LETTERS: &dyn Driver = &Cells(Blocks::Letters);

/// Draws pictures as cells with this kind of character.
#[derive(Debug)]
struct Cells(Blocks);

impl Driver for Cells {
    fn name(&self) -> &'static str {
        match self.0 {
            Blocks::Quadrant => "blocks",
            Blocks::Half => "half blocks",
            Blocks::Letters => "letters",
        }
    }

    fn standing(&self) -> Standing {
        Standing::Cells(self.0)
    }

    fn stream_row(&self, pictures: &[RowPicture<'_>], depth: Depth) -> Vec<u8> {
        let mut buf = Buffer::empty(row_area(pictures));
        for RowPicture { image, rect, .. } in pictures {
            blocks::paint(&mut buf, *rect, image, self.0, depth);
        }
        stream::lines(&buf).into_bytes()
    }

    /// Prints half blocks in many colors with viuer, which does not query the terminal when printing half blocks.
    fn print(
        &self,
        out: &mut dyn Write,
        image: &RgbImage,
        depth: Depth,
        (rect, pixels): (Rect, (u32, u32)),
        id: u32,
    ) -> io::Result<()> {
        if self.0 == Blocks::Half && matches!(depth, Depth::True | Depth::Indexed) {
            let (columns, rows) = (u32::from(rect.width), u32::from(rect.height));
            return stream::half_blocks(sample::fitted(image, (columns, 2 * rows)), depth, rect);
        }
        out.write_all(&self.stream(image, depth, rect, pixels, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn a_stream_uses_only_the_terminals_colors() {
        let image = RgbImage::from_fn(8, 8, |x, y| Rgb([x as u8 * 36, y as u8 * 36, 90]));
        for driver in [QUADRANTS, HALVES] {
            let drawn = |depth| {
                let bytes = driver.stream(&image, depth, Rect::new(0, 0, 6, 3), (48, 48), 0);
                String::from_utf8(bytes).expect("cells are text")
            };
            let [none, sixteen, indexed, all] = [Depth::None, Depth::Sixteen, Depth::Indexed, Depth::True].map(drawn);
            assert!(!none.contains('\x1b') && none.lines().count() == 3, "{none:?}");
            assert!(sixteen.contains("\x1b[") && !sixteen.contains("8;2;") && !sixteen.contains("8;5;"), "{sixteen:?}");
            assert!(indexed.contains("38;5;") && !indexed.contains("8;2;"), "{indexed:?}");
            assert!(all.contains("38;2;") && all.lines().all(|line| line.ends_with("\x1b[0m")), "{all:?}");
        }
    }
}

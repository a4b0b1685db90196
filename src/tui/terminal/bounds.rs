//! Limits the sizes reported by a terminal, because they determine how much memory is allocated.

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use std::io::{self, Write};

/// Maximum number of columns and rows to draw.
pub const MOST: (u16, u16) = (640, 240);
/// Maximum plausible cell size in pixels.
const CELL: (u16, u16) = (128, 256);
/// Maximum side length in pixels of a picture sent to the terminal.
pub const PIXELS: u32 = 4096;

/// Number of columns and rows to draw in a terminal with this reported size.
pub fn drawn(columns: u16, rows: u16) -> (u16, u16) {
    (columns.clamp(1, MOST.0), rows.clamp(1, MOST.1))
}

/// Cell size in pixels; `None` if implausible.
pub fn cell(width: u16, height: u16) -> Option<(u16, u16)> {
    let inside = (1..=CELL.0).contains(&width) && (1..=CELL.1).contains(&height);
    inside.then_some((width, height))
}

/// A ratatui backend whose size is limited to [`MOST`].
#[derive(Debug)]
pub struct Bounded<B>(pub B);

impl<B: Backend> Backend for Bounded<B> {
    type Error = B::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> Result<(), B::Error> {
        self.0.draw(content)
    }

    fn append_lines(&mut self, n: u16) -> Result<(), B::Error> {
        self.0.append_lines(n)
    }

    fn hide_cursor(&mut self) -> Result<(), B::Error> {
        self.0.hide_cursor()
    }

    fn show_cursor(&mut self) -> Result<(), B::Error> {
        self.0.show_cursor()
    }

    fn get_cursor_position(&mut self) -> Result<Position, B::Error> {
        self.0.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), B::Error> {
        self.0.set_cursor_position(position)
    }

    fn clear(&mut self) -> Result<(), B::Error> {
        self.0.clear()
    }

    fn clear_region(&mut self, kind: ClearType) -> Result<(), B::Error> {
        self.0.clear_region(kind)
    }

    fn size(&self) -> Result<Size, B::Error> {
        self.0.size().map(|size| drawn(size.width, size.height).into())
    }

    fn window_size(&mut self) -> Result<WindowSize, B::Error> {
        self.0.window_size()
    }

    fn flush(&mut self) -> Result<(), B::Error> {
        self.0.flush()
    }
}

impl<B: Write> Write for Bounded<B> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::backend::TestBackend;

    #[test]
    fn implausible_terminal_sizes_are_clamped_and_cell_sizes_rejected() {
        assert_eq!(drawn(65535, 0), (640, 1));
        assert_eq!(drawn(140, 40), (140, 40));
        assert_eq!([cell(8, 16), cell(65535, 65535), cell(0, 16), cell(9, 257)], [Some((8, 16)), None, None, None]);
        let size = Bounded(TestBackend::new(2000, 20)).size().unwrap();
        assert_eq!((size.width, size.height), (640, 20));
    }
}

//! Pictures between lines of text, for commands that print and end: drawn as the app draws them.

use super::picture::cells::Blocks;
use super::picture::{Painter, fit, inline};
use super::theme::Depth;
use super::{Graphics, cell_size, probe};
use image::RgbImage;
use ratatui::layout::Rect;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};

/// How pictures go to stdout.
#[derive(Debug)]
pub struct Inline {
    painter: Painter,
    depth: Depth,
    cell: (u16, u16),
    /// Pictures so far.
    count: AtomicU32,
}

impl Inline {
    /// As wished for; the terminal is asked only where that leaves it open.
    pub fn new(wish: Graphics) -> Self {
        let var = |name: &str| std::env::var(name).ok();
        let (place, depth) = (probe::place(var), Depth::of(var));
        let asked = probe::depends_on_terminal(wish, depth);
        let caps = if asked { probe::ask(place) } else { probe::Caps::default() };
        let painter = probe::wished(wish, &caps, place, depth);
        Self { painter, depth, cell: cell_size(&caps), count: AtomicU32::new(0) }
    }

    /// Draws a picture in lines of its own on stdout, as large as fits into `columns` and `rows`.
    pub fn draw(&self, image: &RgbImage, columns: u16, rows: u16) -> io::Result<()> {
        let rect = fit(image.dimensions(), Rect::new(0, 0, columns, rows), self.cell);
        if self.painter == Painter::Cells(Blocks::Half) && matches!(self.depth, Depth::True | Depth::Indexed) {
            return inline::half_blocks(image, self.depth, rect);
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let mut out = io::stdout().lock();
        out.write_all(&inline::picture(image, self.painter, self.depth, rect, self.cell, number))?;
        out.flush()
    }
}

//! Pictures between lines of text, for commands that print and end: drawn as the app draws them.

use super::picture::{Painter, fit, inline};
use super::theme::Depth;
use super::{Graphics, cell_size, probe};
use image::RgbImage;
use ratatui::layout::Rect;
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

    /// The bytes that draw a picture in lines of their own, as large as fits into so many columns and rows; none where
    /// pictures are not drawn.
    pub fn draw(&self, image: &RgbImage, columns: u16, rows: u16) -> Vec<u8> {
        let rect = fit(image.dimensions(), Rect::new(0, 0, columns, rows), self.cell);
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        inline::picture(image, self.painter, self.depth, rect, self.cell, number)
    }
}

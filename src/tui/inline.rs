//! Draws pictures between lines of text, for commands that print and exit. Uses the app's drivers.

use super::picture::driver::{Driver, Graphics, RowPicture, Standing};
use super::picture::{self, fit};
use super::terminal::bounds::PIXELS;
use super::terminal::caps::{self, Caps};
use super::terminal::{probe, screen};
use super::theme::Depth;
use image::RgbImage;
use ratatui::layout::Rect;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};

/// Draws pictures on stdout, between lines of text.
#[derive(Debug)]
pub struct Inline {
    driver: &'static dyn Driver,
    depth: Depth,
    cell: (u16, u16),
    /// Number of pictures drawn so far.
    count: AtomicU32,
}

impl Inline {
    /// Selects the driver. Queries the terminal only if the choice depends on it.
    pub fn new(graphics: Graphics) -> Self {
        let var = |name: &str| std::env::var(name).ok();
        let (environment, depth) = (caps::environment(var), Depth::of(var));
        let asked = graphics.depends_on_terminal(depth);
        let caps = if asked { probe::ask(environment) } else { Caps::default() };
        let driver = graphics.driver(&caps, environment, depth);
        Self { driver, depth, cell: screen::cell_size(&caps), count: AtomicU32::new(0) }
    }

    /// Whether pictures are drawn at all.
    pub fn draws(&self) -> bool {
        self.driver.standing() != Standing::Nowhere
    }

    /// The number of columns that a picture covers if it is scaled to fit `columns` and `rows`.
    pub fn columns_of(&self, image: &RgbImage, columns: u16, rows: u16) -> u16 {
        fit(image.dimensions(), Rect::new(0, 0, columns, rows), self.cell).width
    }

    /// Draws pictures side by side on lines of their own on stdout. Each picture has the column at which it starts, and is scaled to
    /// fit `columns` and `rows`; the lower edges are on the same row.
    pub fn draw_row<'a>(&self, pictures: &[(u16, &'a RgbImage)], columns: u16, rows: u16) -> io::Result<()> {
        let side = |cells: u16, of: u16| (u32::from(cells) * u32::from(of)).min(PIXELS);
        let size = |image: &RgbImage| fit(image.dimensions(), Rect::new(0, 0, columns, rows), self.cell);
        let rects: Vec<_> = pictures.iter().map(|(x, image)| Rect { x: *x, y: 0, ..size(image) }).collect();
        let lowest = rects.iter().map(|rect| rect.height).max().unwrap_or(0);
        let row = |((_, image), rect): (&(u16, &'a RgbImage), Rect)| RowPicture {
            image,
            rect: Rect { y: lowest - rect.height, ..rect },
            pixels: (side(rect.width, self.cell.0), side(rect.height, self.cell.1)),
            id: picture::stream_id(self.count.fetch_add(1, Ordering::Relaxed)),
        };
        let row: Vec<_> = pictures.iter().zip(rects).map(row).collect();
        let mut out = io::stdout().lock();
        out.write_all(&self.driver.stream_row(&row, self.depth))?;
        out.flush()
    }

    /// Draws a picture on lines of its own on stdout, scaled to fit `columns` and `rows`.
    pub fn draw(&self, image: &RgbImage, columns: u16, rows: u16) -> io::Result<()> {
        let rect = fit(image.dimensions(), Rect::new(0, 0, columns, rows), self.cell);
        let rect = Rect::new(0, 0, rect.width, rect.height);
        let side = |cells: u16, of: u16| (u32::from(cells) * u32::from(of)).min(PIXELS);
        let pixels = (side(rect.width, self.cell.0), side(rect.height, self.cell.1));
        let id = picture::stream_id(self.count.fetch_add(1, Ordering::Relaxed));
        let mut out = io::stdout().lock();
        self.driver.print(&mut out, image, self.depth, (rect, pixels), id)?;
        out.flush()
    }
}

//! Encodes pictures for the terminal on a separate thread. Only the newest job of each slot runs; older ones are skipped.

use super::driver::{Driver, PicturePart};
use super::fit::fit;
use crate::render::{self, Body, Figure, PointPlot, Points, Range};
use crate::tui::state::{Lens, ScatterView};
use crate::tui::terminal::bounds::PIXELS;
use image::{Rgb, RgbImage};
use ratatui::layout::Rect;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Identifies a picture's content: a figure seen through a lens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PictureKey {
    /// ID of the figure, which changes with its values.
    pub id: u64,
    /// The lens through which the figure is seen.
    pub lens: Lens,
    /// Hash of how a scatter plot is drawn; 0 for other figures.
    pub plot: u64,
}

/// A request to encode a picture.
#[derive(Clone, Debug)]
pub struct EncodeJob {
    /// Index of the picture's slot.
    pub slot: usize,
    /// Identifies the picture's content.
    pub key: PictureKey,
    /// The figure to draw.
    pub figure: Figure,
    /// Color range of the figure, if it has one.
    pub range: Option<Range>,
    /// How the points of a scatter plot are drawn; `None` for other figures.
    pub plot: Option<PointPlot>,
    /// Columns and rows of the picture's area.
    pub area: (u16, u16),
    /// Width and height of a cell in pixels.
    pub cell: (u16, u16),
    /// The driver for which the picture is encoded.
    pub driver: &'static dyn Driver,
    /// Whether the picture is drawn without colors.
    pub colorless: bool,
}

/// A picture encoded for the terminal.
#[derive(Clone, Debug)]
pub struct EncodedPicture {
    /// Identifies the picture's content.
    pub key: PictureKey,
    /// Columns and rows of the picture's area.
    pub area: (u16, u16),
    /// The picture before resizing.
    pub image: Arc<RgbImage>,
    /// Whether the picture is drawn by the signs of its values, because it is a signed map and there are no colors.
    pub signed: bool,
    /// The encoded parts; `None` if pictures are drawn as cells.
    pub sent: Option<Arc<Vec<PicturePart>>>,
}

/// Starts the encoding thread, which ends when the returned sender is dropped. `done` receives each picture and the index of its slot.
pub fn start(done: impl Fn(usize, EncodedPicture) + Send + 'static) -> std::io::Result<Sender<EncodeJob>> {
    let (sender, jobs) = channel();
    std::thread::Builder::new().name("pictures".into()).spawn(move || work(&jobs, done))?;
    Ok(sender)
}

fn work(jobs: &Receiver<EncodeJob>, done: impl Fn(usize, EncodedPicture)) {
    let mut waiting = BTreeMap::new();
    while let Ok(job) = jobs.recv() {
        waiting.insert(job.slot, job);
        waiting.extend(jobs.try_iter().map(|job| (job.slot, job)));
        while let Some((slot, job)) = waiting.pop_first() {
            if let Ok(Some(painted)) = catch_unwind(AssertUnwindSafe(|| paint(&job))) {
                done(slot, painted);
            }
            waiting.extend(jobs.try_iter().map(|job| (job.slot, job)));
        }
    }
}

/// Paints and encodes the picture of a job; `None` if the figure cannot be drawn as a picture.
pub fn paint(job: &EncodeJob) -> Option<EncodedPicture> {
    let lens = &job.key.lens;
    if let (Some(plot), Body::Scatter { points }) = (&job.plot, &job.figure.body) {
        return Some(plotted(job, plot, points));
    }
    let signed = job.colorless && job.range.is_some_and(|range| range.symmetric);
    let painted = match &job.figure.body {
        // Colors of a picture below the map would be taken for signs.
        Body::Map { over: Some(_), .. } if signed => render::paint_in(&job.figure.bare(), job.range, lens.overlay),
        _ => render::paint_in(&job.figure, job.range, lens.overlay),
    };
    let image = Arc::new(lens.cut(painted?));
    let pixels = pixels(image.dimensions(), job.area, job.cell);
    let sized = job.driver.sized(&image, pixels).map(|sized| job.driver.encode(&marked(sized, lens), job.cell));
    Some(EncodedPicture { key: job.key, area: job.area, image, signed, sent: sized.map(Arc::new) })
}

/// Draws and encodes a scatter plot in the pixels of its area.
fn plotted(job: &EncodeJob, plot: &PointPlot, points: &Points) -> EncodedPicture {
    let (view, lens) = (ScatterView::new(points), &job.key.lens);
    let size = |cells: u16, of: u16| (u32::from(cells) * u32::from(of)).clamp(1, PIXELS);
    let plot = PointPlot {
        size: (size(job.area.0, job.cell.0), size(job.area.1, job.cell.1)),
        letter: (job.cell.0.into(), job.cell.1.into()),
        lasso: plot.lasso.iter().map(|place| lens.in_view(*place)).collect(),
        near: lens.mark.and_then(|mark| view.nearest(mark)),
        ..plot.clone()
    };
    let image = Arc::new(plot.paint(points, |i| view.place_in(i, lens)));
    let sized = job.driver.sized(&image, image.dimensions()).map(|sized| job.driver.encode(&sized, job.cell));
    EncodedPicture { key: job.key, area: job.area, image, signed: false, sent: sized.map(Arc::new) }
}

/// Draws a ring around the lens's mark, dark and light so that it is visible on any background.
fn marked(mut image: RgbImage, lens: &Lens) -> RgbImage {
    let Some((x, y)) = lens.mark.and_then(|mark| lens.seen(mark)) else { return image };
    let (width, height) = image.dimensions();
    let middle = (x * width as f32, y * height as f32);
    let unit = (width.max(height) as f32 / 200.0).max(1.0);
    let around = (8.0 * unit) as i64;
    for dy in -around..=around {
        for dx in -around..=around {
            let (px, py) = (middle.0 as i64 + dx, middle.1 as i64 + dy);
            let inside = (0..i64::from(width)).contains(&px) && (0..i64::from(height)).contains(&py);
            let distance = ((dx * dx + dy * dy) as f32).sqrt() / unit;
            let color = match distance {
                d if (4.0..5.5).contains(&d) => Rgb([255; 3]),
                d if (5.5..7.0).contains(&d) => Rgb([0; 3]),
                _ => continue,
            };
            if inside {
                image.put_pixel(px as u32, py as u32, color);
            }
        }
    }
    image
}

/// Pixel size of a picture fitted to an area of `columns` and `rows`, at most [`PIXELS`] per side.
fn pixels(size: (u32, u32), (columns, rows): (u16, u16), cell: (u16, u16)) -> (u32, u32) {
    let place = fit(size, Rect::new(0, 0, columns, rows), cell);
    let side = |cells: u16, of: u16| (u32::from(cells) * u32::from(of)).min(PIXELS);
    (side(place.width, cell.0), side(place.height, cell.1))
}

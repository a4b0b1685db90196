//! Making pictures ready for the terminal, on a thread of its own: the newest one of every place wins.

use super::cells::Blocks;
use super::sample::Samples;
use super::{Key, Painter, fit, kitty, sixel};
use crate::render::{self, Figure};
use crate::tui::bounds::PIXELS;
use crate::tui::lens::Lens;
use image::{Rgb, RgbImage};
use ratatui::layout::Rect;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A picture to be made.
#[derive(Clone, Debug)]
pub struct Job {
    /// The place it is for.
    pub slot: usize,
    /// What it is.
    pub key: Key,
    /// What it shows.
    pub figure: Figure,
    /// Columns and rows that it may take.
    pub area: (u16, u16),
    /// Width and height of a cell in pixels.
    pub cell: (u16, u16),
    /// How it is drawn.
    pub painter: Painter,
}

/// A picture that is ready.
#[derive(Clone, Debug)]
pub struct Painted {
    /// What it is.
    pub key: Key,
    /// Columns and rows that it may take.
    pub area: (u16, u16),
    /// Its pixels.
    pub image: Arc<RgbImage>,
    /// What is sent to the terminal, where pictures are no cells.
    pub sent: Option<Arc<Sent>>,
}

/// What is sent to the terminal.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    /// To kitty or iTerm2.
    Png(Vec<u8>),
    /// Sixels: how many rows of cells below the top, and the bytes.
    Strips(Vec<(u16, Vec<u8>)>),
}

/// Pictures smaller than this are enlarged before they are sent, so that their pixels stay sharp.
const SHARP: u32 = 256;
/// Pictures of more pixels than this are sent as lightly as can be.
const LARGE: u32 = 128 * 128;
/// Rows of cells of a strip of sixels.
const ROWS: u16 = 1;

/// Starts the thread. It ends when the sender goes; `done` gets every picture with its place.
pub fn start(done: impl Fn(usize, Painted) + Send + 'static) -> std::io::Result<Sender<Job>> {
    let (sender, jobs) = channel();
    std::thread::Builder::new().name("pictures".into()).spawn(move || work(&jobs, done))?;
    Ok(sender)
}

fn work(jobs: &Receiver<Job>, done: impl Fn(usize, Painted)) {
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

/// Makes a picture ready; none for a figure that is no picture.
pub fn paint(job: &Job) -> Option<Painted> {
    let lens = &job.key.lens;
    let image = Arc::new(lens.cut(render::paint(&job.figure, lens.tint)?));
    let pixels = pixels(image.dimensions(), job.area, job.cell);
    let sent = match job.painter {
        Painter::Kitty(..) | Painter::Iterm => Some(Sent::Png(kitty::png(&light(marked(sized(&image, pixels), lens))))),
        Painter::Sixel => Some(Sent::Strips(strips(&marked(fitted(&image, pixels), lens), job.cell.1))),
        Painter::Cells(Blocks::Quadrant | Blocks::Half | Blocks::Letters) | Painter::Nothing => None,
    };
    Some(Painted { key: job.key, area: job.area, image, sent: sent.map(Arc::new) })
}

/// Sixels of a row of cells each, so that keys can be echoed between them.
fn strips(image: &RgbImage, cell: u16) -> Vec<(u16, Vec<u8>)> {
    let (width, height) = image.dimensions();
    let step = u32::from(ROWS * cell.max(1));
    let strip = |top: u32| {
        let part = image::imageops::crop_imm(image, 0, top, width, step.min(height - top)).to_image();
        ((top / u32::from(cell.max(1))) as u16, sixel::encode(&part))
    };
    (0..height).step_by(step as usize).map(strip).collect()
}

/// With a ring around the place that is read: dark and light, so that it is seen on everything.
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

/// The pixels that a picture of this size takes in an area of cells, as many as are ever sent.
fn pixels(size: (u32, u32), (columns, rows): (u16, u16), cell: (u16, u16)) -> (u32, u32) {
    let place = fit(size, Rect::new(0, 0, columns, rows), cell);
    let side = |cells: u16, of: u16| (u32::from(cells) * u32::from(of)).min(PIXELS);
    (side(place.width, cell.0), side(place.height, cell.1))
}

/// No larger than its place on the screen; a small one enlarged, so that its pixels stay sharp.
pub(super) fn sized(image: &RgbImage, pixels: (u32, u32)) -> RgbImage {
    let (width, height) = image.dimensions();
    if width > pixels.0 && height > pixels.1 {
        return fitted(image, pixels);
    }
    let times = (SHARP / width.max(height).max(1)).max(1);
    Samples::new(image, (width * times) as usize, (height * times) as usize).image()
}

/// A large picture without the lowest bit of its colours, which nobody sees: with it, base64 would cost a third more than PNG.
pub(super) fn light(mut image: RgbImage) -> RgbImage {
    if image.width() * image.height() > LARGE {
        image.iter_mut().for_each(|value| *value &= !1);
    }
    image
}

/// At the pixels that its cells have.
pub(super) fn fitted(image: &RgbImage, pixels: (u32, u32)) -> RgbImage {
    Samples::new(image, pixels.0 as usize, pixels.1 as usize).image()
}

//! Draws tiles in a grid, with optional captions and frames.

use super::bitmap_font::{LETTER, fitting, write};
use super::colormap::Colormap;
use super::figure::{Array, Scale, grid};
use super::raster::{enlarged, map, rgb};
use super::scale::Range;
use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

/// Color of the gaps between tiles.
pub(super) const GAP: Rgb<u8> = Rgb([32, 32, 32]);
/// Color of the frame around the marked tile.
pub(super) const MARK: Rgb<u8> = Rgb([255, 210, 0]);
/// Color of captions.
const LETTERS: Rgb<u8> = Rgb([230, 230, 230]);
/// Small grids are enlarged to at most this many pixels on the longer side.
const LEAST: u32 = 320;
/// Height of a line of text in pixels.
const LINE: u32 = LETTER + 2;
/// Minimum length of the longer side of a captioned tile, in pixels.
const CAPTIONED: usize = 96;

/// Tiles to draw in a grid, scaled to the common `range` if there is one, otherwise separately.
pub(super) struct TileGrid<'a> {
    pub tiles: &'a Array,
    pub scale: Scale,
    pub range: Option<Range>,
    pub columns: usize,
    /// Caption of each tile; empty for no captions.
    pub captions: &'a [String],
    /// Number of tiles to draw, starting with the first.
    pub shown: usize,
    /// Color of the frame around each tile; empty for no frames.
    pub frames: &'a [[u8; 3]],
}

/// The layout of a grid, with all lengths in pixels.
struct Plan {
    count: usize,
    /// Width and height of a tile.
    size: (usize, usize),
    /// Enlargement factor of a tile.
    times: usize,
    gap: usize,
    columns: usize,
    rows: usize,
    /// Height reserved for a caption.
    below: usize,
    /// Width of a frame.
    frame: usize,
}

impl Plan {
    fn of(drawn: &TileGrid) -> Option<Self> {
        let TileGrid { tiles, columns, captions, shown, frames, .. } = *drawn;
        let [count, .., h, w] = tiles.shape[..] else { return None };
        let count = count.min(shown);
        // Characters have a fixed size, so captioned tiles are enlarged before drawing.
        let times = if captions.is_empty() { 1 } else { CAPTIONED.div_ceil(h.max(w).max(1)) };
        let size = (w * times, h * times);
        let lines = captions.iter().map(|c| c.lines().count()).max().unwrap_or(0);
        let side = size.0.max(size.1);
        // Leaves room for colored frames, which must not touch.
        let gap = if frames.is_empty() { 1 + side / 24 } else { 2 + side / 6 };
        let frame = if frames.is_empty() { gap } else { gap / 2 };
        let below = if lines > 0 { lines * LINE as usize + gap } else { 0 };
        let (columns, rows) = grid(count, columns);
        Some(Self { count, size, times, gap, columns, rows, below, frame })
    }
}

impl TileGrid<'_> {
    /// The index of the tile at a position in the grid, and the position within the tile. Coordinates are fractions in `[0, 1)`
    /// of width and height. `None` between tiles.
    pub fn tile_at(&self, (x, y): (f32, f32)) -> Option<(usize, (f32, f32))> {
        let plan = Plan::of(self)?;
        let ((w, h), gap) = (plan.size, plan.gap);
        let along = |part: f32, count: usize, step: usize| {
            let pixel = part * (count * step + gap) as f32 - gap as f32;
            (pixel >= 0.0).then(|| ((pixel / step as f32) as usize, pixel % step as f32))
        };
        let (column, left) = along(x, plan.columns, w + gap)?;
        let (row, top) = along(y, plan.rows, h + plan.below + gap)?;
        let (place, tile) = ((left / w as f32, top / h as f32), row * plan.columns + column);
        (place.0 < 1.0 && place.1 < 1.0 && tile < plan.count).then_some((tile, place))
    }

    pub fn paint(&self, marked: Option<usize>, colors: Colormap) -> RgbImage {
        let Some(Plan { count, size: (w, h), times, gap, columns, rows, below, frame }) = Plan::of(self) else {
            return RgbImage::new(1, 1);
        };
        let size = |tiles: usize, side: usize| (tiles * (side + gap) + gap) as u32;
        let mut image = RgbImage::from_pixel(size(columns, w), size(rows, h + below), GAP);
        let place =
            |i: usize| ((gap + (i % columns) * (w + gap)) as i64, (gap + (i / columns) * (h + below + gap)) as i64);
        let frames = self.frames.iter().map(|&color| Rgb(color)).enumerate();
        for (i, color) in frames.chain(marked.map(|i| (i, MARK))).filter(|(i, _)| *i < count) {
            let (x, y) = place(i);
            let around = RgbImage::from_pixel((w + 2 * frame) as u32, (h + 2 * frame) as u32, color);
            image::imageops::replace(&mut image, &around, x - frame as i64, y - frame as i64);
        }
        let numbers = (self.tiles.data.len() / self.tiles.shape[0].max(1)).max(1);
        for (i, tile) in self.tiles.data.chunks_exact(numbers).take(count).enumerate() {
            let (x, y) = place(i);
            let tile = self.tile(tile, (h / times, w / times), colors);
            image::imageops::replace(&mut image, &resize(&tile, w as u32, h as u32, FilterType::Nearest), x, y);
            let caption = self.captions.get(i).map_or("", String::as_str);
            for (row, line) in (0i64..).zip(caption.lines()) {
                let line = fitting(line, w / LETTER as usize);
                write(&mut image, (x, y + (h + gap) as i64 + 1 + row * i64::from(LINE)), &line, LETTERS);
            }
        }
        enlarged(image, LEAST)
    }

    /// Draws one tile. Tiles with channels are scaled from the color range to `[0, 1]` and drawn as pictures, others with the
    /// colormap.
    fn tile(&self, values: &[f32], (h, w): (usize, usize), colors: Colormap) -> RgbImage {
        let range = self.range.unwrap_or_else(|| Range::of(values, self.scale));
        if self.tiles.shape.len() == 4 {
            let data: Vec<f32> = values.iter().map(|&v| range.place(v)).collect();
            return rgb(&Array { shape: vec![self.tiles.shape[1], h, w], data: data.into(), exact: None })
                .unwrap_or_default();
        }
        let colors = if range.symmetric { Colormap::Coolwarm } else { colors };
        map(&Array { shape: vec![h, w], data: values.into(), exact: None }, range, colors)
    }
}

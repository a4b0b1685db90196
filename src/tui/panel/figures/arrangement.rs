//! Arranges figures in the panel: pictures in a grid, charts and texts below.

use super::{caption, table};
use crate::render::{self, Body, Figure};
use crate::tui::state::VisibleFigure;
use ratatui::layout::Rect;

/// Where each figure is drawn.
pub struct Arrangement<'a> {
    /// Pictures with their tiles in the grid.
    pub pictures: Vec<(Rect, &'a VisibleFigure)>,
    /// Charts and texts with their areas.
    pub others: Vec<(Rect, &'a VisibleFigure)>,
}

/// Which pictures are large, and in how many columns they are arranged.
#[derive(Clone, Copy)]
pub enum Sizes {
    /// The first picture is as large as possible.
    FirstLarge,
    /// All pictures are equally large.
    Equal,
    /// All figures, charts and texts too, are equally large, in this number of columns unless these would be too narrow.
    Columns(usize),
}

/// Arranges figures in `area`. `cell` is the cell size in pixels.
pub fn arrange(figures: &[VisibleFigure], area: Rect, cell: (u16, u16), sizes: Sizes) -> Arrangement<'_> {
    if let Sizes::Columns(columns) = sizes {
        let shapes: Vec<f64> = figures.iter().map(|f| aspect(&f.figure)).collect();
        let narrow = usize::from(area.width) < columns * NARROWEST;
        let tiles = if narrow { grid(area, &shapes, cell) } else { columned(area, figures.len(), columns) };
        let tiles = tiles.into_iter().zip(figures);
        let (pictures, others) = tiles.partition(|(_, f)| is_picture(&f.figure));
        return Arrangement { pictures, others };
    }
    let (pictures, others): (Vec<_>, Vec<_>) = figures.iter().partition(|f| is_picture(&f.figure));
    let (above, below) = shares(area, &pictures, &others);
    let shapes: Vec<f64> = pictures.iter().map(|f| aspect(&f.figure)).collect();
    let mut x = below.x;
    let mut beside = |width: u16| {
        x += width;
        Rect { x: x - width, width: width.saturating_sub(1), ..below }
    };
    let areas: Vec<_> = widths(below.width, &others).into_iter().map(&mut beside).collect();
    Arrangement {
        pictures: match sizes {
            Sizes::Equal => grid(above, &shapes, cell),
            _ => tiles(above, &shapes, cell),
        }
        .into_iter()
        .zip(pictures)
        .collect(),
        others: areas.into_iter().zip(others).collect(),
    }
}

/// The part of a tile for the picture, above its caption.
pub fn picture_area(tile: Rect, figure: &Figure) -> Rect {
    let below = caption::height(tile) + caption::note_lines(figure, tile).len() as u16;
    Rect { height: tile.height - below, ..tile }
}

/// Width of each chart or text in columns. Each gets the width it needs if all fit; otherwise, the wide ones share the remaining
/// width.
fn widths(room: u16, others: &[&VisibleFigure]) -> Vec<u16> {
    let wanted = |e: &VisibleFigure| match &e.figure.body {
        Body::Table { columns, rows } => table::widths(columns, rows).iter().sum::<usize>(),
        Body::Text { text } => text.lines().map(|line| line.chars().count()).max().unwrap_or(0) + 1,
        _ => usize::from(room),
    };
    let wanted = |e: &VisibleFigure| wanted(e).max(e.figure.words().chars().count() + 1).min(usize::from(room)) as u16;
    let mut order: Vec<(u16, usize)> = others.iter().enumerate().map(|(at, e)| (wanted(e), at)).collect();
    order.sort_unstable();
    let (mut widths, mut left) = (vec![0; others.len()], room);
    for (served, (wanted, at)) in order.into_iter().enumerate() {
        widths[at] = wanted.max(12).min(left / (others.len() - served) as u16);
        left -= widths[at];
    }
    widths
}

fn is_picture(figure: &Figure) -> bool {
    matches!(figure.body, Body::Map { .. } | Body::Image { .. } | Body::Montage { .. })
}

/// Splits an area: pictures above, charts and texts below, using only as many rows as needed. If there are
/// pictures, an area of fewer than 16 rows is used only for them.
fn shares(area: Rect, pictures: &[&VisibleFigure], others: &[&VisibleFigure]) -> (Rect, Rect) {
    let rows = |figure: &Figure| match &figure.body {
        Body::Bars { bars } => bars.len(),
        Body::Table { rows, .. } => rows.len() + 1,
        Body::Text { text } => text.lines().count(),
        _ => 10,
    };
    let wanted = others.iter().map(|e| rows(&e.figure) as u16 + 1).max().unwrap_or(0);
    let below = match (pictures.is_empty(), area.height) {
        (true, height) => height,
        (false, 0..16) => 0,
        (false, height) => wanted.min(height / 3),
    };
    let above = Rect { height: area.height - below, ..area };
    (above, Rect { y: above.bottom(), height: below, ..area })
}

/// Aspect ratio of a picture, width over height.
fn aspect(figure: &Figure) -> f64 {
    let of = render::aspect;
    match &figure.body {
        Body::Map { over: Some(over), .. } => of(&over.shape),
        Body::Map { values, .. } => of(&values.shape),
        Body::Image { pixels } => of(&pixels.shape),
        Body::Montage { tiles, columns, shown, .. } => {
            let (columns, rows) = render::grid(*shown, *columns);
            of(&tiles.shape) * columns as f64 / rows.max(1) as f64
        }
        _ => 1.0,
    }
}

/// Width below which a column of a fixed number of columns is too narrow.
const NARROWEST: usize = 12;

/// The weight of the size of the smallest picture beside the main one, relative to the size of the main one.
const BESIDE: f64 = 0.4;

/// Tiles of the pictures: the first as large as possible, and the others beside or below it. `shapes` are the aspect ratios of the
/// pictures.
fn tiles(area: Rect, shapes: &[f64], cell: (u16, u16)) -> Vec<Rect> {
    let grid = grid(area, shapes, cell);
    let [main, rest @ ..] = shapes else { return Vec::new() };
    if rest.is_empty() {
        return grid;
    }
    let split = |main: Rect, strip: Rect| -> Vec<Rect> {
        [Rect { width: main.width.saturating_sub(1), ..main }]
            .into_iter()
            .chain(self::grid(strip, rest, cell))
            .collect()
    };
    let beside = (12..area.width.saturating_sub(12)).map(|width| {
        let left = Rect { width: area.width - width, ..area };
        split(left, Rect { x: left.right(), width, ..area })
    });
    let below = (6..area.height.saturating_sub(6)).map(|height| {
        let above = Rect { height: area.height - height, ..area };
        split(above, Rect { y: above.bottom(), height, ..area })
    });
    let value = |tiles: &Vec<Rect>| {
        let sizes = tiles.iter().zip(shapes).map(|(tile, shape)| size(*tile, *shape, cell));
        let smallest = sizes.clone().skip(1).fold(f64::MAX, f64::min);
        size(tiles[0], *main, cell) + BESIDE * smallest
    };
    beside.chain(below).chain([grid]).max_by(|a, b| value(a).total_cmp(&value(b))).unwrap_or_default()
}

/// The square root of a picture's area in pixels in a tile, below which there are two rows of captions.
fn size(tile: Rect, shape: f64, cell: (u16, u16)) -> f64 {
    let width = f64::from(tile.width) * f64::from(cell.0);
    let height = f64::from(tile.height.saturating_sub(2)) * f64::from(cell.1);
    height.min(width / shape) * shape.sqrt()
}

/// Tiles of the grid that maximizes the size of the smallest picture. `shapes` are the aspect ratios of the pictures.
fn grid(area: Rect, shapes: &[f64], cell: (u16, u16)) -> Vec<Rect> {
    let count = shapes.len() as u16;
    if count == 0 || area.is_empty() {
        return Vec::new();
    }
    let tile = |columns: u16| Rect::new(0, 0, area.width / columns, area.height / count.div_ceil(columns));
    let smallest = |columns: u16| shapes.iter().map(|shape| size(tile(columns), *shape, cell)).fold(f64::MAX, f64::min);
    let columns = (1..=count).max_by(|a, b| smallest(*a).total_cmp(&smallest(*b))).unwrap_or(1);
    columned(area, shapes.len(), usize::from(columns))
}

/// Tiles of equal size in `columns` columns, row by row.
fn columned(area: Rect, count: usize, columns: usize) -> Vec<Rect> {
    let columns = columns.clamp(1, usize::from(u16::MAX)) as u16;
    let rows = (count as u16).div_ceil(columns).max(1);
    let (width, height) = (area.width / columns, area.height / rows);
    let at = |i: u16| Rect::new(area.x + i % columns * width, area.y + i / columns * height, width, height);
    let gap = u16::from(columns > 1);
    (0..count as u16).map(at).map(|tile| Rect { width: tile.width.saturating_sub(gap), ..tile }).collect()
}

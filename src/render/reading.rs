//! Reads the values of a figure at one position.

use super::figure::{Array, Body, Figure};
use super::number::brief;
use super::quantity::Unit;
use super::tile_grid::TileGrid;

/// The values read from a figure at one position.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Zero-based column and row of the value, at the resolution of the figure's array.
    pub at: (usize, usize),
    /// Zero-based index of the tile, if the figure is a montage.
    pub tile: Option<usize>,
    /// One raw value per channel. A heatmap has a single channel.
    pub values: Vec<f32>,
    /// Unit in which the values are shown, if the figure has one.
    pub unit: Option<Unit>,
}

/// Reads the values of a figure at a position, given as fractions in `[0, 1)` of its width and height. `None` between the tiles
/// of a montage and for figures that are not pictures.
pub fn read(figure: &Figure, place: (f32, f32)) -> Option<Reading> {
    let reading = match &figure.body {
        Body::Map { values, .. } => pick(&values.plane(figure.quantity.channels), None, place),
        Body::Image { pixels } => pick(pixels, None, place),
        Body::Montage { tiles, scale, columns, captions, shown, frames, .. } => {
            let grid =
                TileGrid { tiles, scale: *scale, range: None, columns: *columns, captions, shown: *shown, frames };
            let (tile, place) = grid.tile_at(place)?;
            pick(tiles, Some(tile), place)
        }
        _ => None,
    };
    Some(Reading { unit: figure.quantity.unit.clone(), ..reading? })
}

/// The index of the cell at a position, given as a fraction in `[0, 1)`, of a side that is divided into `count` cells.
pub fn cell(part: f32, count: usize) -> usize {
    ((part * count as f32) as usize).min(count.saturating_sub(1))
}

fn pick(array: &Array, tile: Option<usize>, (x, y): (f32, f32)) -> Option<Reading> {
    let [.., h, w] = array.shape[..] else { return None };
    let at = (cell(x, w), cell(y, h));
    let size = match tile {
        Some(_) => array.shape[1..].iter().product(),
        None => array.data.len(),
    };
    let values = array.data.chunks_exact(size.max(1)).nth(tile.unwrap_or(0))?;
    let values = values.chunks_exact((h * w).max(1)).map(|channel| channel[at.1 * w + at.0]).collect();
    Some(Reading { at, tile, values, unit: None })
}

impl Reading {
    /// The values, at most four, in the unit of the figure.
    pub fn numbers(&self) -> String {
        let values = &self.values[..self.values.len().min(4)];
        match &self.unit {
            Some(unit) => unit.texts(values),
            None => values.iter().map(|v| brief(*v)).collect::<Vec<_>>().join(" "),
        }
    }
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(tile) = self.tile {
            write!(f, "{tile}: ")?;
        }
        write!(f, "{},{} = {}", self.at.0, self.at.1, self.numbers())
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::{Cells, Scale};
    use super::super::quantity::Channels;
    use super::*;

    #[test]
    fn a_map_is_read_at_its_own_resolution() {
        let values = Array::new(vec![1, 2, 2], vec![0.0, 0.25, 0.5, 0.75]).unwrap();
        let figure = Figure::new(
            "m",
            Body::Map { values, scale: Scale::Range, over: None, note: String::new(), cells: Cells::default() },
        );
        let reading = read(&figure, (0.9, 0.4)).unwrap();
        assert_eq!((reading.at, reading.values[..].to_vec()), ((1, 0), vec![0.25]));
        assert_eq!(read(&figure, (1.0, 1.0)).unwrap().to_string(), "1,1 = 0.750");
    }

    #[test]
    fn values_are_read_in_the_unit_and_the_reduction_of_the_figure() {
        let values = Array::new(vec![1, 3, 1, 1], [2.0, -8.0, 4.0].map(|v| v / 255.0).to_vec()).unwrap();
        let body = Body::Map { values, scale: Scale::Range, over: None, note: String::new(), cells: Cells::default() };
        let mut figure = Figure::new("m", body);
        figure.quantity.unit = Some(Unit::new("1/255"));
        let read = |figure: &Figure| read(figure, (0.0, 0.0)).unwrap().to_string();
        assert_eq!(read(&figure), "0,0 = -2/255");
        figure.quantity.channels = Channels::Largest;
        assert_eq!(read(&figure), "0,0 = -8/255");
        let pixels = Array::new(vec![3, 1, 1], [2.0, -8.0, 4.0].map(|v| v / 255.0).to_vec()).unwrap();
        figure.body = Body::Image { pixels };
        assert_eq!(read(&figure), "0,0 = 2 -8 4 /255");
    }

    #[test]
    fn every_channel_of_a_picture_is_read() {
        let pixels = Array::new(vec![3, 1, 2], vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).unwrap();
        let figure = Figure::new("p", Body::Image { pixels });
        assert_eq!(read(&figure, (0.5, 0.0)).unwrap().values, [0.2, 0.4, 0.6]);
    }

    #[test]
    fn a_montage_is_read_within_tiles_and_not_between_them() {
        let tiles = Array::new(vec![4, 200, 200], (0..4).flat_map(|t| vec![t as f32; 40_000]).collect::<Vec<_>>());
        let body = Body::Montage {
            tiles: tiles.unwrap(),
            scale: Scale::Range,
            each: false,
            columns: 0,
            marked: None,
            captions: vec![],
            shown: 4,
            of: 4,
            frames: vec![],
            cells: Cells::default(),
        };
        let figure = Figure::new("wall", body);
        let reading = read(&figure, (0.75, 0.25)).unwrap();
        assert_eq!((reading.tile, &reading.values[..]), (Some(1), &[1.0][..]));
        assert_eq!(read(&figure, (0.5, 0.25)), None);
    }
}

//! Finds what the cell at a position of a figure stands for.

use super::figure::{Body, Cells, Figure};
use super::reading::{cell, read};

impl Figure {
    /// What the figure's cells stand for, and the index of the cell at a position, given as fractions in `[0, 1)` of the figure's width and
    /// height. `None` between tiles, and for figures without cells.
    pub fn cell_at(&self, position: (f32, f32)) -> Option<(&Cells, usize)> {
        match &self.body {
            Body::Montage { cells, .. } => Some((cells, read(self, position)?.tile?)),
            Body::Map { cells, .. } if !cells.grid.contains(&0) => {
                let [rows, columns] = cells.grid;
                Some((cells, cell(position.1, rows) * columns + cell(position.0, columns)))
            }
            _ => None,
        }
    }

    /// The unit of the network shown at a position; see [`cell_at`](Self::cell_at).
    pub fn unit_at(&self, position: (f32, f32)) -> Option<&str> {
        let (cells, index) = self.cell_at(position)?;
        cells.units.get(index).map(String::as_str).filter(|unit| !unit.is_empty())
    }

    /// The parameter that is set by choosing the cell at a position, and its value; see [`cell_at`](Self::cell_at).
    pub fn choice_at(&self, position: (f32, f32)) -> Option<(&str, &str)> {
        let (cells, index) = self.cell_at(position)?;
        Some((cells.parameter.as_str(), cells.values.get(index)?.as_str()))
    }
}

//! Regions of a picture: a box, or a mask from a file.

use super::subject::Subject;
use crate::model::target::bright_pixels;
use crate::render::Array;
use crate::script::api::options::CallOptions;
use anyhow::{Result, bail, ensure};

/// A region of the network's input.
pub(super) struct Region {
    /// What the region is called in messages.
    pub name: String,
    /// Height and width of the input in pixels.
    size: [usize; 2],
    /// Whether each pixel is in the region.
    inside: Vec<bool>,
}

impl Region {
    /// Reads the option `key`: `[x0, y0, x1, y1]` in pixels of the network's input, end exclusive, or the file of a mask whose bright pixels
    /// are the region.
    pub fn of(subject: &Subject, options: &CallOptions, key: &str) -> Result<Self> {
        let [.., height, width] = *subject.session.input().dims() else { bail!("the input is not a picture") };
        let size = [height, width];
        match options.raw(key) {
            Some(value) if value.is_string() => {
                let file = options.one_text(key)?;
                let inside = bright_pixels(&subject.session.model().card, &file, size)?;
                Ok(Self { name: file, size, inside })
            }
            Some(_) => {
                let corners = options.sizes(key)?;
                let [x0, y0, x1, y1] = corners[..] else {
                    bail!("`{key}` must be a box [x0, y0, x1, y1] or the file of a mask")
                };
                ensure!(
                    x0 < x1 && y0 < y1 && x1 <= width && y1 <= height,
                    "the box [{x0}, {y0}, {x1}, {y1}] is empty or not within the input of {width} x {height} pixels"
                );
                let inside =
                    (0..height * width).map(|i| (x0..x1).contains(&(i % width)) && (y0..y1).contains(&(i / width)));
                Ok(Self { name: format!("[{x0}, {y0}, {x1}, {y1}]"), size, inside: inside.collect() })
            }
            None => bail!("it needs `{key}`: a box [x0, y0, x1, y1] in pixels of the input, or the file of a mask"),
        }
    }

    /// Calls `each` for every pixel of the input, with the value of the map's cell there and whether the pixel is inside.
    pub fn pixels(&self, map: &Array, mut each: impl FnMut(f64, bool)) {
        let [height, width] = self.size;
        let (rows, columns) = (map.shape[0], map.shape[1]);
        for (pixel, inside) in self.inside.iter().enumerate() {
            let (y, x) = (pixel / width * rows / height, pixel % width * columns / width);
            each(f64::from(map.data[y * columns + x]), *inside);
        }
    }
}

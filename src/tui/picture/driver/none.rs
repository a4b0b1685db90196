//! A driver that draws no pictures.

use super::spec::{Driver, DriverSpec, RowPicture, Standing};
use crate::tui::theme::Depth;

/// The driver table's entry for no pictures.
pub const SPEC: DriverSpec =
    DriverSpec { name: "none", summary: "No pictures", suits: |_, _, _| false, driver: |_, _| &Nothing };

/// Draws no pictures.
#[derive(Debug)]
struct Nothing;

impl Driver for Nothing {
    fn name(&self) -> &'static str {
        "no pictures"
    }

    fn standing(&self) -> Standing {
        Standing::Nowhere
    }

    fn stream_row(&self, _: &[RowPicture<'_>], _: Depth) -> Vec<u8> {
        Vec::new()
    }
}

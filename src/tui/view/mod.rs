//! Building blocks of panels and pop-ups, and the parts of the screen outside them: header, scrubber, error pane and status line.
#![allow(clippy::disallowed_methods)]

pub mod error_pane;
pub mod format;
pub mod header;
pub mod plot;
pub mod scrubber;
pub mod status;
pub mod tutor;
pub mod widget;

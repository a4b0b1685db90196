//! Pop-ups: the layers above the panels, one file per pop-up.
#![allow(clippy::disallowed_methods)]

mod file_browser;
mod help;
mod help_text;
pub mod palette;
mod picker;
mod prompt;

pub use file_browser::rows as file_rows;
pub use picker::rows as picker_rows;

use super::layer::Layer;
use super::picture::PictureStage;
use super::state::{Popup, State};
use super::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::widgets::{Clear, Widget};

/// The layer of the open pop-up; `None` if no pop-up is open.
pub fn layer(state: &State) -> Option<Layer> {
    state.popup.as_ref().map(|popup| match popup {
        Popup::Help(_) => help::LAYER,
        Popup::Picker(_) => picker::LAYER,
        Popup::Files(_) => file_browser::LAYER,
        Popup::Prompt(_) => prompt::LAYER,
    })
}

/// Area of the open pop-up; `None` if no pop-up is open.
pub fn area(state: &State) -> Option<Rect> {
    state.popup.as_ref().map(|popup| match popup {
        Popup::Help(_) => help::area(state.size),
        Popup::Picker(picker) => picker::area(state.size, picker),
        Popup::Files(_) => file_browser::area(state.size),
        Popup::Prompt(prompt) => prompt::area(state.size, prompt),
    })
}

/// Draws the open pop-up. Returns the position of the text cursor, if the pop-up has one.
pub fn draw(buf: &mut Buffer, state: &State, theme: &Theme, stage: &PictureStage) -> Option<Position> {
    let area = area(state)?;
    Clear.render(area, buf);
    buf.set_style(area, theme.ground);
    match state.popup.as_ref()? {
        Popup::Help(help) => help::draw(buf, area, help, state, theme),
        Popup::Picker(picker) => return Some(picker::draw(buf, area, picker, theme, stage)),
        Popup::Files(browser) => return Some(file_browser::draw(buf, area, browser, theme, stage)),
        Popup::Prompt(prompt) => return Some(prompt::draw(buf, area, prompt, theme)),
    }
    None
}

//! Draws the screen as a function of the state.
#![allow(clippy::disallowed_methods)]

use super::layout::{self, Areas, LEAST};
use super::panel;
use super::picture::{PictureStage, WantedPictures};
use super::popup;
use super::router;
use super::state::State;
use super::theme::Theme;
use super::view::widget::{inside, put};
use super::view::{error_pane, header, scrubber, status, tutor};
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::text::Line;

/// Draws one frame: arranges the pictures, then draws everything. Returns the position of the text cursor, if visible.
pub fn frame(buf: &mut Buffer, state: &State, theme: &Theme, stage: &mut PictureStage) -> Option<Position> {
    buf.set_style(buf.area, theme.ground);
    let areas = layout::areas(state);
    stage.arrange(&wanted(state, &areas, stage.cell), popup::area(state), &state.lens);
    let cursor = draw(buf, state, &areas, theme, stage);
    stage.finish(buf);
    cursor
}

/// The pictures in the visible panels.
fn wanted<'a>(state: &'a State, areas: &Areas, cell: (u16, u16)) -> WantedPictures<'a> {
    let mut all = WantedPictures::default();
    for (pane, area) in &areas.panes {
        let WantedPictures { pictures, plots } = (panel::of(*pane).pictures)(state, inside(*area), cell);
        all.pictures.extend(pictures);
        all.plots.extend(plots);
    }
    all
}

fn draw(buf: &mut Buffer, state: &State, areas: &Areas, theme: &Theme, stage: &PictureStage) -> Option<Position> {
    if areas.panes.is_empty() {
        let text = format!("needs at least {}x{}", LEAST.0, LEAST.1);
        put(buf, (0, 0), Line::raw(text), buf.area.width);
        return None;
    }
    header::draw(buf, areas.header, state, theme);
    for (pane, area) in &areas.panes {
        panel::draw(buf, panel::of(*pane), *area, state, theme, stage);
    }
    scrubber::draw(buf, areas.scrubber, state, theme);
    error_pane::draw(buf, areas.fault, state, theme);
    tutor::draw(buf, areas.tutor, state, theme);
    status::draw(buf, areas.status, &router::keys(state), state, theme);
    popup::draw(buf, state, theme, stage)
}

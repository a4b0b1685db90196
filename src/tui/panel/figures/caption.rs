//! Captions below pictures: title, scale or a value read from the picture, colorbar and note.

use crate::render::{self, Body, Figure, Rescale};
use crate::tui::picture::PictureStage;
use crate::tui::picture::blocks::{self, Blocks};
use crate::tui::state::{State, VisibleFigure, shape};
use crate::tui::theme::{Depth, Theme};
use crate::tui::view::format::brief;
use crate::tui::view::widget::{cut, row};
use image::RgbImage;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the caption of a picture without its note: the title and the size or scale and, below, the colorbar if it fits.
pub fn draw(buf: &mut Buffer, area: Rect, visible: &VisibleFigure, state: &State, theme: &Theme, stage: &PictureStage) {
    let VisibleFigure { figure, range, warning, .. } = visible;
    let lens = &state.lens;
    let about = match (range, &figure.body) {
        (Some(_), _) if lens.scale == Rescale::Shared => "shared scale".to_owned(),
        (Some(range), _) => range.chosen.to_owned(),
        (None, Body::Montage { .. }) => "scaled per tile".to_owned(),
        (None, Body::Image { pixels }) => shape(&pixels.shape),
        _ => String::new(),
    };
    let part: Vec<_> = warning.clone().into_iter().chain(figure.part()).collect();
    let part = (!part.is_empty()).then(|| part.join(", "));
    let about = part.iter().cloned().chain(Some(about)).collect::<Vec<_>>().join(", ");
    let zoom = if lens.zoom > 1.0 { format!("×{:.1} ", lens.zoom) } else { String::new() };
    let reading = lens.mark.and_then(|mark| render::read(figure, mark)).map(|reading| reading.to_string());
    let read = reading.is_some();
    let about = format!("{zoom}{}", reading.unwrap_or(about));
    let words = figure.words();
    let (room, letters) = (usize::from(area.width), words.chars().count());
    let fits = |about: &str| letters + 1 + about.chars().count() <= room;
    let (title, about) = match part {
        _ if fits(&about) => (words.clone().into_owned(), about),
        _ if read => (String::new(), about),
        // A warning about missing parts or non-finite values takes precedence.
        Some(part) if fits(&part) => (words.clone().into_owned(), part),
        Some(part) => (cut(&words, room.saturating_sub(part.chars().count() + 1)).into_owned(), part),
        None => (cut(&words, room).into_owned(), String::new()),
    };
    let style = if read {
        theme.focus
    } else if warning.is_some() {
        theme.bad
    } else {
        theme.dim
    };
    row(buf, area, 0, Line::styled(title, theme.strong), Line::styled(about, style));
    let Some(range) = range.filter(|range| area.height > 1 && !range.is_empty()) else { return };
    let (low, high) = (format!("{} ", brief(f64::from(range.low))), format!(" {}", brief(f64::from(range.high))));
    row(buf, area, 1, Line::raw(low.as_str()), Line::raw(high.as_str()));
    let taken = (low.chars().count(), high.chars().count());
    let width = usize::from(area.width).saturating_sub(taken.0 + taken.1) as u16;
    let bar = Rect::new(area.x + taken.0 as u16, area.y + 1, width, 1);
    let colors = render::colorbar(figure, range, lens.overlay.colors, 64);
    let ramp = RgbImage::from_fn(colors.len() as u32, 1, |x, _| colors[x as usize]);
    match stage.depth {
        Depth::None if range.symmetric => blocks::signs(buf, bar, &ramp),
        depth => blocks::paint(buf, bar, &ramp, Blocks::Half, depth),
    }
}

/// Height of a caption in rows, without the note: the title and, if the tile is tall enough, the colorbar.
pub fn height(tile: Rect) -> u16 {
    match tile.height {
        0..4 => 0,
        4..9 => 1,
        _ => 2,
    }
}

/// The note of a heatmap, wrapped to the width of its tile; empty if there is no note or the tile is small.
pub fn note_lines(figure: &Figure, tile: Rect) -> Vec<String> {
    match &figure.body {
        Body::Map { note, .. } if tile.height >= 14 => wrapped(note, usize::from(tile.width), 2),
        _ => vec![],
    }
}

/// Wraps a string to at most `most` lines of `width` characters. A truncated string ends with an ellipsis.
fn wrapped(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    // Keeps a percent sign on the same line as its number.
    let text = text.replace(" %", "\u{a0}%");
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            last.push('…');
        }
    }
    lines
}

//! Draws titled charts and texts.

use super::caption_text::shortened;
use super::{scatter, table};
use crate::render::{self, Bar, Body, Series};
use crate::tui::picture::PictureStage;
use crate::tui::state::{State, VisibleFigure};
use crate::tui::theme::Theme;
use crate::tui::view::format::brief;
use crate::tui::view::plot::{self, ChartOptions, Curve};
use crate::tui::view::widget::{bar, paragraph, row};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws a chart or text below its title.
pub fn draw(buf: &mut Buffer, area: Rect, visible: &VisibleFigure, state: &State, theme: &Theme, stage: &PictureStage) {
    let figure = &visible.figure;
    let warning = Line::styled(visible.warning.clone().unwrap_or_default(), theme.bad);
    let words = figure.words();
    let taken = if warning.width() > 0 { warning.width() + 1 } else { 0 };
    let title = shortened(&words, usize::from(area.width).saturating_sub(taken));
    row(buf, area, 0, Line::styled(title, theme.strong), warning);
    let area = below_title(area);
    if area.is_empty() {
        return;
    }
    match &figure.body {
        Body::Line { series, .. } => {
            plot::draw(buf, area, &series.iter().map(curve).collect::<Vec<_>>(), ChartOptions::default(), theme);
        }
        Body::Scatter { points } => scatter::draw(buf, area, points, state, theme, stage),
        Body::Bars { bars } => draw_bars(buf, area, bars, theme),
        Body::Table { columns, rows } => table::draw(buf, area, columns, rows, theme),
        Body::Sheet { .. } => {
            row(buf, area, 0, Line::raw(render::text(figure, 80).unwrap_or_default()), Line::default())
        }
        Body::Text { text } => paragraph(buf, area, text.lines().map(Line::raw), false),
        _ => {}
    }
}

/// The part of a chart's area below its title.
pub fn below_title(area: Rect) -> Rect {
    Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }
}

fn draw_bars(buf: &mut Buffer, area: Rect, bars: &[Bar], theme: &Theme) {
    let finite = bars.iter().map(|b| b.value.abs()).filter(|v| v.is_finite());
    let most = finite.fold(f32::MIN_POSITIVE, f32::max);
    let width = usize::from(area.width) / 2;
    for (y, b) in bars.iter().enumerate() {
        let part = if b.value.is_finite() { b.value.abs() / most } else { 0.0 };
        let drawn = Span::styled(format!(" {:width$}", bar(part, width)), theme.bar);
        let right = Line::from(vec![Span::raw(brief(f64::from(b.value))), drawn]);
        row(buf, area, y, Line::raw(b.label.as_str()), right);
    }
}

fn curve(series: &Series) -> Curve {
    let points = series.points.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).collect();
    Curve { label: series.label.clone(), points }
}

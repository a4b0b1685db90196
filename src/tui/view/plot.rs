//! Draws line charts with cells.

use super::format::brief;
use super::widget::row;
use crate::tui::theme::{Depth, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};

/// A named curve of a line chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Name of the curve in the legend.
    pub label: String,
    /// Points `(x, y)` of the curve, in connection order.
    pub points: Vec<(f64, f64)>,
}

/// Options of a line chart.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChartOptions {
    /// Position to mark on the horizontal axis, if any.
    pub here: Option<f64>,
    /// Position at which something changed, to mark on the horizontal axis, if any.
    pub changed: Option<f64>,
    /// Bounds of the vertical axis; `None` to use the minimum and maximum of the values.
    pub bounds: Option<(f64, f64)>,
}

/// Draws a line chart: a legend, and the curves below it.
pub fn draw(buf: &mut Buffer, area: Rect, curves: &[Curve], charting: ChartOptions, theme: &Theme) {
    if area.height < 3 || area.width < 10 {
        return;
    }
    let legend = legend(buf, area, curves, charting.here, theme);
    let area = Rect { y: area.y + legend, height: area.height - legend, ..area };
    let points = || curves.iter().flat_map(|c| &c.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    let (x0, x1) = spread(points().map(|p| p.0));
    let (y0, y1) = charting.bounds.unwrap_or_else(|| spread(points().map(|p| p.1)));
    let here: Vec<_> = charting.here.map(|x| vec![(x, y0), (x, y1)]).unwrap_or_default();
    let changed: Vec<_> = charting.changed.map(|x| vec![(x, y0), (x, y1)]).unwrap_or_default();
    let marker = marker(theme.depth);
    let change = Dataset::default().marker(Marker::Dot).style(theme.good).graph_type(GraphType::Line).data(&changed);
    let line = Dataset::default().marker(marker).style(theme.frame).graph_type(GraphType::Line).data(&here);
    let runs = |(n, c): (usize, &'_ Curve)| {
        let runs = c.points.split(|p| !p.0.is_finite() || !p.1.is_finite()).filter(|run| !run.is_empty());
        runs.map(|run| (n, run.to_vec())).collect::<Vec<_>>()
    };
    let data: Vec<_> = curves.iter().enumerate().flat_map(runs).collect();
    let bad = curves.iter().flat_map(|c| &c.points).filter(|p| p.0.is_finite() && !p.1.is_finite());
    let bad: Vec<_> = bad.map(|p| (p.0, y0)).collect();
    let marks = Dataset::default().marker(Marker::Dot).graph_type(GraphType::Scatter).style(theme.bad).data(&bad);
    let sets = data.iter().map(|(n, points)| {
        let marker = marker_of(*n, theme.depth);
        Dataset::default().marker(marker).graph_type(GraphType::Line).style(theme.curve(*n)).data(points)
    });
    let axis =
        |low: f64, high: f64| Axis::default().style(theme.frame).bounds([low, high]).labels([brief(low), brief(high)]);
    let chart = Chart::new([change, line].into_iter().chain(sets).chain([marks]).collect())
        .x_axis(axis(x0, x1))
        .y_axis(axis(y0, y1));
    chart.legend_position(None).render(area, buf);
}

/// The marker of a curve: on terminals without colors, each curve has its own.
fn marker_of(number: usize, depth: Depth) -> Marker {
    const MARKERS: [Marker; 4] = [Marker::Dot, Marker::Bar, Marker::Block, Marker::HalfBlock];
    if depth == Depth::None { MARKERS[number % MARKERS.len()] } else { marker(depth) }
}

/// The sign of a curve in the legend.
fn sign_of(number: usize, depth: Depth) -> &'static str {
    const SIGNS: [&str; 4] = ["•", "▄", "█", "▀"];
    if depth == Depth::None { SIGNS[number % SIGNS.len()] } else { "━" }
}

/// The marker for curves and points: braille, or dots on terminals with few colors, whose fonts often lack braille.
pub fn marker(depth: Depth) -> Marker {
    match depth {
        Depth::None | Depth::Sixteen => Marker::Dot,
        Depth::Indexed | Depth::True => Marker::Braille,
    }
}

/// Draws the names of the curves in their colors, each with its value at `here` or, if `here` is `None`, with its last value. Returns the
/// number of rows used.
fn legend(buf: &mut Buffer, area: Rect, curves: &[Curve], here: Option<f64>, theme: &Theme) -> u16 {
    let rows = curves.len().min(usize::from(area.height.saturating_sub(4)).min(4));
    for (y, curve) in curves.iter().take(rows).enumerate() {
        let now = curve.points.iter().rfind(|p| here.is_none_or(|x| p.0 <= x));
        let value = now.map_or_else(String::new, |p| brief(p.1));
        let left = Line::styled(format!("{} {}", sign_of(y, theme.depth), curve.label), theme.curve(y));
        row(buf, area, y, left, Line::styled(value, Style::new()));
    }
    rows as u16
}

/// Minimum and maximum of `values`, widened if equal.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    match low < high {
        true => (low, high),
        false if low.is_finite() => (low - 0.5, low + 0.5),
        false => (0.0, 1.0),
    }
}

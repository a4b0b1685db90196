//! Draws scatter plots: the points, and the pictures of the points under the mark.

use crate::render::{PointPlot, Points, group_labels};
use crate::tui::picture::{PictureStage, blocks, ring};
use crate::tui::state::{ScatterView, State};
use crate::tui::theme::{Depth, Theme};
use crate::tui::view::format::brief;
use crate::tui::view::plot;
use crate::tui::view::widget::{put, row};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{self, Canvas};

/// Number of distinct group colors. Further groups repeat them.
const COLORS: usize = 10;
/// Maximum width of the thumbnails and minimum width of the plot, in columns.
const COLUMNS: (u16, u16) = (32, 30);

/// Draws a scatter plot: group names, points, and a line of text about the points under the mark.
pub fn draw(buf: &mut Buffer, area: Rect, points: &Points, state: &State, theme: &Theme, stage: &PictureStage) {
    let Some(plane) = plane(area, points, state) else { return };
    let side = area.width - plane.width;
    let view = ScatterView::new(points);
    let point = state.lens.mark.and_then(|mark| view.nearest(mark));
    row(buf, area, 0, legend(points, theme), Line::default());
    if stage.draws(plane) {
        stage.draw(buf, plane, &state.lens);
    } else {
        paint(buf, plane, points, &view, state, theme);
        names(buf, plane, points, &view, state, theme);
        mark_open(buf, plane, points, &view, state, theme);
    }
    let about = Rect { y: plane.bottom(), height: 1, ..area };
    let Some(i) = point else {
        let zoom = if state.lens.zoom > 1.0 { format!("×{:.1}  ", state.lens.zoom) } else { String::new() };
        let help = format!("{zoom}{} points; click or press I to select one, drag to select several", points.count());
        let open = open(points, state).map_or_else(String::new, |i| format!("open: {}", title(points, i, state)));
        return row(buf, about, 0, Line::styled(help, theme.dim), Line::styled(open, theme.focus));
    };
    if let Some(place) = state.lens.seen(view.place(i)).filter(|_| !stage.draws(plane)) {
        ring(buf, plane, place);
    }
    let around = view.within(&state.lasso);
    let (x, y) = points.place(i);
    let (name, place) = match around.is_empty() {
        true => (one(points, i, state), format!("{}, {}", brief(f64::from(x)), brief(f64::from(y)))),
        false => (several(points, &around), String::new()),
    };
    let fits = name.chars().count() + 1 + place.chars().count() <= usize::from(about.width);
    let place = if fits { place } else { String::new() };
    row(buf, about, 0, Line::styled(name, theme.focus), Line::styled(place, theme.dim));
    let beside = Rect { x: plane.right() + 1, width: side.saturating_sub(1), ..plane };
    for (rect, (_, image)) in grid(beside, state.pointed.len()).zip(&state.pointed) {
        if let Some(image) = image {
            stage.sketch(buf, rect, image);
        }
    }
}

/// The area of the plot, next to the thumbnails if there is a mark; `None` if it does not fit.
pub fn plane(area: Rect, points: &Points, state: &State) -> Option<Rect> {
    if area.height < 4 || area.width < 10 {
        return None;
    }
    let marked = state.lens.mark.is_some() && ScatterView::new(points).nearest((0.0, 0.0)).is_some();
    let side = if marked { (area.width / 3).min(COLUMNS.0) } else { 0 };
    let side = if area.width >= COLUMNS.1 + side { side } else { 0 };
    Some(Rect { y: area.y + 1, height: area.height - 2, width: area.width - side, ..area })
}

fn one(points: &Points, i: usize, state: &State) -> String {
    let how = if open(points, state) == Some(i) { "open" } else { "press Enter to open it" };
    format!("{}, {}; {how}", points.name(points.group(i)), title(points, i, state))
}

/// The file name of a point's picture or, if it has none, its number in the data set.
fn title(points: &Points, i: usize, state: &State) -> String {
    let set = state.run.frame.as_ref().and_then(|frame| frame.data.as_deref());
    match (points.files.get(i), set) {
        (None, Some(set)) => format!("{} of {}", points.title(i), set_name(set)),
        _ => points.title(i),
    }
}

/// A short name of a data set: `cifar10` for `cifar10:data/test_batch.bin`, but `made:digits` as it is.
fn set_name(set: &str) -> &str {
    match set.split_once(':') {
        Some((scheme, place)) if place.contains(['/', '\\', '.']) => scheme,
        _ => set,
    }
}

/// Index of the point whose picture is open, if any.
fn open(points: &Points, state: &State) -> Option<usize> {
    let source = &state.picture.as_ref()?.source;
    let number = source.strip_prefix(state.run.frame.as_ref()?.data.as_deref()?)?;
    let number: usize = number.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
    (0..points.count()).find(|&i| points.picture(i) == number)
}

/// How the points are drawn in pixels.
pub fn look(points: &Points, state: &State) -> PointPlot {
    let (ground, ink, colors) = state.palette.plot_colors();
    let (size, letter, near) = ((1, 1), (1, 1), None);
    PointPlot { size, letter, ground, ink, colors, lasso: state.lasso.clone(), open: open(points, state), near }
}

/// Writes the names of the groups at the medians of their points.
fn names(buf: &mut Buffer, area: Rect, points: &Points, view: &ScatterView, state: &State, theme: &Theme) {
    let size = (usize::from(area.width), usize::from(area.height));
    for label in group_labels(points, size, |i| view.place_in(i, &state.lens)) {
        let style = theme.curve(label.group % COLORS).add_modifier(Modifier::REVERSED | Modifier::BOLD);
        let width = label.text.chars().count() as u16;
        let at = (area.x + label.at.0 as u16, area.y + label.at.1 as u16);
        put(buf, at, Line::styled(label.text, style), width.min(area.right().saturating_sub(at.0)));
    }
}

/// Marks the point whose picture is open.
fn mark_open(buf: &mut Buffer, area: Rect, points: &Points, view: &ScatterView, state: &State, theme: &Theme) {
    let place = open(points, state).and_then(|i| state.lens.seen(view.place(i)));
    if let Some((x, y)) = place {
        let cell = |part: f32, from: u16, size: u16| from + (part * f32::from(size)) as u16;
        let at = (cell(x, area.x, area.width), cell(y, area.y, area.height));
        put(buf, at, Line::styled("◉", theme.focus.add_modifier(Modifier::REVERSED)), 1);
    }
}

/// Describes several points by their count and the sizes of their largest groups.
fn several(points: &Points, which: &[usize]) -> String {
    let mut counts = vec![0; points.group_count()];
    which.iter().for_each(|&i| counts[points.group(i)] += 1);
    let mut groups: Vec<_> = (0..counts.len()).filter(|&g| counts[g] > 0).collect();
    groups.sort_by_key(|&g| std::cmp::Reverse(counts[g]));
    let most: Vec<_> = groups.iter().take(4).map(|&g| format!("{} {}", counts[g], points.name(g))).collect();
    format!("{} points: {}", which.len(), most.join(", "))
}

/// Areas for `count` thumbnails: one column for a single thumbnail, otherwise two.
fn grid(area: Rect, count: usize) -> impl Iterator<Item = Rect> {
    let columns = if count > 1 { 2 } else { 1 };
    let (width, height) = (area.width / columns, area.height / (count as u16).div_ceil(columns).max(1));
    let at = move |k: u16| Rect::new(area.x + k % columns * width, area.y + k / columns * height, width, height);
    (0..count as u16).map(at).map(|r| Rect {
        width: r.width.saturating_sub(1),
        height: r.height.saturating_sub(1).max(1),
        ..r
    })
}

fn legend(points: &Points, theme: &Theme) -> Line<'static> {
    if has_own_colors(points, theme) {
        return Line::styled("points are colored individually", theme.dim);
    }
    let dot = |g: usize| if g / COLORS % 2 == 1 { "○ " } else { "● " };
    let name = |g: usize| [Span::styled(dot(g), theme.curve(g % COLORS)), Span::raw(format!("{} ", points.name(g)))];
    Line::from((0..points.group_count()).flat_map(name).collect::<Vec<_>>())
}

/// Whether points are colored individually. Sixteen-color terminals have too few colors.
fn has_own_colors(points: &Points, theme: &Theme) -> bool {
    !points.colors.is_empty() && matches!(theme.depth, Depth::True | Depth::Indexed)
}

fn paint(buf: &mut Buffer, area: Rect, points: &Points, view: &ScatterView, state: &State, theme: &Theme) {
    let mut groups = vec![vec![]; points.group_count().min(COLORS)];
    for i in (0..points.count()).filter(|&i| points.is_finite(i)) {
        let (x, y) = points.place(i);
        let at = points.group(i) % COLORS;
        groups[at].push((f64::from(x), f64::from(y)));
    }
    let (x, y) = view.seen(&state.lens);
    let canvas = Canvas::default().marker(plot::marker(theme.depth)).x_bounds(x).y_bounds(y).paint(|context| {
        if has_own_colors(points, theme) {
            for (i, &color) in points.colors.iter().enumerate() {
                let (x, y) = points.place(i);
                let color = blocks::nearest_color(color, theme.depth);
                context.draw(&canvas::Points { coords: &[(f64::from(x), f64::from(y))], color });
            }
        } else {
            for (group, coords) in groups.iter().enumerate() {
                let color = theme.curve(group).fg.unwrap_or(Color::Reset);
                context.draw(&canvas::Points { coords, color });
            }
        }
        let line: Vec<_> = state.lasso.iter().map(|&place| view.at(place)).collect();
        let color = theme.focus.fg.unwrap_or(Color::Reset);
        for (a, b) in line.iter().zip(line.iter().cycle().skip(1)).filter(|_| line.len() > 2) {
            context.draw(&canvas::Line { x1: a.0, y1: a.1, x2: b.0, y2: b.1, color });
        }
    });
    canvas.render(area, buf);
}

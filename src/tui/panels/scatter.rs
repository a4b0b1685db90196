//! Points in the plane, the one that is pointed at, and its picture.

use super::{brief, plot, row};
use crate::render::Points;
use crate::tui::cloud::Cloud;
use crate::tui::picture::Stage;
use crate::tui::state::State;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{self, Canvas};

/// Colours that groups have before they come again.
const COLORS: usize = 16;
/// Columns of a picture beside its point at most, and of the points at least.
const COLUMNS: (u16, u16) = (32, 30);

/// Names of the groups above, the points, and what is pointed at below.
pub fn draw(buf: &mut Buffer, area: Rect, points: &Points, state: &State, theme: &Theme, stage: &mut Stage) {
    if area.height < 4 || area.width < 10 {
        return;
    }
    let cloud = Cloud::new(points);
    let point = state.lens.mark.and_then(|mark| cloud.nearest(mark));
    let side = if point.is_some() { (area.width / 3).min(COLUMNS.0) } else { 0 };
    let side = if area.width >= COLUMNS.1 + side { side } else { 0 };
    let plane = Rect { y: area.y + 1, height: area.height - 2, width: area.width - side, ..area };
    row(buf, area, 0, legend(points, theme), Line::default());
    paint(buf, plane, points, &cloud, state, theme);
    stage.notice(plane);
    let about = Rect { y: plane.bottom(), height: 1, ..area };
    let Some(i) = point else {
        let zoom = if state.lens.zoom > 1.0 { format!("×{:.1}  ", state.lens.zoom) } else { String::new() };
        let help = format!("{zoom}{} points; I or a click points at one, + - enlarge", points.count());
        return row(buf, about, 0, Line::styled(help, theme.dim), Line::default());
    };
    if let Some((x, y)) = state.lens.seen(cloud.place(i)) {
        let at = |part: f32, from: u16, size: u16| from + (part * f32::from(size)) as u16;
        if let Some(cell) = buf.cell_mut((at(x, plane.x, plane.width), at(y, plane.y, plane.height))) {
            cell.set_symbol("◎").set_fg(Color::White).set_bg(Color::Black);
        }
    }
    let (x, y) = points.place(i);
    let place = format!("{}, {}", brief(f64::from(x)), brief(f64::from(y)));
    let name = format!("{}, picture {}; Enter opens it", points.name(points.group(i)), points.picture(i));
    row(buf, about, 0, Line::styled(name, theme.focus), Line::styled(place, theme.dim));
    let beside = Rect { x: plane.right() + 1, width: side.saturating_sub(1), ..plane };
    if let Some((_, Some(image))) = &state.pointed {
        stage.sketch(buf, beside, image);
    }
}

fn legend(points: &Points, theme: &Theme) -> Line<'static> {
    let name = |g: usize| [Span::styled("● ", theme.curve(g % COLORS)), Span::raw(format!("{} ", points.name(g)))];
    Line::from((0..points.group_count()).flat_map(name).collect::<Vec<_>>())
}

fn paint(buf: &mut Buffer, area: Rect, points: &Points, cloud: &Cloud, state: &State, theme: &Theme) {
    let mut groups = vec![vec![]; points.group_count().min(COLORS)];
    for i in 0..points.count() {
        let (x, y) = points.place(i);
        let at = points.group(i) % COLORS;
        groups[at].push((f64::from(x), f64::from(y)));
    }
    let (x, y) = cloud.seen(&state.lens);
    let canvas = Canvas::default().marker(plot::marker(theme.depth)).x_bounds(x).y_bounds(y).paint(|context| {
        for (group, coords) in groups.iter().enumerate() {
            let color = theme.curve(group).fg.unwrap_or(Color::Reset);
            context.draw(&canvas::Points { coords, color });
        }
    });
    canvas.render(area, buf);
}

//! The curves panel: probabilities and the method's values by step.

use super::spec::{BLANK, Panel, PanelPlace};
use crate::render::ClassRow;
use crate::tui::action::comparison;
use crate::tui::effect::Effect;
use crate::tui::event::Key as K;
use crate::tui::keymap::{Action as A, Binding, row as bind};
use crate::tui::picture::PictureStage;
use crate::tui::state::{Pane, ShownBranch, State};
use crate::tui::theme::Theme;
use crate::tui::view::plot::{self, ChartOptions, Curve};
use crate::tui::view::widget::{cut, row};
use crate::worker::letter;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Curves that share one pair of axes.
#[derive(Clone, Debug, PartialEq)]
struct Group {
    /// Title of the group.
    name: String,
    /// Curves of the group.
    curves: Vec<Curve>,
    /// Bounds of the vertical axis; `None` to use the minimum and maximum of the values.
    bounds: Option<(f64, f64)>,
}

/// The curves panel.
pub const PANEL: Panel = Panel {
    pane: Pane::CURVES,
    place: PanelPlace::Below(|state| (!groups(state).is_empty()).then_some(ROWS)),
    keys: KEYS,
    act,
    title,
    draw,
    ..BLANK
};

/// Height of a chart in rows.
const ROWS: u16 = 10;

const KEYS: &[Binding] = &[
    bind(&[K::Left, K::Char('h')], A::Left, "Curves", "previous curves", ""),
    bind(&[K::Right, K::Char('l')], A::Right, "Curves", "next curves", "next"),
];

fn act(state: &mut State, action: A) -> Option<Vec<Effect>> {
    let by = match action {
        A::Left => -1,
        A::Right => 1,
        A::Move(by) => by,
        _ => return None,
    };
    let count = groups(state).len().max(1) as i32;
    state.curve = (state.curve as i32 + by).rem_euclid(count) as usize;
    Some(Vec::new())
}

fn title(state: &State, theme: &Theme, area: Rect) -> Vec<Span<'static>> {
    let groups = groups(state);
    let at = state.curve.min(groups.len().saturating_sub(1));
    if let (Some(step), true) = (first_change(state), state.stepped() && !state.settles() && !state.run.foreign) {
        return vec![Span::styled(format!("change at step {step} "), theme.dim)];
    }
    let title = match groups.get(at) {
        Some(group) if groups.len() > 1 => format!("{} {}/{} ", group.name, at + 1, groups.len()),
        Some(group) => format!("{} ", group.name),
        None => String::new(),
    };
    let room = usize::from(area.width).saturating_sub(14);
    vec![Span::styled(format!("{} ", cut(title.trim_end(), room)), theme.dim)]
}

fn draw(buf: &mut Buffer, inner: Rect, state: &State, theme: &Theme, _: &PictureStage) {
    let groups = groups(state);
    let at = state.curve.min(groups.len().saturating_sub(1));
    let Some(group) = groups.get(at) else {
        let text = if state.stepped() { "no steps yet; press . to step" } else { "this method has no steps" };
        return row(buf, inner, 0, Line::styled(text, theme.dim), Line::default());
    };
    let here = state.run.frame.as_ref().map(|f| f.step as f64);
    let changed = first_change(state).map(|step| step as f64);
    plot::draw(buf, inner, &group.curves, ChartOptions { here, changed, bounds: group.bounds }, theme);
}

/// All groups of curves: the probabilities of the target and the top classes, the method's values in `[0, 1]`, and one group for
/// each other value.
fn groups(state: &State) -> Vec<Group> {
    if state.run.foreign || !state.stepped() {
        return Vec::new();
    }
    let scalars: Vec<Curve> = state.run.frame.iter().flat_map(|f| &f.scalars).map(curve).filter(whole).collect();
    let (shares, others): (Vec<_>, Vec<_>) = scalars.into_iter().partition(is_share);
    let mut groups: Vec<Group> = compared(state).into_iter().collect();
    let classes = probabilities(state);
    if classes.iter().any(|c| c.points.len() > 1) {
        groups.push(Group { name: "probability by step".into(), curves: classes, bounds: Some((0.0, 1.0)) });
    }
    if !shares.is_empty() {
        groups.push(Group { name: "by step".into(), curves: shares, bounds: Some((0.0, 1.0)) });
    }
    groups.extend(others.into_iter().map(|c| Group {
        name: format!("{} by step", c.label),
        curves: vec![c],
        bounds: None,
    }));
    groups
}

/// The target's probability by step in each compared branch.
fn compared(state: &State) -> Option<Group> {
    let target = state.target_class()?;
    let curve = |(at, branch): (usize, &ShownBranch)| {
        let share = |(step, rows): (&usize, &Vec<ClassRow>)| {
            rows.iter().find(|row| row.class == target).map(|row| (*step as f64, f64::from(row.probability)))
        };
        let points = branch.history.iter().filter_map(share).collect();
        Curve { label: format!("{} {}", letter(at), state.label(target)), points }
    };
    let curves: Vec<_> = comparison::compared(state)?.into_iter().map(curve).filter(whole).collect();
    (curves.len() > 1).then(|| Group { name: "by step".into(), curves, bounds: Some((0.0, 1.0)) })
}

/// Probability curves of the target, of the top class at step 0, and of the top two classes at the current step.
fn probabilities(state: &State) -> Vec<Curve> {
    let top = |rows: Option<&Vec<ClassRow>>| rows.and_then(|r| r.first()).map(|r| r.class);
    let now = state.classes().iter().take(2).map(|r| r.class);
    let mut classes: Vec<usize> =
        state.target_class().into_iter().chain(top(state.run.history.get(&0))).chain(now).collect();
    let mut seen = std::collections::HashSet::new();
    classes.retain(|class| seen.insert(*class));
    let points = |class: usize| {
        let at = |(step, rows): (&usize, &Vec<ClassRow>)| {
            rows.iter().find(|r| r.class == class).map(|r| (*step as f64, f64::from(r.probability)))
        };
        state.run.history.iter().filter_map(at).collect()
    };
    classes.iter().take(4).map(|c| Curve { label: state.label(*c), points: points(*c) }).collect()
}

/// The first step of an attack at which the predicted class differs from that of the picture; `None` if the prediction has not changed.
fn first_change(state: &State) -> Option<usize> {
    let top = |rows: &Vec<ClassRow>| rows.first().map(|row| row.class);
    let clean = state.run.history.get(&0).and_then(top)?;
    let history = || state.run.history.iter();
    history().find(|(_, rows)| top(rows).is_some_and(|class| class != clean)).map(|(step, _)| *step)
}

fn curve((name, values): &(String, Vec<f64>)) -> Curve {
    Curve { label: name.clone(), points: values.iter().enumerate().map(|(x, y)| (x as f64, *y)).collect() }
}

fn whole(curve: &Curve) -> bool {
    curve.points.len() > 1
}

fn is_share(curve: &Curve) -> bool {
    curve.points.iter().all(|(_, y)| (0.0..=1.0).contains(y))
}

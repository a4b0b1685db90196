//! No text is cut without an ellipsis, on any screen in any size.

use crate::drawing::screen;
use crate::scatter::scattered;
use crate::session::*;
use gradscope::render::{Body, Figure};
use gradscope::script::summary::{Frame, ParamKind};
use gradscope::tui::panel::PANELS;
use gradscope::tui::popup;
use gradscope::tui::state::State;
use gradscope::worker::message::Update;

/// A letter that only the long names contain.
const LETTER: char = 'ж';
/// A state in a terminal with this many columns and rows.
type Screen = Box<dyn Fn(u16, u16) -> State>;

/// The length of the long names, longer than any screen is wide.
const LENGTH: usize = 200;

fn long() -> String {
    LETTER.to_string().repeat(LENGTH)
}

/// Replaces every name on the screen by a long one.
fn lengthened(mut state: State) -> State {
    let model = state.model.as_mut().unwrap();
    model.name = long();
    model.device = "cpu".into();
    model.labels.iter_mut().for_each(|label| *label = long());
    model.layers.iter_mut().for_each(|layer| layer.name = format!("{}{}", layer.name, long()));
    let card = model.clone();
    tell(&mut state, Update::Model(card));
    state.picture.as_mut().unwrap().name = long();
    state.picture.as_mut().unwrap().classes.iter_mut().for_each(|row| row.label = long());
    for method in &mut state.methods {
        method.summary = format!("{}: what it tells", &long()[..38 * LETTER.len_utf8()]);
    }
    let method = state.method.as_mut().unwrap();
    for param in &mut method.params {
        (param.doc, param.value) = (long(), if param.kind == ParamKind::Switch { "true".into() } else { long() });
        param.name = format!("{}{}", param.name, long());
    }
    if let Some(frame) = state.run.frame.clone() {
        let renamed = |figure: &Figure| {
            let mut figure = Figure { title: long(), ..figure.clone() };
            if let Body::Classes { rows, .. } = &mut figure.body {
                rows.iter_mut().for_each(|row| row.label = long());
            }
            if let Body::Badge { text, .. } = &mut figure.body {
                *text = long();
            }
            figure
        };
        let figures = frame.figures.iter().map(renamed).collect();
        let done = frame.done.as_ref().map(|_| long());
        tell(&mut state, Update::Frame(Frame { figures, done, ..frame }));
    }
    state
}

/// The pieces of long names that begin or end without an ellipsis.
fn cut_silently(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let letters: Vec<char> = line.chars().collect();
        let mut at = 0usize;
        for piece in letters.chunk_by(|a, b| (*a == LETTER) == (*b == LETTER)) {
            let whole = piece.len() == LENGTH || piece.len() == 38;
            let beside = [at.checked_sub(1), Some(at + piece.len())].map(|at| at.and_then(|at| letters.get(at)));
            if piece[0] == LETTER && !whole && !beside.contains(&Some(&'…')) {
                found.push(line.to_owned());
            }
            at += piece.len();
        }
    }
    found
}

/// The part of a screen that is not covered: the open pop-up, or everything.
fn uncovered(state: &State, seen: String) -> String {
    let Some(area) = popup::area(state) else { return seen };
    let inside = |line: &str| line.chars().skip(area.x.into()).take(area.width.into()).collect::<String>() + "\n";
    seen.lines().skip(area.y.into()).take(area.height.into()).map(inside).collect()
}

#[test]
fn long_names_end_with_an_ellipsis_on_every_screen() {
    let mut screens: Vec<(String, Screen)> = vec![
        ("a map".into(), Box::new(|c, r| lengthened(opened(c, r)))),
        ("points".into(), Box::new(|c, r| lengthened(scattered(c, r)))),
        (
            "busy".into(),
            Box::new(|c, r| {
                let mut state = lengthened(attacked(c, r, 2));
                tell(&mut state, Update::Busy(true));
                tell(&mut state, Update::Progress { what: "patches".into(), done: 30, total: 120 });
                state
            }),
        ),
        (
            "two branches".into(),
            Box::new(|c, r| {
                let mut state = lengthened(opened(c, r));
                tell(&mut state, Update::Branches { at: 1, count: 2 });
                tell(&mut state, Update::Frame(map_frame(1)));
                press(&mut state, "v");
                state
            }),
        ),
    ];
    for (_, number) in PANELS.iter().zip(1..) {
        screens.push((
            format!("panel {number}"),
            Box::new(move |c, r| {
                let mut state = lengthened(attacked(c, r, 2));
                press(&mut state, &number.to_string());
                state
            }),
        ));
    }
    for keys in ["t", "m", "i", "M", "4 z", "2 z", "5 z"] {
        screens.push((
            format!("keys {keys}"),
            Box::new(move |c, r| {
                let mut state = lengthened(opened(c, r));
                press(&mut state, keys);
                state
            }),
        ));
    }
    screens.push(("files".into(), Box::new(|c, r| crate::files::of_long_names(c, r, &long()))));
    for (columns, rows) in [(140, 40), (80, 24), (60, 20), (200, 60)] {
        for (name, state) in &screens {
            let state = state(columns, rows);
            let seen = uncovered(&state, screen(&state));
            let cut = cut_silently(&seen);
            assert!(cut.is_empty(), "{name} at {columns}x{rows}:\n{}\n{seen}", cut.join("\n"));
        }
    }
}

#[test]
fn text_that_goes_on_below_its_area_ends_with_an_ellipsis() {
    let mut state = opened(140, 40);
    tell(&mut state, Update::Failed(gradscope::script::summary::Report { message: "word ".repeat(2000), ..report() }));
    assert!(screen(&state).contains("word …") || screen(&state).contains("word…"), "{}", screen(&state));
}

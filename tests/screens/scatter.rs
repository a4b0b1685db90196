//! Scatter plots of a data set: zooming, selecting points, and their pictures.

use crate::drawing::screen;
use crate::session::{asked, happen, map_frame, opened, press, tell};
use gradscope::render::{Array, Body, Figure, Points};
use gradscope::script::summary::Frame;
use gradscope::tui::Depth;
use gradscope::tui::draw;
use gradscope::tui::effect::Effect;
use gradscope::tui::event::{Event, Mouse};
use gradscope::tui::picture::PictureStage;
use gradscope::tui::picture::driver::cells::IN_LETTERS;
use gradscope::tui::picture::driver::sixel;
use gradscope::tui::state::{Pane, State};
use gradscope::tui::theme::Theme;
use gradscope::worker::message::{Command, Update};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::sync::Arc;

/// Points on a spiral in two groups, for every second picture of a data set.
pub fn scattered(columns: u16, rows: u16) -> State {
    let mut state = opened(columns, rows);
    let turn = |i: usize| (i as f32 * 0.1, i as f32 * 0.02);
    let numbers: Vec<f32> =
        (0..300).map(turn).flat_map(|(angle, far)| [far * angle.cos(), far * angle.sin()]).collect();
    let points = Points {
        values: Array::new(vec![300, 2], numbers).expect("sizes agree"),
        groups: (0..300).map(|i| i / 150).collect(),
        names: ["inner".to_owned(), "outer".to_owned()].into(),
        pictures: (0..300).map(|i| 2 * i).collect(),
        files: [].into(),
        colors: [].into(),
    };
    let figures = vec![Figure::new("map", Body::Scatter { points })];
    tell(&mut state, Update::Frame(Frame { figures, ..map_frame(0) }));
    press(&mut state, "3");
    state
}

/// The thumbnail requested by these effects.
fn preview(effects: &[Effect]) -> Option<&str> {
    effects.iter().find_map(|effect| match effect {
        Effect::Preview(name) => Some(name.as_str()),
        _ => None,
    })
}

#[test]
fn a_click_selects_the_nearest_point_and_requests_its_picture_once() {
    let mut state = scattered(140, 40);
    let effects = happen(&mut state, Event::Pointed(Mouse::Press, 0.5, 0.5));
    let name = preview(&effects).expect("a picture is asked for").to_owned();
    let number: usize = name.strip_prefix("made:digits[").and_then(|n| n.strip_suffix(']')).unwrap().parse().unwrap();
    assert!(number.is_multiple_of(2) && number < 200, "{name} is not in the middle of the spiral");
    let again = happen(&mut state, Event::Pointed(Mouse::Drag, 0.5001, 0.5));
    assert_eq!(preview(&again), None);
    let other = happen(&mut state, Event::Pointed(Mouse::Drag, 0.95, 0.5));
    assert!(preview(&other).is_some_and(|other| other != name));
    let text = screen(&state);
    assert!(text.contains(" of made:digits; press Enter") && text.contains('◎'), "{text}");
}

#[test]
fn the_picture_of_a_point_is_shown_and_enter_opens_it() {
    let mut state = scattered(140, 40);
    let effects = press(&mut state, "I");
    let name = preview(&effects).expect("a picture is asked for").to_owned();
    let before = screen(&state);
    let small = Arc::new(image::RgbImage::from_pixel(8, 8, image::Rgb([200, 30, 90])));
    happen(&mut state, Event::Preview("made:digits[1]".into(), Some(small.clone())));
    assert_eq!(screen(&state), before, "a picture of another point is not shown");
    happen(&mut state, Event::Preview(name.clone(), Some(small)));
    assert_ne!(screen(&state), before);
    assert_eq!(asked(&press(&mut state, "Enter")), [Command::Picture(name)]);
    assert!(state.lens.mark.is_some(), "the map and its mark stay");
}

#[test]
fn the_point_of_the_open_picture_is_marked_and_named() {
    let mut state = scattered(140, 40);
    assert!(!screen(&state).contains('◉'));
    let Update::Picture { pixels, classes, .. } = crate::session::picture() else { panic!("a picture") };
    let source = "made:digits[500]".to_owned();
    tell(&mut state, Update::Picture { name: source.clone(), source, pixels, classes });
    let text = screen(&state);
    assert!(text.contains('◉') && text.contains("open: picture 500 of made:digits"), "{text}");
    press(&mut state, "+ + + + + +");
    assert!(!screen(&state).contains('◉'), "it is not in the visible part");
}

#[test]
fn classes_are_named_at_their_points() {
    let text = screen(&scattered(140, 40));
    let plot: Vec<_> = text.lines().skip(4).collect();
    for name in ["inner", "outer"] {
        assert!(plot.iter().any(|line| line.contains(name)), "{name} is not in the plot:\n{text}");
    }
}

#[test]
fn terminals_with_graphics_show_points_in_pixels() {
    let state = scattered(140, 40);
    let mut buf = Buffer::empty(Rect::new(0, 0, 140, 40));
    let mut stage = PictureStage::still(sixel::DRIVER, Depth::Indexed, (8, 16));
    draw::frame(&mut buf, &state, &Theme::new(Depth::Indexed), &mut stage);
    let cells: String = buf.content.iter().map(|cell| cell.symbol()).collect();
    let dots = |text: &str| text.chars().filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count();
    assert_eq!(dots(&cells), 0, "no braille");
    assert!(stage.has_more(), "the picture of the plot is sent");
    let mut sent = Vec::new();
    stage.emit(&mut sent, usize::MAX).expect("it is written");
    assert!(sent.len() > 2000 && !stage.has_more());
    let mut blocks = PictureStage::still(IN_LETTERS, Depth::Indexed, (8, 16));
    draw::frame(&mut buf, &state, &Theme::new(Depth::Indexed), &mut blocks);
    let cells: String = buf.content.iter().map(|cell| cell.symbol()).collect();
    assert!(dots(&cells) > 50 && !blocks.has_more());
}

#[test]
fn a_closed_lasso_counts_its_points_and_shows_some() {
    let mut state = scattered(140, 40);
    let round = |k: usize| (k as f32 * 0.3).sin_cos();
    let at = |k: usize| (0.5 + 0.25 * round(k).1, 0.5 + 0.25 * round(k).0);
    let mut asked = vec![];
    for k in 0..=21 {
        let mouse = if k == 0 { Mouse::Press } else { Mouse::Drag };
        asked.extend(happen(&mut state, Event::Pointed(mouse, at(k).0, at(k).1)));
        if k == 12 {
            assert_eq!(state.pointed.len(), 1, "the line is open yet");
            asked.clear();
        }
    }
    assert!(asked.iter().filter(|e| matches!(e, Effect::Preview(_))).count() >= 6);
    assert!(state.pointed.len() == 6 && screen(&state).contains(" points: "), "{}", screen(&state));
    press(&mut state, "Esc");
    assert!(state.lasso.is_empty() && state.pointed.is_empty());
}

#[test]
fn points_are_zoomed_and_panned_like_pictures() {
    let mut state = scattered(140, 40);
    let whole = screen(&state);
    press(&mut state, "+ +");
    let text = screen(&state);
    assert!(state.focus == Pane::FIGURES && text.contains("×2.0") && text != whole, "{text}");
    press(&mut state, "Right");
    assert_ne!(screen(&state), text);
    press(&mut state, "0");
    assert_eq!(screen(&state), whole);
}

//! Snapshots of the screens in every size; `cargo insta review` shows changes.

use crate::scatter::scattered;
use crate::session::*;
use gradscope::render::{Array, Body, Cells, Figure, Scale};
use gradscope::script::summary::Frame;
use gradscope::tui::Depth;
use gradscope::tui::draw;
use gradscope::tui::event::Event;
use gradscope::tui::panel::PANELS;
use gradscope::tui::picture::PictureStage;
use gradscope::tui::picture::driver::cells::IN_LETTERS;
use gradscope::tui::state::State;
use gradscope::tui::theme::Theme;
use gradscope::worker::message::Update;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::Color;
use std::sync::Arc;

fn drawn(state: &State, depth: Depth) -> Buffer {
    let mut buf = Buffer::empty(Rect::new(0, 0, state.size.0, state.size.1));
    let mut stage = PictureStage::still(IN_LETTERS, depth, (8, 16));
    draw::frame(&mut buf, state, &Theme::new(depth), &mut stage);
    buf
}

fn text(buf: &Buffer) -> String {
    let width = usize::from(buf.area.width);
    let line = |cells: &[Cell]| cells.iter().map(|c| c.symbol()).collect::<String>();
    buf.content.chunks(width).map(|cells| line(cells).trim_end().to_owned() + "\n").collect()
}

/// The text on the screen.
pub fn screen(state: &State) -> String {
    text(&drawn(state, Depth::None))
}

fn failed(columns: u16, rows: u16) -> State {
    let mut state = attacked(columns, rows, 1);
    tell(&mut state, broken_methods());
    tell(&mut state, Update::Failed(report()));
    state
}

/// The sizes in which every state is drawn.
const SIZES: [(u16, u16); 3] = [(140, 40), (80, 24), (60, 20)];

/// Compares a state with its snapshots in every size, and in the largest size also its styles.
pub fn seen(name: &str, state: impl Fn(u16, u16) -> State) {
    for (columns, rows) in SIZES {
        insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), screen(&state(columns, rows)));
    }
    let (columns, rows) = SIZES[0];
    let styled = styles(&drawn(&state(columns, rows), Depth::Sixteen));
    insta::assert_snapshot!(format!("{name}_{columns}x{rows}_styles"), styled);
}

/// The styles on the screen: for each row, the runs of styled cells as first and last column, style and text. Sides of frames that
/// continue from the row above are omitted, as are pictures, whose colors are tested elsewhere.
fn styles(buf: &Buffer) -> String {
    let mut text = String::new();
    let mut above = vec![];
    for (y, row) in buf.content.chunks(usize::from(buf.area.width)).enumerate() {
        let runs = runs(row);
        for run in runs.iter().filter(|run| !(run.ends_with('│') && above.contains(*run))) {
            text += &format!("{y:>2} {run}\n");
        }
        above = runs;
    }
    text
}

fn runs(row: &[Cell]) -> Vec<String> {
    let (mut runs, mut x) = (vec![], 0);
    for run in row.chunk_by(|a, b| style(a) == style(b)) {
        let words: String = run.iter().map(|cell| cell.symbol()).collect();
        let last = x + run.len() - 1;
        runs.extend(style(&run[0]).map(|style| format!("{x:>3}-{last:<3} {style:18} {}", words.trim())));
        x = last + 1;
    }
    runs
}

/// A cell's colors and modifiers; `None` for plain cells and for blocks of pictures.
fn style(cell: &Cell) -> Option<String> {
    let color = |color: Color, ground: &str| (color != Color::Reset).then(|| format!("{ground}{color:?}"));
    let modifiers = cell.modifier.iter_names().map(|(name, _)| name.to_lowercase());
    let parts: Vec<_> = color(cell.fg, "").into_iter().chain(color(cell.bg, "on ")).chain(modifiers).collect();
    let picture = cell.symbol() == "▀" && cell.bg != Color::Reset;
    (!parts.is_empty() && !picture).then(|| parts.join(" "))
}

/// The app after pressing these keys.
fn after(keys: &'static str) -> impl Fn(u16, u16) -> State {
    move |columns, rows| {
        let mut state = opened(columns, rows);
        press(&mut state, keys);
        state
    }
}

#[test]
fn a_map_over_a_picture() {
    seen("map", opened);
}

#[test]
fn an_attack_at_a_step() {
    seen("attack", |columns, rows| attacked(columns, rows, 2));
}

#[test]
fn an_error_with_its_line() {
    seen("error", failed);
}

#[test]
fn every_pane_focused() {
    for (panel, number) in PANELS.iter().zip(1..) {
        seen(&format!("focus_{}", panel.pane.0), |columns, rows| {
            let mut state = attacked(columns, rows, 2);
            press(&mut state, &number.to_string());
            assert_eq!(state.focus, panel.pane);
            state
        });
    }
}

#[test]
fn a_maximized_pane() {
    seen("zoomed", after("5 z"));
}

#[test]
fn help_lists_and_prompts_over_the_panes() {
    seen("help", after("?"));
    seen("picker", after("t"));
    seen("models", |columns, rows| {
        let mut state = opened(columns, rows);
        press(&mut state, "m");
        happen(&mut state, model_files());
        state
    });
    seen("pictures", |columns, rows| {
        let mut state = opened(columns, rows);
        press(&mut state, "i");
        let small = image::RgbImage::from_fn(8, 8, |x, y| image::Rgb([(x * 32) as u8, (y * 32) as u8, 0]));
        happen(&mut state, Event::Preview("made:welcome[0]".into(), Some(Arc::new(small))));
        state
    });
    seen("reference", |columns, rows| {
        let mut state = opened(columns, rows);
        let rows = [("narrow", "narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor"), ("sum", "sum(x)")];
        tell(&mut state, Update::Reference(rows.map(|(n, t)| (n.to_owned(), t.to_owned())).to_vec()));
        state
    });
    seen("prompt", |columns, rows| {
        let mut state = opened(columns, rows);
        press(&mut state, ":");
        write(&mut state, "set oops");
        press(&mut state, "Enter");
        state
    });
}

#[test]
fn a_value_read_from_an_enlarged_picture() {
    seen("reading", after("3 + + I Right Down"));
}

#[test]
fn points_of_a_data_set_with_one_selected() {
    seen("points", |columns, rows| {
        let mut state = scattered(columns, rows);
        press(&mut state, "I Right Right Right");
        state
    });
}

#[test]
fn a_long_run_with_progress_and_thinned_steps() {
    seen("busy", |columns, rows| {
        let mut state = attacked(columns, rows, 2);
        let frame = Frame { kept: 4000, stride: 8, ..step_frame(0, 2, 4) };
        tell(&mut state, Update::Frame(frame));
        tell(&mut state, Update::Busy(true));
        tell(&mut state, Update::Progress { what: "patches".into(), done: 30, total: 120 });
        state
    });
}

#[test]
fn partial_pictures_are_labeled_in_every_size_and_used_values_shown() {
    for (columns, rows) in SIZES {
        let mut state = opened(columns, rows);
        let tiles = Array::new(vec![30, 2, 2], vec![0.5; 120]).expect("sizes agree");
        let body = Body::Montage {
            tiles,
            scale: Scale::Range,
            each: true,
            columns: 0,
            marked: None,
            captions: vec![],
            shown: 16,
            of: 320,
            frames: vec![],
            cells: Cells::default(),
        };
        let figures = [12, 80].map(|long| Figure::new("f".repeat(long), body.clone())).to_vec();
        let used = vec![("strength".to_owned(), "0.125".to_owned())];
        tell(&mut state, Update::Frame(Frame { figures, used, ..map_frame(0) }));
        press(&mut state, "3");
        let seen = screen(&state);
        assert_eq!(seen.matches("16 of 320").count(), 2, "{seen}");
        assert!(columns < 100 || seen.contains("0.5 (0.125 used)"), "{seen}");
    }
}

#[test]
fn no_size_breaks_the_drawing() {
    for (columns, rows) in [(1, 1), (39, 8), (40, 8), (59, 15), (60, 16), (99, 27), (100, 28), (200, 60), (300, 9)] {
        for keys in ["Esc", "?", "t", ":", "4 z", "6", "7"] {
            let mut state = attacked(columns, rows, 2);
            press(&mut state, keys);
            let text = screen(&state);
            assert!(columns < 40 || rows < 8 || text.contains("gradscope"), "{columns}x{rows} {keys}\n{text}");
        }
    }
    assert!(screen(&opened(39, 8)).contains("needs at least 40x8"));
}

#[test]
fn the_header_names_where_the_card_of_the_model_comes_from() {
    let mut state = opened(140, 40);
    state.model.as_mut().unwrap().origins = vec!["config.json".into(), "--mean".into()];
    let screen = text(&drawn(&state, Depth::None));
    assert!(screen.lines().next().unwrap().contains("card config.json, --mean · blocks · cpu"), "{screen}");
}

#[test]
fn an_empty_state_can_be_drawn() {
    let text = screen(&State::new(140, 40));
    assert!(text.contains("no model") && text.contains("no picture"), "{text}");
}

#[test]
fn without_colors_none_are_used() {
    for state in [failed(140, 40), attacked(80, 24, 2)] {
        let colored = drawn(&state, Depth::None).content.iter().any(|c| c.fg != Color::Reset || c.bg != Color::Reset);
        assert!(!colored);
    }
}

#[test]
fn sixteen_colors_are_the_terminals_own() {
    let buf = drawn(&attacked(140, 40, 2), Depth::Sixteen);
    assert!(buf.content.iter().all(|c| !matches!(c.fg, Color::Rgb(..) | Color::Indexed(_))));
}

#[test]
fn an_outdated_figure_is_labeled() {
    let mut state = opened(140, 40);
    assert!(!screen(&state).contains("previous result"));
    press(&mut state, "r");
    tell(&mut state, Update::Busy(true));
    assert!(screen(&state).contains("updating (previous result shown)"));
    tell(&mut state, Update::Busy(false));
    tell(&mut state, Update::Failed(report()));
    assert!(screen(&state).contains("failed (previous result shown)"));
}

#[test]
fn two_branches_side_by_side() {
    seen("branches", |columns, rows| {
        let mut state = attacked(columns, rows, 3);
        press(&mut state, "f");
        tell(&mut state, Update::Branches { at: 1, count: 2 });
        tell(&mut state, Update::Frame(step_frame(1, 1, 4)));
        press(&mut state, "v");
        state
    });
}

//! What the screens look like, in every size; `cargo insta review` shows what changed.

use crate::session::*;
use gradscope::script::message::Update;
use gradscope::tui::Depth;
use gradscope::tui::panels;
use gradscope::tui::picture::cells::Blocks;
use gradscope::tui::picture::{Painter, Stage};
use gradscope::tui::state::State;
use gradscope::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

fn drawn(state: &State, depth: Depth) -> Buffer {
    let mut buf = Buffer::empty(Rect::new(0, 0, state.size.0, state.size.1));
    let mut stage = Stage::still(Painter::Cells(Blocks::Letters), depth, (8, 16));
    panels::draw(&mut buf, state, &Theme::new(depth), &mut stage);
    buf
}

fn text(buf: &Buffer) -> String {
    let width = usize::from(buf.area.width);
    let line = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|c| c.symbol()).collect::<String>();
    buf.content.chunks(width).map(|cells| line(cells).trim_end().to_owned() + "\n").collect()
}

fn screen(state: &State) -> String {
    text(&drawn(state, Depth::None))
}

fn failed(columns: u16, rows: u16) -> State {
    let mut state = attacked(columns, rows, 1);
    tell(&mut state, broken_methods());
    tell(&mut state, Update::Failed(report()));
    state
}

#[test]
fn a_map_over_a_picture() {
    insta::assert_snapshot!("map_140x40", screen(&opened(140, 40)));
    insta::assert_snapshot!("map_80x24", screen(&opened(80, 24)));
    insta::assert_snapshot!("map_60x20", screen(&opened(60, 20)));
}

#[test]
fn an_attack_at_a_step() {
    insta::assert_snapshot!("attack_140x40", screen(&attacked(140, 40, 2)));
    insta::assert_snapshot!("attack_80x24", screen(&attacked(80, 24, 2)));
    insta::assert_snapshot!("attack_60x20", screen(&attacked(60, 20, 2)));
}

#[test]
fn an_error_with_the_line_it_is_about() {
    insta::assert_snapshot!("error_140x40", screen(&failed(140, 40)));
    insta::assert_snapshot!("error_80x24", screen(&failed(80, 24)));
}

#[test]
fn help_lists_and_lines_over_the_panes() {
    let mut help = opened(140, 40);
    press(&mut help, "?");
    insta::assert_snapshot!("help_140x40", screen(&help));
    let mut picker = opened(80, 24);
    press(&mut picker, "t");
    insta::assert_snapshot!("picker_80x24", screen(&picker));
    let mut prompt = opened(80, 24);
    press(&mut prompt, ":");
    write(&mut prompt, "set oops");
    press(&mut prompt, "Enter");
    insta::assert_snapshot!("prompt_80x24", screen(&prompt));
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
fn nothing_known_yet_is_no_error() {
    let text = screen(&State::new(140, 40));
    assert!(text.contains("no model") && text.contains("no picture"), "{text}");
}

#[test]
fn without_colours_none_is_used() {
    for state in [failed(140, 40), attacked(80, 24, 2)] {
        let colored = drawn(&state, Depth::None).content.iter().any(|c| c.fg != Color::Reset || c.bg != Color::Reset);
        assert!(!colored);
    }
}

#[test]
fn sixteen_colours_are_the_terminals_own() {
    let buf = drawn(&attacked(140, 40, 2), Depth::Sixteen);
    assert!(buf.content.iter().all(|c| !matches!(c.fg, Color::Rgb(..) | Color::Indexed(_))));
}

#[test]
fn an_old_figure_says_so() {
    let mut state = opened(140, 40);
    assert!(!screen(&state).contains("old"));
    press(&mut state, "r");
    tell(&mut state, Update::Busy(true));
    assert!(screen(&state).contains("old, the new one is being computed"));
    tell(&mut state, Update::Busy(false));
    tell(&mut state, Update::Failed(report()));
    assert!(screen(&state).contains("old, the new one failed"));
}

#[test]
fn two_branches_side_by_side() {
    let beside = |columns, rows| {
        let mut state = attacked(columns, rows, 3);
        press(&mut state, "f");
        tell(&mut state, Update::Branches { at: 1, count: 2 });
        tell(&mut state, Update::Frame(step_frame(1, 1, 4)));
        press(&mut state, "v");
        state
    };
    insta::assert_snapshot!("branches_140x40", screen(&beside(140, 40)));
    insta::assert_snapshot!("branches_80x24", screen(&beside(80, 24)));
}

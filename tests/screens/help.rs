//! The help: searching, wrapping and scrolling.

use crate::drawing::{screen, seen};
use crate::session::*;
use gradscope::tui::state::{Popup, State};

fn helped(columns: u16, rows: u16) -> State {
    let mut state = opened(columns, rows);
    press(&mut state, "?");
    state
}

fn top(state: &State) -> usize {
    let Some(Popup::Help(help)) = &state.popup else { panic!("the help is closed") };
    help.top
}

#[test]
fn a_search_in_the_help() {
    seen("help_search", |columns, rows| {
        let mut state = helped(columns, rows);
        press(&mut state, "/");
        write(&mut state, "branch");
        press(&mut state, "Enter n");
        state
    });
}

#[test]
fn matches_are_counted_and_visited_in_order() {
    let mut state = helped(80, 24);
    press(&mut state, "/");
    write(&mut state, "EPSI");
    let seen = screen(&state);
    assert!(seen.contains("find the smallest epsilon") && seen.contains("1/1"), "case does not matter: {seen}");
    press(&mut state, "Esc");
    assert!(!screen(&state).contains("1/1"), "Esc ends the search");
    assert!(state.popup.is_some(), "and not the help");
    press(&mut state, "/");
    write(&mut state, "branch");
    let first = screen(&state);
    assert!(first.contains("/branch▏  1/"), "{first}");
    press(&mut state, "Enter");
    let mut tops = vec![top(&state)];
    for key in ["n", "n", "N", "N", "N"] {
        press(&mut state, key);
        tops.push(top(&state));
    }
    assert!(screen(&state).contains(" n next  N previous"), "{}", screen(&state));
    assert!(tops[5] > tops[0], "before the first match comes the last one: {tops:?}");
    press(&mut state, "/");
    write(&mut state, "żółw");
    assert!(screen(&state).contains("no match"));
    press(&mut state, "Enter q");
    assert!(matches!(&state.popup, Some(Popup::Help(help)) if help.query.is_empty()), "the first q ends the search");
    press(&mut state, "q");
    assert!(state.popup.is_none());
}

#[test]
fn letters_are_typed_while_searching() {
    let mut state = helped(80, 24);
    press(&mut state, "/ q j n ?");
    assert!(screen(&state).contains("/qjn?"), "{}", screen(&state));
    press(&mut state, "Backspace Backspace Backspace Backspace Backspace");
    assert!(state.popup.is_some() && !screen(&state).contains("/q"));
}

#[test]
fn scrolling_stops_at_the_end_and_returns_at_once() {
    for (columns, rows) in [(140, 40), (80, 24), (60, 20), (40, 8)] {
        let mut state = helped(columns, rows);
        press(&mut state, "G");
        let end = screen(&state);
        assert!(end.contains(":q") || columns > 100, "the last command is at the end: {end}");
        press(&mut state, "j j j Space k");
        assert_eq!(
            top(&state) + 1,
            {
                press(&mut state, "G");
                top(&state)
            },
            "{columns}x{rows}"
        );
        press(&mut state, "g");
        assert_eq!(top(&state), 0);
    }
}

#[test]
fn descriptions_are_readable_in_full_in_narrow_terminals() {
    let mut state = helped(40, 40);
    press(&mut state, "/");
    write(&mut state, "person @");
    press(&mut state, "Enter j j j");
    let seen = screen(&state);
    for line in ["set the target: a class, cat -", "like:other.jpg"] {
        assert!(seen.contains(line), "{seen}");
    }
}

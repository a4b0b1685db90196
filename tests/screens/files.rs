//! The file browser: what it asks for, where it goes, and how it looks.

use crate::drawing::{screen, seen};
use crate::session::*;
use gradscope::script::summary::{MethodCard, ParamKind, ParamRow};
use gradscope::tui::effect::Effect;
use gradscope::tui::event::Event;
use gradscope::tui::files::{FileAbout, FileGoal, FileRow, FileRowKind, Folder};
use gradscope::tui::state::{Popup, State};
use gradscope::worker::message::{Command, Update};
use image::{Rgb, RgbImage};
use std::sync::Arc;

const HOME: &str = "/home/student";

fn row(folder: &str, name: &str, kind: FileRowKind, fits: bool, bytes: u64) -> FileRow {
    FileRow { value: format!("{folder}/{}", name.trim_end_matches('/')), name: name.into(), kind, fits, bytes }
}

fn folder(path: &str) -> Folder {
    use FileRowKind::*;
    let parent = FileRow { value: "/home".into(), ..row(path, "../", Parent, false, 0) };
    let rows = vec![
        parent,
        FileRow { value: path.into(), ..row(path, "./", Whole, true, 0) },
        row(path, "digits.npz", File, true, 11_500_000),
        row(path, "hello.parquet", File, true, 1_200_000_000),
        row(path, "flowers/", Folder, false, 0),
        row(path, "runs/", Folder, false, 0),
        FileRow { value: "made:shapes".into(), ..row(path, "made:shapes", Drawn, true, 0) },
        row(path, "notes.txt", File, false, 1200),
    ];
    gradscope::tui::files::Folder { path: path.into(), rows, left_out: 0, wrong: None }
}

/// Types a command.
fn command(state: &mut State, line: &str) -> Vec<Effect> {
    press(state, ":");
    write(state, line);
    press(state, "Enter")
}

/// The browser for data sets in the home folder.
fn browsing(columns: u16, rows: u16) -> State {
    let mut state = opened(columns, rows);
    state.folder = Some(HOME.into());
    command(&mut state, "data");
    happen(&mut state, Event::Folder(folder(HOME)));
    state
}

fn under(state: &State) -> String {
    let Some(Popup::Files(browser)) = &state.popup else { panic!("no file browser is open") };
    browser.chosen().map_or_else(String::new, |row| row.name.clone())
}

fn described() -> Event {
    let facts =
        ["a data set (npz)", "10,000 pictures", "the first: 28×28, 1 channel", "10 classes: 0, 1, 2, 3, 4, 5, …"];
    let facts = facts.into_iter().chain(["11.5 MB", "changed 2026-03-01 09:30 UTC"]);
    let lines = facts.map(str::to_owned).collect();
    let picture = RgbImage::from_fn(28, 28, |x, y| Rgb([(x * 9) as u8, (y * 9) as u8, 0]));
    Event::FileAbout(format!("{HOME}/digits.npz"), Some(FileAbout { lines, picture: Some(Arc::new(picture)) }))
}

/// A folder all of whose names are long.
pub fn of_long_names(columns: u16, rows: u16, long: &str) -> State {
    let mut state = opened(columns, rows);
    state.folder = Some(HOME.into());
    command(&mut state, "data");
    let mut files = folder(HOME);
    files.rows.iter_mut().for_each(|row| row.name = long.to_owned());
    let first = files.rows[1].value.clone();
    happen(&mut state, Event::Folder(files));
    press(&mut state, "k k k k");
    press(&mut state, "j");
    happen(&mut state, Event::FileAbout(first, Some(FileAbout { lines: vec!["short".into()], picture: None })));
    state
}

#[test]
fn a_file_browser_with_a_data_set() {
    seen("files", |columns, rows| {
        let mut state = browsing(columns, rows);
        press(&mut state, "j");
        press(&mut state, "k");
        assert_eq!(under(&state), "./", "a folder that fits is the first choice");
        press(&mut state, "j");
        happen(&mut state, described());
        state
    });
}

#[test]
fn folders_are_entered_and_left_and_the_file_is_opened() {
    let mut state = browsing(140, 40);
    press(&mut state, "j j j");
    assert_eq!(under(&state), "flowers/");
    let entered = press(&mut state, "l");
    assert_eq!(entered[0], Effect::ReadFolder(FileGoal::Data, format!("{HOME}/flowers").into()));
    assert!(screen(&state).contains("reading …"));
    happen(&mut state, Event::Folder(folder(HOME)));
    assert_eq!(under(&state), "", "the answer to an older question is not shown");
    let mut inner = folder(&format!("{HOME}/flowers"));
    inner.rows[0].value = HOME.into();
    happen(&mut state, Event::Folder(inner));
    assert_eq!(press(&mut state, "h")[0], Effect::ReadFolder(FileGoal::Data, HOME.into()));
    happen(&mut state, Event::Folder(folder(HOME)));
    assert_eq!(under(&state), "flowers/", "the cursor is where it was");
    for (key, entered) in [("Right", "flowers"), ("Enter", "flowers")] {
        let mut state = browsing(140, 40);
        press(&mut state, "j j j");
        assert_eq!(press(&mut state, key)[0], Effect::ReadFolder(FileGoal::Data, format!("{HOME}/{entered}").into()));
    }
    for key in ["Left", "Backspace"] {
        let mut state = browsing(140, 40);
        assert_eq!(press(&mut state, key)[0], Effect::ReadFolder(FileGoal::Data, "/home".into()));
    }
    press(&mut state, "Up Enter");
    assert!(state.popup.is_none());
    let mut state = browsing(140, 40);
    assert_eq!(asked(&press(&mut state, "j Enter")), [Command::Data(format!("{HOME}/digits.npz"))]);
    assert_eq!(state.folder.as_deref(), Some(std::path::Path::new(HOME)), "the browser opens there again");
}

#[test]
fn letters_filter_and_a_path_can_be_typed() {
    let mut state = browsing(140, 40);
    write(&mut state, "shap");
    assert_eq!(under(&state), "made:shapes");
    assert_eq!(asked(&press(&mut state, "Enter")), [Command::Data("made:shapes".into())]);
    let mut state = browsing(140, 40);
    press(&mut state, "/ h e l");
    assert_eq!(under(&state), "hello.parquet", "after / all letters are typed");
    press(&mut state, "Backspace Backspace Backspace l");
    assert_eq!(under(&state), "./", "without a query, l enters folders again");
    write(&mut state, "/cifar10:x/y");
    let seen = screen(&state);
    assert!(seen.contains("Enter opens cifar10:x/y"), "{seen}");
    assert_eq!(asked(&press(&mut state, "Enter")), [Command::Data("cifar10:x/y".into())]);
    let mut state = browsing(140, 40);
    write(&mut state, "zzz#train");
    assert_eq!(asked(&press(&mut state, "Enter")), [Command::Data(format!("{HOME}/zzz#train"))]);
}

#[test]
fn each_row_is_described_once_the_cursor_is_on_it() {
    let mut state = browsing(140, 40);
    let moved = press(&mut state, "j");
    assert_eq!(moved, [Effect::FileAbout(FileGoal::Data, format!("{HOME}/digits.npz"))]);
    press(&mut state, "j");
    happen(&mut state, described());
    assert!(!screen(&state).contains("10,000 pictures"), "the cursor has moved on");
    press(&mut state, "k");
    happen(&mut state, described());
    assert!(screen(&state).contains("10,000 pictures"));
}

#[test]
fn parameters_that_are_files_open_the_browser() {
    let mut state = opened(140, 40);
    let param = |name: &str, kind| ParamRow {
        name: name.into(),
        doc: "a file".into(),
        kind,
        value: String::new(),
        default: String::new(),
    };
    let params = vec![param("style", ParamKind::Pictures), param("given", ParamKind::Array)];
    tell(&mut state, Update::Method(MethodCard { params, ..glow() }));
    let read = |goal| Effect::ReadFolder(goal, ".".into());
    assert_eq!(command(&mut state, "set style"), [read(FileGoal::Pictures("style".into()))]);
    press(&mut state, "Esc");
    press(&mut state, "4 j");
    assert_eq!(press(&mut state, "Enter"), [read(FileGoal::Array("given".into()))]);
    let path = std::path::absolute(".").unwrap();
    let row = row("/a", "x.npy", FileRowKind::File, true, 5);
    happen(&mut state, Event::Folder(Folder { path, rows: vec![row], left_out: 0, wrong: None }));
    assert_eq!(asked(&press(&mut state, "Enter")), [Command::Set("given".into(), "/a/x.npy".into())]);
    assert_eq!(asked(&command(&mut state, "set style=")), [Command::Set("style".into(), String::new())]);
    press(&mut state, ":");
    let typed = write(&mut state, "set style ph");
    let wanted = Effect::Complete { text: "ph".into(), also: vec![], insert: false };
    assert_eq!(typed.last(), Some(&wanted));
}

#[test]
fn a_folder_that_cannot_be_read_says_so() {
    let mut state = browsing(80, 24);
    press(&mut state, "h");
    let wrong = Some("cannot read \"/home\": permission denied".into());
    happen(&mut state, Event::Folder(Folder { path: "/home".into(), rows: vec![], left_out: 0, wrong }));
    assert!(screen(&state).contains("permission denied"), "{}", screen(&state));
    assert!(press(&mut state, "Enter").is_empty());
}

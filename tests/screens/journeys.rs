//! How many keys the usual journeys take.

use crate::readme::App;
use crate::session::*;
use gradscope::script::session::Target;
use gradscope::tui::event::{Event, Key};
use gradscope::tui::state::Pane;
use gradscope::worker::message::Command;
use std::collections::BTreeSet;

/// Keys as a user presses them: named keys, and texts letter by letter.
fn keys(steps: &[&str]) -> Vec<Key> {
    let named = |step: &&str| match *step {
        "Enter" => vec![Key::Enter],
        "Space" => vec![Key::Char(' ')],
        text => text.chars().map(Key::Char).collect(),
    };
    steps.iter().flat_map(named).collect()
}

#[test]
fn a_class_of_ones_own_network_and_picture_takes_twelve_keys() {
    let mut state = opened(140, 40);
    let mut pressed = 0;
    let mut go = |steps: &[&str]| {
        let keys = keys(steps);
        pressed += keys.len();
        let effects: Vec<_> = keys.into_iter().flat_map(|key| happen(&mut state, Event::Key(key))).collect();
        asked(&effects)
    };
    let model = Command::Model { name: "tiny".into(), weights: None };
    assert_eq!(go(&["m", "t", "Enter"]), [model]);
    let picture = go(&["i", "s[2", "Enter"]);
    assert_eq!(picture, [Command::Picture("made:shapes[2]".into())]);
    assert_eq!(go(&["t", "c", "Enter"]), [Command::Target(Some(Target::Class(2)))]);
    assert!(pressed <= 12, "{pressed} keys");
}

#[test]
fn an_attack_with_a_goal_forked_compared_and_saved_takes_thirty_keys() {
    let mut app = App::first_start(140, 40);
    let mut pressed = 0;
    let mut go = |app: &mut App, steps: &[&str]| {
        let keys = keys(steps);
        pressed += keys.len();
        keys.into_iter().for_each(|key| app.happen(Event::Key(key)));
        app.settle();
    };
    go(&mut app, &["/", "fgsm", "Enter"]);
    go(&mut app, &["4", "Enter", "sta", "Enter"]);
    assert_eq!(app.value("goal"), app.class("star"));
    go(&mut app, &["."]);
    go(&mut app, &["f"]);
    go(&mut app, &["j", "}"]);
    assert_eq!(app.value("epsilon"), "80");
    go(&mut app, &["."]);
    go(&mut app, &["v"]);
    let captions: Vec<_> = app.state.visible.figures.iter().map(|f| f.figure.words().into_owned()).collect();
    assert_eq!(captions.len(), 3, "{captions:?}");
    assert!(captions[0].contains("epsilon 8") && captions[1].contains("epsilon 80"), "{captions:?}");
    assert!(captions[2].contains("epsilon 8 → 80"), "{captions:?}");
    go(&mut app, &["s", "Enter"]);
    assert!(matches!(app.saves[..], [Command::Save(_)]), "{:?}", app.saves);
    assert!(pressed <= 30, "{pressed} keys");
}

#[test]
fn six_methods_for_two_classes_compared_and_saved_take_forty_keys() {
    let mut app = App::first_start(140, 40);
    let folder = tempfile::tempdir().unwrap();
    let mut pressed = 0;
    let mut go = |app: &mut App, steps: &[&str]| {
        let keys = keys(steps);
        pressed += keys.len();
        keys.into_iter().for_each(|key| app.happen(Event::Key(key)));
        app.settle();
    };
    // From the current method, Grad-CAM, past the heading of its group.
    go(&mut app, &["*j**jjj****"]);
    assert_eq!(app.state.gallery.methods.len(), 6, "{:?}", app.state.gallery.methods);
    go(&mut app, &["5", "**"]);
    assert_eq!(app.state.focus, Pane::CLASSES);
    assert_eq!(app.state.gallery.classes.len(), 2);
    go(&mut app, &["V"]);
    let captions: Vec<_> = app.state.visible.figures.iter().map(|f| f.figure.words().into_owned()).collect();
    assert_eq!(captions.len(), 12, "{captions:?}");
    let shown = app.state.gallery.shown.as_ref().unwrap();
    let missing: Vec<_> = (0..12).filter(|index| shown.figure(*index).is_none()).map(|at| &captions[at]).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(captions[0].starts_with("Grad-CAM → "), "{captions:?}");
    let (first, second) = (shown.figure(0).unwrap(), shown.figure(6).unwrap());
    assert_ne!(first, second, "the maps of two classes differ");
    go(&mut app, &["s"]);
    go(&mut app, &["Enter"]);
    assert!(pressed <= 40, "{pressed} keys");
    let [Command::SaveGallery(_)] = &app.saves[..] else { panic!("{:?}", app.saves) };
    app.send(Command::SaveGallery(folder.path().join("out")));
    let names = std::fs::read_dir(folder.path().join("out")).unwrap();
    let names: BTreeSet<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 13, "{names:?}");
    assert!(names.contains("gallery.png"), "{names:?}");
    let first = &captions[0].split(" → ").nth(1).unwrap().replace(' ', "_");
    let result = folder.path().join(format!("out/gradcam-{first}/result.json"));
    let result: serde_json::Value = serde_json::from_slice(&std::fs::read(result).unwrap()).unwrap();
    assert_eq!(result["method"], "gradcam");
    app.happen(Event::Key(Key::Char('V')));
    assert!(app.state.gallery.shown.is_none() && app.state.visible.figures.len() < 12);
}

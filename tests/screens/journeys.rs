//! How many keys the usual journeys take.

use crate::readme::App;
use crate::session::*;
use gradscope::script::session::Target;
use gradscope::tui::event::{Event, Key};
use gradscope::worker::message::Command;

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
    assert_eq!(app.saved.len(), 1, "the figures are saved");
    assert!(pressed <= 30, "{pressed} keys");
}

//! The tutorial: lessons that end when the user has done what they ask for.

use super::{Pane, State};
use crate::tui::keymap::Action;

/// The current lesson of the tutorial, and what was on the screen when it began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tutor {
    /// Index of the lesson in [`LESSONS`].
    pub lesson: usize,
    before: Before,
}

/// What was on the screen when a lesson began.
#[derive(Clone, Debug, Default, PartialEq)]
struct Before {
    target: Option<String>,
    method: Option<String>,
    branches: usize,
    saved: usize,
}

/// A lesson: what to do, and when it is done.
pub struct Lesson {
    /// Title of the lesson.
    pub title: &'static str,
    /// What to do and why, with the user's keys.
    pub text: fn(&dyn Fn(Action) -> String) -> String,
    /// Whether the user has done it.
    done: fn(&State, &Before) -> bool,
}

/// The lessons, in order.
pub const LESSONS: &[Lesson] = &[
    Lesson {
        title: "What does the network look at?",
        text: |_| {
            "Grad-CAM shows which cells of the last convolution support the target class, the one named after → in the first line. \
             Look at the map, then press Tab until the frame of Classes is lit."
                .into()
        },
        done: |state, _| state.focus == Pane::CLASSES,
    },
    Lesson {
        title: "Ask about another class",
        text: |key| {
            format!(
                "Move to another class with j and k and press Enter: the map now answers for that class. {} chooses among all \
                 classes by name.",
                key(Action::PickTarget)
            )
        },
        done: |state, before| state.target_label() != before.target && !state.stale(),
    },
    Lesson {
        title: "Another method, another answer",
        text: |key| {
            format!(
                "Press {}, type lrp and press Enter. LRP passes the logit down to single pixels: red supports the class, blue \
                 speaks against it. The line below the list of methods says what a method can't tell.",
                key(Action::Filter)
            )
        },
        done: |state, before| method(state) != before.method && !state.stale(),
    },
    Lesson {
        title: "Read values",
        text: |key| {
            format!(
                "{} reads the value at a ring that the arrow keys or the mouse move; it is shown below each picture. Esc ends it.",
                key(Action::Inspect)
            )
        },
        done: |state, _| state.lens.mark.is_some(),
    },
    Lesson {
        title: "Change a parameter",
        text: |key| {
            format!(
                "Press Esc, focus Parameters with Tab, and change a value with {} and {}; the figures follow. An asterisk marks a \
                 value that isn't the default.",
                key(Action::Change(-1)),
                key(Action::Change(1))
            )
        },
        done: |state, _| state.params().iter().any(|param| state.value(param) != param.default),
    },
    Lesson {
        title: "Compare",
        text: |key| {
            format!(
                "{} keeps this result as A and opens B beside it. Choose another method or class: both are shown with their \
                 difference and correlation.",
                key(Action::Compare)
            )
        },
        done: |state, _| state.branches.beside().is_some() && !state.stale(),
    },
    Lesson {
        title: "Step an attack",
        text: |key| {
            format!(
                "Type :close to leave the comparison, then {} fgsm Enter. An attack waits at step 0: {} takes a step, {} goes back, \
                 {} runs. Watch the classes change until the network is fooled.",
                key(Action::Filter),
                key(Action::Step(1)),
                key(Action::Step(-1)),
                key(Action::Play)
            )
        },
        done: |state, _| state.stepped() && !state.settles() && state.run.frame.as_ref().is_some_and(|f| f.step > 0),
    },
    Lesson {
        title: "Fork",
        text: |key| {
            format!(
                "{} forks a branch at this step. Change epsilon in it and step on; {} switches between the branches, which keep \
                 their own steps.",
                key(Action::Fork),
                key(Action::Branch(1))
            )
        },
        done: |state, before| state.branches.count > before.branches.max(1),
    },
    Lesson {
        title: "Write a rule",
        text: |key| {
            format!(
                "Press {} and choose lrp_by_hand, then {}: the script opens in your editor as a copy of your own. Change a line, \
                 save and quit: the map is new. A mistake is shown with its line, and the last good map stays.",
                key(Action::PickMethod),
                key(Action::Edit)
            )
        },
        done: |state, _| state.method_row().is_some_and(|method| method.own),
    },
    Lesson {
        title: "Save",
        text: |key| {
            format!(
                "{} and Enter save the figures, their raw values as .npy, and result.json with everything needed to repeat the run. \
                 That's all: {} lists every key, {} every command.",
                key(Action::Save),
                key(Action::Help),
                key(Action::CommandLine)
            )
        },
        done: |state, before| state.log.iter().filter(|line| line.text.contains("saved")).count() > before.saved,
    },
];

impl Tutor {
    /// The tutorial at one of its lessons; `None` after the last one.
    pub fn at(lesson: usize, state: &State) -> Option<Self> {
        let before = Before {
            target: state.target_label(),
            method: method(state),
            branches: state.branches.count,
            saved: state.log.iter().filter(|line| line.text.contains("saved")).count(),
        };
        (lesson < LESSONS.len()).then_some(Self { lesson, before })
    }

    /// Whether the user has done what the lesson asks for.
    pub fn is_done(&self, state: &State) -> bool {
        LESSONS.get(self.lesson).is_some_and(|lesson| (lesson.done)(state, &self.before))
    }
}

fn method(state: &State) -> Option<String> {
    state.method.as_ref().map(|method| method.name.clone())
}

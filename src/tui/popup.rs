//! What is open over the panes: opening it, typing into it, taking what was chosen.

use super::act;
use super::keymap::{Action, Key};
use super::msg::{Effect, Mouse};
use super::orders;
use super::panels::layout;
use super::picker::{Choice, Item, Picker};
use super::prompt::{self, Prompt};
use super::shelf;
use super::state::{Pane, Popup, State};
use crate::render::Colormap;
use crate::script::message::{Command, ParamKind, ParamRow};

/// Opens the popup that an action is for.
pub fn open(state: &mut State, action: Action) -> Vec<Effect> {
    let picker = match action {
        Action::Help => {
            state.popup = Some(Popup::Help(0));
            return Vec::new();
        }
        Action::PickMethod => methods(state),
        Action::PickModel => models(state),
        Action::PickTarget => classes(state, Choice::Target, "target class", state.target),
        Action::PickColors => colors(state),
        Action::PickPicture => return shelf::open(state),
        Action::Reference => return shelf::open_reference(state),
        Action::PickLayer => match state.layer_param() {
            Some((param, _)) => return open_values(state, &param.clone()),
            None => return act::choose_layer(state, String::new()),
        },
        _ => return Vec::new(),
    };
    state.popup = Some(Popup::Picker(picker));
    Vec::new()
}

/// Opens the list of values that a parameter may have.
pub fn open_values(state: &mut State, param: &ParamRow) -> Vec<Effect> {
    let of = Choice::Parameter(param.name.clone());
    let picker = match &param.kind {
        ParamKind::Class => classes(state, of, &param.name, state.value(param).parse().ok()),
        ParamKind::Layer(kinds) => {
            let items = state.values_of(param, kinds).into_iter().map(|name| layer_item(state, name)).collect();
            Picker::new(of, &param.name, items, &state.layer().unwrap_or_default())
        }
        ParamKind::Choice(choices) => {
            let items = choices.iter().map(|c| item(c, c, "")).collect();
            Picker::new(of, &param.name, items, state.value(param))
        }
        _ => return Vec::new(),
    };
    state.popup = Some(Popup::Picker(picker));
    Vec::new()
}

/// Does an action while something is open.
pub fn act(state: &mut State, action: Action) -> Vec<Effect> {
    let size = state.size;
    match state.popup.take() {
        Some(Popup::Help(row)) => {
            state.popup = scrolled(row, action).map(Popup::Help);
            Vec::new()
        }
        Some(Popup::Picker(mut picker)) => match action {
            Action::Accept => picker.value().map_or_else(Vec::new, |value| take(state, &picker.of, value)),
            Action::Escape => Vec::new(),
            _ => {
                move_in(&mut picker, action, size);
                state.popup = Some(Popup::Picker(picker));
                Vec::new()
            }
        },
        Some(Popup::Prompt(prompt)) => in_prompt(state, prompt, action),
        None => Vec::new(),
    }
}

/// Types a letter, where letters are typed.
pub fn letter(state: &mut State, key: Key) -> Vec<Effect> {
    let Key::Char(letter) = key else { return Vec::new() };
    match &mut state.popup {
        Some(Popup::Picker(picker)) => picker.push(letter),
        Some(Popup::Prompt(_)) => return paste(state, &letter.to_string()),
        _ => {}
    }
    Vec::new()
}

/// Types a text; where nothing is open it is the path of a picture (files can be dropped onto terminals).
pub fn paste(state: &mut State, text: &str) -> Vec<Effect> {
    match &mut state.popup {
        Some(Popup::Picker(picker)) => text.chars().for_each(|c| picker.push(c)),
        Some(Popup::Prompt(prompt)) => {
            prompt.insert(text);
            narrow(state);
        }
        Some(Popup::Help(_)) => {}
        None => {
            let path = text.trim().trim_matches(['\'', '"']);
            state.popup = Some(Popup::Prompt(Prompt::command(format!("open {path}"))));
        }
    }
    Vec::new()
}

/// Takes the files that a path may become.
pub fn complete(state: &mut State, offers: Vec<String>) -> Vec<Effect> {
    if let Some(Popup::Prompt(prompt)) = &mut state.popup {
        prompt.complete(offers);
    }
    Vec::new()
}

/// The wheel moves the cursor; a click beside what is open closes it, one on a row takes it.
pub fn point(state: &mut State, mouse: Mouse, column: u16, row: u16) -> Vec<Effect> {
    let by = match mouse {
        Mouse::WheelUp => return act(state, Action::Move(-1)),
        Mouse::WheelDown => return act(state, Action::Move(1)),
        Mouse::Press => layout::picker_row(state, column, row),
        Mouse::Drag => return Vec::new(),
    };
    match (&mut state.popup, by) {
        (Some(Popup::Picker(picker)), Some(row)) if picker.list.offset + row < picker.hits.len() => {
            picker.list.go(picker.list.offset + row);
            act(state, Action::Accept)
        }
        (Some(Popup::Picker(_)), Some(_)) => Vec::new(),
        _ => act(state, Action::Escape),
    }
}

fn scrolled(row: usize, action: Action) -> Option<usize> {
    match action {
        Action::Move(by) => Some(row.saturating_add_signed(by as isize)),
        Action::Page(by) => Some(row.saturating_add_signed(by as isize * 8)),
        _ => None,
    }
}

fn move_in(picker: &mut Picker, action: Action, size: (u16, u16)) {
    let half = (layout::picker_rows(size, picker) / 2).max(1) as i32;
    match action {
        Action::Move(by) => picker.list.step(by, picker.hits.len()),
        Action::Page(by) => picker.list.step(by * half, picker.hits.len()),
        Action::Rub => picker.rub(),
        _ => {}
    }
}

fn take(state: &mut State, of: &Choice, value: String) -> Vec<Effect> {
    match of {
        Choice::Method => act::run_method(state, value),
        Choice::Model if state.models.iter().any(|m| m.name == value && !m.weights) => {
            state.say(format!("which weights for {value}? Tab completes paths"));
            state.popup = Some(Popup::Prompt(Prompt::command(format!("model {value} "))));
            Vec::new()
        }
        Choice::Model => act::ask(Command::Model { name: value, weights: None }),
        Choice::Target => act::ask(Command::Target(value.parse().ok())),
        Choice::Parameter(name) => act::set(state, name.clone(), value),
        Choice::Picture => act::ask(Command::Picture(value)),
        Choice::Reference => Vec::new(),
        Choice::Colors => {
            state.lens.tint.colors = Colormap::named(&value).unwrap_or_default();
            Vec::new()
        }
    }
}

fn in_prompt(state: &mut State, mut prompt: Prompt, action: Action) -> Vec<Effect> {
    match action {
        Action::Escape => return leave(state, &prompt),
        Action::Accept if prompt.filter => return act::take_best(state),
        Action::Accept => return accept(state, prompt),
        Action::Rub if !prompt.rub() => return leave(state, &prompt),
        Action::Complete if prompt::wants_path(&prompt.text) => {
            let path = prompt.text.rsplit(' ').next().unwrap_or("").to_owned();
            state.popup = Some(Popup::Prompt(prompt));
            return vec![Effect::Complete(path)];
        }
        Action::Complete => prompt.complete(prompt::offers(state, &prompt.text)),
        Action::Delete => prompt.delete(),
        Action::RubWord => prompt.rub_word(),
        Action::RubLine => prompt.clear(),
        Action::Cursor(by) => prompt.step(by),
        Action::Move(by) if prompt.filter => {
            state.popup = Some(Popup::Prompt(prompt));
            return act::step_cursor(state, state.focus, by);
        }
        Action::Move(by) => prompt.recall(&state.lines, by),
        Action::LineStart => prompt.cursor = 0,
        Action::LineEnd => prompt.step(i32::MAX),
        _ => {}
    }
    state.popup = Some(Popup::Prompt(prompt));
    narrow(state);
    Vec::new()
}

fn accept(state: &mut State, mut prompt: Prompt) -> Vec<Effect> {
    if prompt.text.trim().is_empty() {
        return Vec::new();
    }
    match prompt::parse(&prompt.text).and_then(|order| orders::obey(state, order)) {
        Ok(effects) => {
            state.lines.retain(|line| *line != prompt.text);
            state.lines.push(prompt.text);
            effects
        }
        Err(wrong) => {
            prompt.wrong = Some(wrong);
            state.popup = Some(Popup::Prompt(prompt));
            Vec::new()
        }
    }
}

/// Narrows the list down while its filter is typed.
fn narrow(state: &mut State) {
    let Some(Popup::Prompt(prompt)) = &state.popup else { return };
    if !prompt.filter {
        return;
    }
    let text = prompt.text.clone();
    match state.focus {
        Pane::Layers => {
            state.layers.filter(&text);
            state.layer_filter = text;
        }
        _ => {
            state.method_filter = text;
            state.method_list.go(state.best_listed());
        }
    }
}

fn leave(state: &mut State, prompt: &Prompt) -> Vec<Effect> {
    if prompt.filter {
        state.popup = Some(Popup::Prompt(Prompt::filter("")));
        narrow(state);
        state.popup = None;
    }
    Vec::new()
}

fn methods(state: &State) -> Picker {
    let items = state.methods.iter().map(|m| item(&m.name, &m.name, &m.summary)).collect();
    Picker::new(Choice::Method, "method", items, state.method.as_ref().map_or("", |m| &m.name))
}

fn models(state: &State) -> Picker {
    let about = |weights: bool, summary: &str| match weights {
        true => summary.to_owned(),
        false => format!("{summary} (:model NAME WEIGHTS)"),
    };
    let items = state.models.iter().map(|m| item(&m.name, &m.name, &about(m.weights, &m.summary))).collect();
    Picker::new(Choice::Model, "model", items, state.model.as_ref().map_or("", |m| &m.name))
}

/// The classes, the likely ones first.
fn classes(state: &State, of: Choice, title: &str, present: Option<usize>) -> Picker {
    let likely: Vec<usize> = state.classes().iter().map(|row| row.class).collect();
    let count = state.model.as_ref().map_or(0, |m| m.labels.len());
    let rest = (0..count).filter(|class| !likely.contains(class));
    let chance = |class: usize| state.classes().iter().find(|r| r.class == class).map(|r| r.probability);
    let row = |class: usize| {
        let detail = chance(class).map_or_else(String::new, |p| format!("{:.1} %", p * 100.0));
        item(&class.to_string(), &format!("{} {class}", state.label(class)), &detail)
    };
    let none = item("", "none", if of == Choice::Target { "what the network says" } else { "" });
    let items = std::iter::once(none).chain(likely.iter().copied().chain(rest).map(row)).collect();
    Picker::new(of, title, items, &present.map_or_else(String::new, |class| class.to_string()))
}

fn colors(state: &State) -> Picker {
    let items = Colormap::ALL.iter().map(|c| item(c.name(), c.name(), "")).collect();
    Picker::new(Choice::Colors, "colours of maps", items, state.lens.tint.colors.name())
}

fn layer_item(state: &State, name: String) -> Item {
    let layers = state.model.as_ref().map_or(&[][..], |m| &m.layers);
    let row = layers.iter().find(|l| l.name == name);
    let detail = row.map_or_else(String::new, |l| format!("{} {}", l.kind, super::tree::shape(&l.shape)));
    Item { label: name.clone(), value: name, detail }
}

pub(super) fn item(value: &str, label: &str, detail: &str) -> Item {
    Item { value: value.to_owned(), label: label.to_owned(), detail: detail.to_owned() }
}

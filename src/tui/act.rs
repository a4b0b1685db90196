//! What every action does to the state.

use super::answer::headline;
use super::branching;
use super::change;
use super::gaze;
use super::keymap::Action;
use super::look;
use super::msg::Effect;
use super::panels::layout;
use super::popup;
use super::prompt::Prompt;
use super::state::{Pane, Popup, Rest, State, Tone};
use crate::script::message::{Command, ParamKind, ParamRow};
use std::time::Duration;

/// A method or layer is run when the cursor has rested on it for so long.
const REST: Duration = Duration::from_millis(180);

/// Does what a key asks for.
pub fn act(state: &mut State, action: Action) -> Vec<Effect> {
    if state.popup.is_some() {
        return popup::act(state, action);
    }
    match action {
        Action::Quit => quit(state),
        Action::Interrupt => interrupt(state),
        Action::Escape => escape(state),
        Action::Redraw => vec![Effect::Redraw],
        Action::Suspend => vec![Effect::Suspend],
        Action::Pane(number) => focus(state, Pane::ALL[usize::from(number - 1) % 7]),
        Action::NextPane => turn_pane(state, 1),
        Action::LastPane => turn_pane(state, 6),
        Action::Zoom => zoom(state),
        Action::ShowLog => {
            state.zoomed = !(state.zoomed && state.focus == Pane::Log);
            focus(state, Pane::Log)
        }
        Action::Move(by) => step_cursor(state, state.focus, by),
        Action::Page(by) => {
            let half = (layout::areas(state).rows(state.focus) / 2).max(1) as i32;
            step_cursor(state, state.focus, by * half)
        }
        Action::Top => step_cursor(state, state.focus, -100_000),
        Action::Bottom => step_cursor(state, state.focus, 100_000),
        Action::Choose => choose(state),
        Action::Left => sideways(state, -1),
        Action::Right => sideways(state, 1),
        Action::Look(by) => turn_look(state, by),
        Action::Enlarge(by) => gaze::enlarge(state, by),
        Action::Whole => {
            state.lens.reset();
            Vec::new()
        }
        Action::Inspect => gaze::inspect(state),
        Action::Scale => gaze::turn_scale(state),
        Action::Strength(by) => gaze::strengthen(state, by),
        Action::Change(by) => {
            alter(state, |kind, value, names, classes| change::notched(kind, value, by, names, classes))
        }
        Action::Tenfold(by) => alter(state, |kind, value, _, _| change::tenfold(kind, value, by)),
        Action::Default => default(state),
        Action::Defaults => defaults(state),
        Action::Play | Action::Step(_) | Action::First | Action::Last => steps(state, action),
        Action::Fork => ask(Command::Fork),
        Action::Branch(by) => branching::turn(state, by),
        Action::Compare => branching::compare(state),
        Action::Restart => ask(Command::Restart),
        Action::Cancel => cancel(state),
        Action::Edit => edit(state),
        Action::Save => open(state, Prompt::command("save gradscope-out")),
        Action::OpenPicture => open(state, Prompt::command("open ")),
        Action::CommandLine => open(state, Prompt::command("")),
        Action::Filter => filter(state),
        _ => popup::open(state, action),
    }
}

/// One question for the worker.
pub fn ask(command: Command) -> Vec<Effect> {
    vec![Effect::Ask(command)]
}

/// Runs a method, from its start.
pub fn run_method(state: &mut State, name: String) -> Vec<Effect> {
    state.resting = None;
    state.run.playing = false;
    ask(Command::Method(name))
}

/// Lets the method look at a layer, if it looks at one.
pub fn choose_layer(state: &mut State, name: String) -> Vec<Effect> {
    state.resting = None;
    let Some((param, kinds)) = state.layer_param() else {
        let method = state.method.as_ref().map_or("the method", |m| m.name.as_str()).to_owned();
        state.say(format!("{method} looks at no layer"));
        return Vec::new();
    };
    let (param, kinds) = (param.name.clone(), kinds.to_vec());
    if !state.layers_of(&kinds).contains(&name) {
        state.say(format!("{name} is none of: {}", kinds.join(", ")));
        return Vec::new();
    }
    set(state, param, name)
}

/// Sets a parameter, here at once and at the worker's soon.
pub fn set(state: &mut State, name: String, value: String) -> Vec<Effect> {
    state.edits.insert(name.clone(), value.clone());
    ask(Command::Set(name, value))
}

/// To a step; beyond the last kept one there is nothing.
pub fn seek_at(state: &mut State, place: Option<usize>) -> Vec<Effect> {
    place.filter(|_| state.stepped()).map_or_else(Vec::new, |step| ask(Command::Seek(step)))
}

/// Moves the cursor of a pane; what it comes to rest on is run, unless steps would be lost.
pub fn step_cursor(state: &mut State, pane: Pane, by: i32) -> Vec<Effect> {
    match pane {
        Pane::Methods => {
            state.method_list.step(by, state.listed().len());
            rest_on_method(state);
        }
        Pane::Layers => {
            state.layer_list.step(by, state.layers.rows().len());
            rest_on_layer(state);
        }
        Pane::Parameters => state.param_list.step(by, state.params().len()),
        Pane::Classes => state.class_list.step(by, state.classes().len()),
        Pane::Log => state.log_back = state.log_back.saturating_add_signed(by as isize).min(state.log.len()),
        Pane::Figures => return look_aside(state, 0, by.signum()),
        Pane::Curves => return turn_curve(state, by.signum()),
    }
    Vec::new()
}

fn rest_on_method(state: &mut State) {
    let Some(name) = state.listed().get(state.method_list.cursor).map(|m| m.name.clone()) else { return };
    let present = state.method.as_ref().is_some_and(|m| m.name == name);
    let steps = state.run.frame.as_ref().is_some_and(|f| f.kept > 1);
    if steps && !present {
        let method = state.method.as_ref().map_or("", |m| m.name.as_str());
        state.say(format!("Enter runs {name} and ends the steps of {method}"));
    }
    let rest = (Rest::Method(name), state.now + REST);
    state.resting = (!present && !steps).then_some(rest);
}

fn rest_on_layer(state: &mut State) {
    let Some(row) = state.layers.rows().get(state.layer_list.cursor) else { return };
    let fits = state.layer_param().is_some_and(|(_, kinds)| kinds.is_empty() || kinds.contains(&row.kind));
    let present = state.layer().as_ref() == Some(&row.name);
    let rest = (Rest::Layer(row.name.clone()), state.now + REST);
    state.resting = (row.group.is_none() && fits && !present).then_some(rest);
}

fn choose(state: &mut State) -> Vec<Effect> {
    match state.focus {
        Pane::Methods => {
            let name = state.listed().get(state.method_list.cursor).map(|m| m.name.clone());
            name.map_or_else(Vec::new, |name| run_method(state, name))
        }
        Pane::Layers => choose_row(state),
        Pane::Parameters => enter_value(state),
        Pane::Classes => {
            let class = state.classes().get(state.class_list.cursor).map(|row| row.class);
            class.map_or_else(Vec::new, |class| ask(Command::Target(Some(class))))
        }
        Pane::Figures if !state.pointed.is_empty() => open_pointed(state),
        Pane::Figures | Pane::Curves | Pane::Log => zoom(state),
    }
}

/// Opens the picture of the point that is pointed at, of several the first.
fn open_pointed(state: &mut State) -> Vec<Effect> {
    state.lens.reset();
    let first = std::mem::take(&mut state.pointed).into_iter().next();
    first.map_or_else(Vec::new, |(name, _)| ask(Command::Picture(name)))
}

fn choose_row(state: &mut State) -> Vec<Effect> {
    let Some(row) = state.layers.rows().get(state.layer_list.cursor).cloned() else { return Vec::new() };
    match row.group {
        Some(seen) => {
            state.layers.fold(&row.name, seen);
            Vec::new()
        }
        None => choose_layer(state, row.name),
    }
}

/// A value is chosen from a list where there is one, else typed.
fn enter_value(state: &mut State) -> Vec<Effect> {
    let Some(param) = state.params().get(state.param_list.cursor).cloned() else { return Vec::new() };
    match param.kind {
        ParamKind::Switch => act(state, Action::Change(1)),
        ParamKind::Choice(_) | ParamKind::Class | ParamKind::Layer(_) => popup::open_values(state, &param),
        _ => {
            let line = format!("set {} {}", param.name, state.value(&param));
            open(state, Prompt::command(line))
        }
    }
}

fn sideways(state: &mut State, by: i32) -> Vec<Effect> {
    match state.focus {
        Pane::Layers => fold(state, by < 0),
        Pane::Parameters => act(state, Action::Change(by)),
        Pane::Curves => turn_curve(state, by),
        Pane::Figures => look_aside(state, by, 0),
        _ => turn_look(state, by),
    }
}

/// Folding a layer folds the group that it is in.
fn fold(state: &mut State, folded: bool) -> Vec<Effect> {
    let Some(row) = state.layers.rows().get(state.layer_list.cursor).cloned() else { return Vec::new() };
    let group = match row.group {
        Some(true) => Some(row.name),
        Some(false) if !folded => Some(row.name),
        _ => row.name.rsplit_once('.').map(|(group, _)| group.to_owned()).filter(|_| folded),
    };
    if let Some(group) = group {
        state.layers.fold(&group, folded);
        let place = state.layers.rows().iter().position(|r| r.name == group && r.group.is_some());
        state.layer_list.go(place.unwrap_or(state.layer_list.cursor));
    }
    Vec::new()
}

/// Moves over an enlarged picture, or turns to another view.
fn look_aside(state: &mut State, x: i32, y: i32) -> Vec<Effect> {
    match gaze::go(state, x, y) {
        true => Vec::new(),
        false => turn_look(state, x + y),
    }
}

fn turn_look(state: &mut State, by: i32) -> Vec<Effect> {
    state.look = look::turned(state, by).unwrap_or_default();
    Vec::new()
}

fn turn_curve(state: &mut State, by: i32) -> Vec<Effect> {
    let count = super::panels::curves::groups(state).len().max(1) as i32;
    state.curve = (state.curve as i32 + by).rem_euclid(count) as usize;
    Vec::new()
}

fn alter(state: &mut State, new: impl Fn(&ParamKind, &str, &[String], usize) -> Option<String>) -> Vec<Effect> {
    let Some(param) = state.params().get(state.param_list.cursor) else { return Vec::new() };
    let names = match &param.kind {
        ParamKind::Layer(kinds) => state.values_of(param, kinds),
        _ => Vec::new(),
    };
    let classes = state.model.as_ref().map_or(0, |m| m.labels.len());
    let value = match &param.kind {
        ParamKind::Layer(_) => state.layer().unwrap_or_default(),
        _ => state.value(param).to_owned(),
    };
    let name = param.name.clone();
    new(&param.kind, &value, &names, classes).map_or_else(Vec::new, |value| set(state, name, value))
}

fn default(state: &mut State) -> Vec<Effect> {
    let param = state.params().get(state.param_list.cursor).filter(|p| state.value(p) != p.default).cloned();
    param.map_or_else(Vec::new, |p| set(state, p.name, p.default))
}

fn defaults(state: &mut State) -> Vec<Effect> {
    let changed: Vec<ParamRow> = state.params().iter().filter(|p| state.value(p) != p.default).cloned().collect();
    changed.into_iter().flat_map(|p| set(state, p.name, p.default)).collect()
}

fn steps(state: &mut State, action: Action) -> Vec<Effect> {
    if !state.stepped() {
        let method = state.method.as_ref().map_or("no method", |m| m.name.as_str()).to_owned();
        state.say(format!("{method} has no steps"));
        return Vec::new();
    }
    let (step, kept) = state.run.frame.as_ref().map_or((0, 1), |f| (f.step, f.kept));
    match action {
        Action::Play if state.run.playing => {
            state.run.playing = false;
            ask(Command::Pause)
        }
        Action::Play => {
            state.run.playing = true;
            ask(Command::Play)
        }
        Action::Step(1) => ask(Command::Step),
        Action::Step(-1) => ask(Command::Back),
        Action::Step(by) if step.saturating_add_signed(by as isize) < kept => {
            ask(Command::Seek(step.saturating_add_signed(by as isize)))
        }
        Action::Step(by) => (0..by).map(|_| Effect::Ask(Command::Step)).collect(),
        Action::First => ask(Command::Seek(0)),
        _ => ask(Command::Seek(kept.saturating_sub(1))),
    }
}

fn edit(state: &mut State) -> Vec<Effect> {
    let row = state.listed().get(state.method_list.cursor).copied().filter(|_| state.focus == Pane::Methods);
    let Some(row) = row.or(state.method_row()) else { return Vec::new() };
    let line = row.broken.or_else(|| state.fault.as_ref()?.report.place.as_ref().map(|(_, line, _)| *line));
    match row.path.as_ref().or(state.scripts.get(&row.name)) {
        Some(path) => vec![Effect::Edit(path.clone(), line)],
        None => ask(Command::Edit(row.name.clone())),
    }
}

fn filter(state: &mut State) -> Vec<Effect> {
    let text = match state.focus {
        Pane::Layers => state.layer_filter.clone(),
        _ => {
            state.focus = Pane::Methods;
            state.method_filter.clone()
        }
    };
    open(state, Prompt::filter(text))
}

/// Runs the method under the cursor of a list that was narrowed down.
pub fn take_best(state: &mut State) -> Vec<Effect> {
    let asked = state.focus == Pane::Methods && !state.method_filter.is_empty();
    let name = state.listed().get(state.method_list.cursor).filter(|_| asked).map(|m| m.name.clone());
    let other = name.filter(|name| state.method.as_ref().is_none_or(|m| m.name != *name));
    other.map_or_else(Vec::new, |name| run_method(state, name))
}

fn open(state: &mut State, prompt: Prompt) -> Vec<Effect> {
    state.popup = Some(Popup::Prompt(prompt));
    Vec::new()
}

fn focus(state: &mut State, pane: Pane) -> Vec<Effect> {
    state.focus = pane;
    Vec::new()
}

fn turn_pane(state: &mut State, by: usize) -> Vec<Effect> {
    focus(state, Pane::ALL[(state.focus.number() - 1 + by) % 7])
}

fn zoom(state: &mut State) -> Vec<Effect> {
    state.zoomed = !state.zoomed;
    Vec::new()
}

fn cancel(state: &mut State) -> Vec<Effect> {
    if state.busy.is_none() {
        return Vec::new();
    }
    state.run.playing = false;
    state.say("cancelling");
    ask(Command::Cancel)
}

fn escape(state: &mut State) -> Vec<Effect> {
    if state.busy.is_some() {
        return cancel(state);
    }
    if let Some(fault) = state.fault.take() {
        state.say(format!("closed: {}", headline(&fault.report)));
    } else if state.lens.mark.is_some() || state.lens.zoom > 1.0 {
        state.lens.reset();
    } else if state.zoomed {
        state.zoomed = false;
    } else {
        state.method_filter.clear();
        state.layer_filter.clear();
        state.layers.filter("");
    }
    Vec::new()
}

fn interrupt(state: &mut State) -> Vec<Effect> {
    match state.busy.is_some() && !state.leaving {
        true => {
            state.leaving = true;
            let effects = cancel(state);
            state.say("cancelling; Ctrl-c again quits");
            effects
        }
        false => vec![Effect::Quit],
    }
}

/// A run that would be lost is asked about.
fn quit(state: &mut State) -> Vec<Effect> {
    if state.run.playing && !state.leaving {
        state.leaving = true;
        state.say("a run goes on; q again quits");
        state.note(Tone::Plain, "q was pressed while a run went on");
        return Vec::new();
    }
    vec![Effect::Quit]
}

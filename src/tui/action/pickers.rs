//! Opens lists to choose from: methods, models, classes, layers, colormaps, values of a parameter.

use super::request;
use crate::render::Colormap;
use crate::script::summary::{ParamKind, ParamRow};
use crate::tui::effect::Effect;
use crate::tui::state::{Choice, Item, Picker, Popup, State, shape};

/// Opens the list of methods.
pub fn open_methods(state: &mut State) -> Vec<Effect> {
    let picker = methods(state);
    show(state, picker)
}

/// Opens the list of models.
pub fn open_models(state: &mut State) -> Vec<Effect> {
    let picker = models(state);
    show(state, picker)
}

/// Opens the list of classes to choose the target from.
pub fn open_target(state: &mut State) -> Vec<Effect> {
    let picker = classes(state, Choice::Target, "target class", state.target);
    show(state, picker)
}

/// Opens the list of colormaps.
pub fn open_colors(state: &mut State) -> Vec<Effect> {
    let picker = colors(state);
    show(state, picker)
}

/// Opens the list of layers if the method has a layer parameter; otherwise only reports that it has none.
pub fn open_layers(state: &mut State) -> Vec<Effect> {
    match state.layer_param() {
        Some((param, _)) => open_values(state, &param.clone()),
        None => request::choose_layer(state, String::new()),
    }
}

/// Opens the list of values that a parameter can take.
pub fn open_values(state: &mut State, param: &ParamRow) -> Vec<Effect> {
    let of = Choice::Parameter(param.name.clone());
    let picker = match &param.kind {
        ParamKind::Class => classes(state, of, &param.name, state.value(param).parse().ok()),
        ParamKind::Layer(kinds) => {
            let items = state.values_of(param, kinds).into_iter().map(|name| layer_item(state, name)).collect();
            Picker::new(of, &param.name, items, &state.layer().unwrap_or_default())
        }
        ParamKind::Choice(choices) => {
            let items = choices.iter().map(|c| Item::new(c, c, "")).collect();
            Picker::new(of, &param.name, items, state.value(param))
        }
        _ => return Vec::new(),
    };
    show(state, picker)
}

fn show(state: &mut State, picker: Picker) -> Vec<Effect> {
    state.popup = Some(Popup::Picker(picker));
    Vec::new()
}

fn methods(state: &State) -> Picker {
    let items = state.methods.iter().map(|m| Item::new(&m.name, &m.name, &m.summary)).collect();
    Picker::new(Choice::Method, "method", items, state.method.as_ref().map_or("", |m| &m.name))
}

fn models(state: &State) -> Picker {
    let about = |weights: bool, summary: &str| match weights {
        true => summary.to_owned(),
        false => format!("{summary} (:model NAME WEIGHTS)"),
    };
    let items = state.models.iter().map(|m| Item::new(&m.name, &m.name, &about(m.weights, &m.summary))).collect();
    Picker::new(Choice::Model, "model", items, state.model.as_ref().map_or("", |m| &m.name))
}

/// A list of all classes, the most likely ones first, with the cursor on class `present`.
fn classes(state: &State, of: Choice, title: &str, present: Option<usize>) -> Picker {
    let likely: Vec<usize> = state.classes().iter().map(|row| row.class).collect();
    let count = state.model.as_ref().map_or(0, |m| m.labels.len());
    let rest = (0..count).filter(|class| !likely.contains(class));
    let chance = |class: usize| state.classes().iter().find(|r| r.class == class).map(|r| r.probability);
    let row = |class: usize| {
        let detail = chance(class).map_or_else(String::new, |p| format!("{:.1} %", p * 100.0));
        Item::new(&class.to_string(), &format!("{} {class}", state.label(class)), &detail)
    };
    let none = Item::new("", "none", if of == Choice::Target { "the predicted class" } else { "" });
    let items = std::iter::once(none).chain(likely.iter().copied().chain(rest).map(row)).collect();
    Picker::new(of, title, items, &present.map_or_else(String::new, |class| class.to_string()))
}

fn colors(state: &State) -> Picker {
    let items = Colormap::ALL.iter().map(|c| Item::new(c.name(), c.name(), "")).collect();
    Picker::new(Choice::Colors, "colormap", items, state.lens.overlay.colors.name())
}

fn layer_item(state: &State, name: String) -> Item {
    let layers = state.model.as_ref().map_or(&[][..], |m| &m.layers);
    let row = layers.iter().find(|l| l.name == name);
    let detail = row.map_or_else(String::new, |l| format!("{} {}", l.kind, shape(&l.shape)));
    Item { label: name.clone(), value: name, detail }
}

//! Opens selection lists: methods, classes, layers, colormaps, parameter values.

use super::request;
use crate::render::Colormap;
use crate::script::summary::{ParamKind, ParamRow, parents};
use crate::tui::effect::Effect;
use crate::tui::state::{Choice, Item, Picker, Popup, State, shape};
use std::collections::BTreeMap;

/// Opens the list of methods.
pub fn open_methods(state: &mut State) -> Vec<Effect> {
    let picker = methods(state);
    show(state, picker)
}

/// Opens the list of target classes.
pub fn open_target(state: &mut State) -> Vec<Effect> {
    let picker = classes(state, Choice::Target, "target class", state.target_class());
    show(state, picker)
}

/// Opens the list of colormaps.
pub fn open_colors(state: &mut State) -> Vec<Effect> {
    let picker = colors(state);
    show(state, picker)
}

/// Opens the list of layers if the method has a layer parameter; otherwise, reports that the method has none.
pub fn open_layers(state: &mut State) -> Vec<Effect> {
    match state.layer_param() {
        Some((param, _)) => open_values(state, &param.clone()),
        None => request::choose_layer(state, String::new()),
    }
}

/// Opens the list of possible values of a parameter.
pub fn open_values(state: &mut State, param: &ParamRow) -> Vec<Effect> {
    let of = Choice::Parameter(param.name.clone());
    let picker = match &param.kind {
        ParamKind::Class => classes(state, of, &param.name, state.value(param).parse().ok()),
        ParamKind::Layer(kinds) => {
            Picker::new(of, &param.name, layers(state, param, kinds), &state.layer().unwrap_or_default())
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

/// A list of all classes, most likely first, with the cursor on class `present`.
fn classes(state: &State, of: Choice, title: &str, present: Option<usize>) -> Picker {
    let likely: Vec<usize> = state.classes().iter().map(|row| row.class).collect();
    let count = state.model.as_ref().map_or(0, |m| m.labels.len());
    let rest = (0..count).filter(|class| !likely.contains(class));
    let chance = |class: usize| state.classes().iter().find(|r| r.class == class).map(|r| r.probability);
    let row = |class: usize| {
        let detail = chance(class).map_or_else(String::new, |p| format!("{:.1}%", p * 100.0));
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

/// The layers that a parameter accepts, in execution order, each preceded by the modules that start with it. Excludes shape
/// arithmetic that is hidden in the tree.
fn layers(state: &State, param: &ParamRow, kinds: &[String]) -> Vec<Item> {
    let mut modules: BTreeMap<_, _> = state.modules_of(kinds).into_iter().map(|m| (m.name.clone(), m)).collect();
    let mut items: Vec<Item> = vec![];
    items.extend((param.default == "all").then(|| Item::new("all", "all", "")));
    for layer in state.model_layers() {
        let begins = parents(&layer.name).filter_map(|module| modules.remove(module));
        items.extend(begins.map(|m| Item::new(&m.name, &m.name, &format!("module {}", shape(&m.shape)))));
        if state.layers.lists(layer) && (kinds.is_empty() || kinds.contains(&layer.kind)) {
            items.push(Item::new(&layer.name, &layer.name, &format!("{} {}", layer.kind, shape(&layer.shape))));
        }
    }
    items
}

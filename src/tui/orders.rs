//! What typed commands do to the state.

use super::act;
use super::msg::Effect;
use super::picker::score;
use super::prompt::Order;
use super::state::State;
use crate::render::{Colormap, Rescale};
use crate::script::message::Command;

/// Does what a line says; the error says what would have worked.
pub fn obey(state: &mut State, order: Order) -> Result<Vec<Effect>, String> {
    Ok(match order {
        Order::Set(name, value) => {
            let known: Vec<_> = state.params().iter().map(|p| p.name.clone()).collect();
            if !known.contains(&name) {
                return Err(format!("no parameter named \"{name}\"; known are {}", known.join(", ")));
            }
            act::set(state, name, value)
        }
        Order::Model(name, weights) => act::ask(Command::Model { name, weights }),
        Order::Open(picture) => act::ask(Command::Picture(picture)),
        Order::Target(text) if text.is_empty() => act::ask(Command::Target(None)),
        Order::Target(text) => act::ask(Command::Target(Some(class_of(state, &text)?))),
        Order::Method(name) => act::run_method(state, name),
        Order::Layer(name) => act::choose_layer(state, name),
        Order::Colors(name) => {
            let known = || Colormap::ALL.map(Colormap::name).join(", ");
            state.lens.tint.colors =
                Colormap::named(&name).ok_or_else(|| format!("no colours named \"{name}\"; known are {}", known()))?;
            Vec::new()
        }
        Order::Scale(name) => {
            let known = || Rescale::ALL.map(Rescale::name).join(", ");
            state.lens.scale =
                Rescale::named(&name).ok_or_else(|| format!("no scale named \"{name}\"; known are {}", known()))?;
            Vec::new()
        }
        Order::Step(step) => act::ask(Command::Seek(step)),
        Order::Fork => act::ask(Command::Fork),
        Order::Branch(name) => act::ask(Command::Branch(state.branches.named(&name)?)),
        Order::Close => act::ask(Command::CloseBranch),
        Order::Compare(name) => {
            let other = match state.methods.iter().any(|m| m.name == name) {
                true => Command::Method(name),
                false => Command::Target(Some(
                    class_of(state, &name).map_err(|_| format!("no method and no class is named \"{name}\""))?,
                )),
            };
            state.branches.compared = true;
            vec![Effect::Ask(Command::Fork), Effect::Ask(other)]
        }
        Order::Session(name) => act::ask(Command::Keep(name)),
        Order::Save(folder) => act::ask(Command::Save(folder)),
        Order::Quit => vec![Effect::Quit],
    })
}

/// The class of this number or name; a name may be short if only one class fits best.
fn class_of(state: &State, text: &str) -> Result<usize, String> {
    let labels = state.model.as_ref().map_or(&[][..], |m| &m.labels);
    if let Ok(index) = text.parse::<usize>() {
        let known = labels.is_empty() || index < labels.len();
        return known.then_some(index).ok_or_else(|| format!("no class {index}; there are {}", labels.len()));
    }
    let exact = labels.iter().position(|l| l == text).or_else(|| {
        let mut same = (0..labels.len()).filter(|&i| labels[i].eq_ignore_ascii_case(text));
        same.next().filter(|_| same.next().is_none())
    });
    let near = || labels.iter().enumerate().filter_map(|(i, l)| Some((score(text, l)?, i))).max();
    exact.or_else(|| near().map(|(_, i)| i)).ok_or_else(|| format!("no class named \"{text}\"; t lists them"))
}

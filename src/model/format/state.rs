//! The named tensors in what was saved: a `state_dict`, or a checkpoint around one.

use super::pickle::{Pickle, Value, shown};
use anyhow::{Result, bail};
use std::collections::BTreeMap;

/// What checkpoints call the `state_dict` in them, most telling first.
const WRAPPERS: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];

/// How many checkpoints deep a `state_dict` is looked for.
const MAX_DEPTH: usize = 4;

/// Names of tensors, with their places in the heap.
pub type Names = BTreeMap<String, usize>;

/// All tensors that have a name; whatever else was saved is left aside.
pub fn named(pickle: &Pickle) -> Result<Names> {
    let Value::Dict(mut dict) = pickle.root else {
        bail!("it has no names for its tensors; save model.state_dict()");
    };
    for _ in 0..MAX_DEPTH {
        let items = &pickle.heap.dicts[dict];
        let inner = WRAPPERS.iter().find_map(|wrapper| {
            let found = items.iter().rev().find(|(key, _)| *key == Value::Text(wrapper));
            if let Some((_, Value::Dict(inner))) = found { Some(*inner) } else { None }
        });
        match inner {
            Some(inner) => dict = inner,
            None => return tensors(items),
        }
    }
    bail!("its state_dict is wrapped in more than {MAX_DEPTH} checkpoints; save model.state_dict()")
}

fn tensors(items: &[(Value, Value)]) -> Result<Names> {
    let named = items.iter().filter_map(|item| match item {
        (Value::Text(name), Value::Tensor(tensor)) => Some((name.to_string(), *tensor)),
        _ => None,
    });
    let named: Names = named.collect();
    if named.is_empty() {
        bail!("there are no tensors in it{}; save model.state_dict(), or wrap it as \"state_dict\"", entries(items));
    }
    Ok(named)
}

/// `, only "epoch", "lr"`.
fn entries(items: &[(Value, Value)]) -> String {
    let name =
        |(key, _): &(Value, Value)| if let Value::Text(key) = key { Some(format!("\"{}\"", shown(key))) } else { None };
    let names: Vec<_> = items.iter().filter_map(name).take(8).collect();
    if names.is_empty() { String::new() } else { format!(", only {}", names.join(", ")) }
}

//! Networks by name in scripts: `model("resnet20", "resnet20.th")`.

use super::architecture::Architectures;
use super::folders::Folders;
use super::guard::Guard;
use super::report::raise;
use crate::model::Model;
use rhai::Engine;
use std::path::Path;
use std::sync::Arc;

/// `model(name)` and `model(name, weights)`: an architecture of `models/`, with its own weights or those of a file.
pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>, folders: &Folders) {
    let open = {
        let (guard, folders) = (guard.clone(), folders.clone());
        move |name: &str, weights: Option<&str>| {
            Architectures::new(folders.clone(), &guard).open(name, weights.map(Path::new)).map_err(raise)
        }
    };
    let alone = open.clone();
    engine.register_fn("model", move |name: &str| -> Result<Model, _> { alone(name, None) });
    engine.register_fn("model", move |name: &str, weights: &str| -> Result<Model, _> { open(name, Some(weights)) });
}

//! The function `model("resnet20", "resnet20.th")`, which opens networks by name from scripts.

use super::Architectures;
use crate::model::Model;
use crate::script::folders::Folders;
use crate::script::report::raise;
use crate::script::sandbox::guard::Guard;
use rhai::{Engine, EvalAltResult};
use std::path::Path;
use std::sync::Arc;

/// Registers `model(name)` and `model(name, weights)`, which open an architecture with its bundled weights or with weights from a
/// file. `tell` is called with a note on how the weights were matched, unless all were matched by name.
pub(in crate::script) fn register(
    engine: &mut Engine,
    guard: &Arc<Guard>,
    folders: &Folders,
    tell: impl Fn(&str) + Clone + Send + Sync + 'static,
) {
    let open = {
        let (guard, folders) = (guard.clone(), folders.clone());
        move |name: &str, weights: Option<&str>| -> Result<Model, Box<EvalAltResult>> {
            let model =
                Architectures::new(folders.clone(), &guard).open(name, weights.map(Path::new)).map_err(raise)?;
            model.note().iter().for_each(|note| tell(note));
            Ok(model)
        }
    };
    let alone = open.clone();
    engine.register_fn("model", move |name: &str| -> Result<Model, _> { alone(name, None) });
    engine.register_fn("model", move |name: &str, weights: &str| -> Result<Model, _> { open(name, Some(weights)) });
}

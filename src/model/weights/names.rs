//! How training programs name a network inside of others, and what they keep beside it.

use std::collections::BTreeMap;

/// What checkpoints call the `state_dict` in them, most telling first.
const KEYS: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];

/// Segments that wrappers put into names: `DataParallel` and DDP, `torch.compile`, FSDP, activation checkpointing, Fabric.
const WRAPPERS: [&str; 5] =
    ["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"];

/// Words for weights that are not the network's last ones: averages, teachers, an optimizer's.
const SECONDARY: [&str; 16] = [
    "ema",
    "avg",
    "average",
    "averaged",
    "swa",
    "polyak",
    "shadow",
    "teacher",
    "target",
    "momentum",
    "optim",
    "optimizer",
    "optimizers",
    "grad",
    "grads",
    "gradients",
];

/// Words for tensors that stand beside a network and belong to its training.
const BESIDE: [&str; 14] = [
    "ema",
    "swa",
    "averaged",
    "teacher",
    "momentum",
    "optim",
    "optimizer",
    "loss",
    "losses",
    "criterion",
    "metric",
    "metrics",
    "queue",
    "scheduler",
];

/// The words of a name: `model_ema.module` has three.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether a state dict of this key or prefix is a copy of another: an average, a teacher, an optimizer's state.
pub fn secondary(label: &str) -> bool {
    words(label).any(|word| {
        let lower = word.to_ascii_lowercase();
        let plain = lower.trim_end_matches(|c: char| c.is_ascii_digit());
        SECONDARY.contains(&plain) || word.contains("EMA") || ["emamodel", "modelema", "netema"].contains(&plain)
    })
}

/// Whether a state dict of this key is what an optimizer, a scheduler or a gradient scaler keeps.
pub fn optimizer(key: &str) -> bool {
    words(key)
        .any(|word| ["optim", "scheduler", "scaler"].iter().any(|kind| word.to_ascii_lowercase().starts_with(kind)))
}

/// How far down a key stands in the list of what checkpoints call their network.
pub fn rank(key: &str) -> usize {
    let last = key.rsplit('.').next().unwrap_or_default();
    if last.is_empty() { 0 } else { KEYS.iter().position(|k| *k == last).unwrap_or(KEYS.len()) }
}

/// Whether a tensor of this name and shape belongs to training, not to a network: `loss.weight`, `n_averaged`, counters.
pub fn beside(name: &str, shape: &[usize], whole: bool) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    counter(name, shape, whole) || words(first).any(|word| BESIDE.contains(&word.to_ascii_lowercase().as_str()))
}

/// Whether it only counts something: a whole number without axes, as `num_batches_tracked`.
pub fn counter(name: &str, shape: &[usize], whole: bool) -> bool {
    name.ends_with("num_batches_tracked") || (shape.is_empty() && whole)
}

/// A name without the segments of wrappers: `features.module.0.weight` is `features.0.weight`.
pub fn unwrapped(name: &str) -> String {
    name.split('.').filter(|segment| !WRAPPERS.contains(segment)).collect::<Vec<_>>().join(".")
}

/// The wrappers' segments in these names, each once.
pub fn wrappers<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'static str> {
    let mut found = [false; WRAPPERS.len()];
    for segment in names.flat_map(|name| name.split('.')) {
        WRAPPERS.iter().zip(&mut found).filter(|(w, _)| **w == segment).for_each(|(_, found)| *found = true);
    }
    WRAPPERS.into_iter().zip(found).filter(|(_, found)| *found).map(|(wrapper, _)| wrapper).collect()
}

/// All names unwrapped, with the names that they had; none where two become one.
pub fn all_unwrapped<'a>(names: impl Iterator<Item = &'a str>) -> Option<BTreeMap<String, &'a str>> {
    let mut all = BTreeMap::new();
    names.into_iter().all(|name| all.insert(unwrapped(name), name).is_none()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_taken_out_wherever_they_stand() {
        assert_eq!(unwrapped("module.a.weight"), "a.weight");
        assert_eq!(unwrapped("model._orig_mod.features.module.0.weight"), "model.features.0.weight");
        assert_eq!(unwrapped("modules.module_list.0"), "modules.module_list.0");
        assert!(all_unwrapped(["module.a", "a"].into_iter()).is_none());
        assert_eq!(wrappers(["model._orig_mod.a", "module.b"].into_iter()), ["module", "_orig_mod"]);
    }

    #[test]
    fn averages_and_teachers_are_secondary_and_other_words_with_their_letters_are_not() {
        for label in ["model_ema", "ema_state_dict", "teacher.backbone", "swa_model", "modelEMA", "optimizer.exp_avg"] {
            assert!(secondary(label), "{label}");
        }
        for label in ["model", "schema", "avgpool", "semantic", "generator", ""] {
            assert!(!secondary(label), "{label}");
        }
    }

    #[test]
    fn only_what_belongs_to_training_is_beside_a_network() {
        assert!(beside("n_averaged", &[], true) && beside("loss_fn.weight", &[10], false));
        assert!(beside("bn1.num_batches_tracked", &[], true) && beside("criterion.pos_weight", &[1], false));
        assert!(!beside("head.weight", &[10, 3], false) && !beside("logit_scale", &[], false));
        assert!(!beside("lossless.weight", &[3], false) && !beside("layer.loss.weight", &[3], false));
    }
}

//! Naming conventions of training frameworks: the prefixes under which checkpoints store parameters, and the other tensors in
//! checkpoints.

use std::collections::BTreeMap;

/// Keys under which checkpoints store the network's state dict, in order of preference.
const KEYS: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];

/// Segments that wrappers insert into names: `DataParallel` and DDP, `torch.compile`, FSDP, activation checkpointing and Fabric.
const WRAPPERS: [&str; 5] =
    ["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"];

/// Words that indicate weights other than the network's own: averages, teachers, optimizer state.
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

/// Words that indicate tensors that are stored with a network but are used only in training.
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

/// Splits a name into words: `model_ema.module` into `model`, `ema` and `module`.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether a key or prefix indicates weights other than the network's own: an average, a teacher or the state of an optimizer.
pub fn secondary(label: &str) -> bool {
    words(label).any(|word| {
        let lower = word.to_ascii_lowercase();
        let plain = lower.trim_end_matches(|c: char| c.is_ascii_digit());
        SECONDARY.contains(&plain) || word.contains("EMA") || ["emamodel", "modelema", "netema"].contains(&plain)
    })
}

/// Whether a key indicates the state of an optimizer, a scheduler or a gradient scaler.
pub fn optimizer(key: &str) -> bool {
    words(key)
        .any(|word| ["optim", "scheduler", "scaler"].iter().any(|kind| word.to_ascii_lowercase().starts_with(kind)))
}

/// Preference rank of a state dict's key; 0 is best. An empty key has rank 0.
pub fn rank(key: &str) -> usize {
    let last = key.rsplit('.').next().unwrap_or_default();
    if last.is_empty() { 0 } else { KEYS.iter().position(|k| *k == last).unwrap_or(KEYS.len()) }
}

/// Whether a tensor belongs to training rather than to a network: `loss.weight`, `n_averaged`, counters. `whole` states whether its dtype
/// is an integer type.
pub fn beside(name: &str, shape: &[usize], whole: bool) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    counter(name, shape, whole) || words(first).any(|word| BESIDE.contains(&word.to_ascii_lowercase().as_str()))
}

/// Whether a tensor is a counter: an integer scalar such as `num_batches_tracked`. `whole` states whether its dtype is an integer type.
pub fn counter(name: &str, shape: &[usize], whole: bool) -> bool {
    name.ends_with("num_batches_tracked") || (shape.is_empty() && whole)
}

/// The positions at which a suffix of at most `longest` bytes may start: the beginning of the name, and the position after any
/// character that is neither a letter nor a digit.
pub fn name_starts(name: &str, longest: usize) -> impl Iterator<Item = usize> {
    let behind = name.char_indices().filter(|(_, c)| !c.is_alphanumeric()).map(|(at, c)| at + c.len_utf8());
    let first = name.len().saturating_sub(longest);
    std::iter::once(0).chain(behind).filter(move |at| *at >= first)
}

/// Removes wrapper segments from a name: `features.module.0.weight` becomes `features.0.weight`.
pub fn unwrapped(name: &str) -> String {
    name.split('.').filter(|segment| !WRAPPERS.contains(segment)).collect::<Vec<_>>().join(".")
}

/// The current name of a tensor of torchvision's DenseNet, given its name from before 2018, which is still used in the pretrained
/// weights and has an additional dot: `denselayer1.norm.2.weight` becomes `denselayer1.norm2.weight`. `None` for other names.
pub fn current(name: &str) -> Option<String> {
    let segments: Vec<_> = name.split('.').collect();
    let is_old = |four: &[&str]| {
        four[0].starts_with("denselayer") && ["norm", "conv"].contains(&four[1]) && ["1", "2"].contains(&four[2])
    };
    let at = segments.windows(4).position(is_old)? + 1;
    let joined = [segments[at], segments[at + 1]].concat();
    Some([&segments[..at], &[joined.as_str()], &segments[at + 2..]].concat().join("."))
}

/// The wrapper segments that occur in `names`, without duplicates.
pub fn wrappers<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'static str> {
    let mut found = [false; WRAPPERS.len()];
    for segment in names.flat_map(|name| name.split('.')) {
        WRAPPERS.iter().zip(&mut found).filter(|(w, _)| **w == segment).for_each(|(_, found)| *found = true);
    }
    WRAPPERS.into_iter().zip(found).filter(|(_, found)| *found).map(|(wrapper, _)| wrapper).collect()
}

/// The wrapper segments at the start of every name, such as `module.`; empty if names start with different ones.
pub fn wrapped_by<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let before = |name: &'a str| {
        let segments =
            name.split_inclusive('.').take_while(|s| s.strip_suffix('.').is_some_and(|s| WRAPPERS.contains(&s)));
        &name[..segments.map(str::len).sum()]
    };
    let mut all = names.map(before);
    let first = all.next().unwrap_or_default();
    if all.all(|other| other == first) { first.into() } else { String::new() }
}

/// Maps names without wrapper segments to the original names; `None` if two of them coincide.
pub fn all_unwrapped<'a>(names: impl Iterator<Item = &'a str>) -> Option<BTreeMap<String, &'a str>> {
    let mut all = BTreeMap::new();
    names.into_iter().all(|name| all.insert(unwrapped(name), name).is_none()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_of_densenet_become_current_ones() {
        for (old, new) in [
            (
                "features.denseblock1.denselayer16.norm.1.running_mean",
                "features.denseblock1.denselayer16.norm1.running_mean",
            ),
            ("module.denselayer1.conv.2.weight", "module.denselayer1.conv2.weight"),
        ] {
            assert_eq!(current(old).as_deref(), Some(new));
            assert_eq!(current(new), None);
        }
        assert!(
            ["features.norm.1.weight", "denselayer1.norm.3.weight", "denselayer1.norm.1"]
                .iter()
                .all(|n| current(n).is_none())
        );
    }

    #[test]
    fn wrapper_segments_are_removed_anywhere_in_a_name() {
        assert_eq!(unwrapped("module.a.weight"), "a.weight");
        assert_eq!(unwrapped("model._orig_mod.features.module.0.weight"), "model.features.0.weight");
        assert_eq!(unwrapped("modules.module_list.0"), "modules.module_list.0");
        assert!(all_unwrapped(["module.a", "a"].into_iter()).is_none());
        assert_eq!(wrappers(["model._orig_mod.a", "module.b"].into_iter()), ["module", "_orig_mod"]);
    }

    #[test]
    fn wrappers_before_all_names_are_found() {
        let before = |names: &[&'static str]| wrapped_by(names.iter().copied());
        assert_eq!(before(&["module._orig_mod.a.b", "module._orig_mod.c"]), "module._orig_mod.");
        assert_eq!(before(&["module.a", "b"]), "");
        assert_eq!(before(&["features.module.a", "features.module.b"]), "");
        assert_eq!(before(&["module"]), "");
    }

    #[test]
    fn averages_and_teachers_are_secondary_but_longer_words_are_not() {
        for label in ["model_ema", "ema_state_dict", "teacher.backbone", "swa_model", "modelEMA", "optimizer.exp_avg"] {
            assert!(secondary(label), "{label}");
        }
        for label in ["model", "schema", "avgpool", "semantic", "generator", ""] {
            assert!(!secondary(label), "{label}");
        }
    }

    #[test]
    fn only_training_tensors_are_recognized() {
        assert!(beside("n_averaged", &[], true) && beside("loss_fn.weight", &[10], false));
        assert!(beside("bn1.num_batches_tracked", &[], true) && beside("criterion.pos_weight", &[1], false));
        assert!(!beside("head.weight", &[10, 3], false) && !beside("logit_scale", &[], false));
        assert!(!beside("lossless.weight", &[3], false) && !beside("layer.loss.weight", &[3], false));
    }
}

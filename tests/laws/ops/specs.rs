//! The specs of operations: names are unique, and the documentation matches them.

use gradscope::graph::op::{SPECS, table};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn no_two_kinds_share_a_name() {
    let plain = |name: &str| name.to_lowercase().replace('_', "");
    let mut owners = BTreeMap::new();
    for spec in SPECS {
        for name in spec.names() {
            let owner = owners.insert(plain(name), spec.kind).unwrap_or(spec.kind);
            assert_eq!(owner, spec.kind, "{name}");
        }
    }
}

#[test]
fn positional_arguments_come_first_and_have_unique_names() {
    for spec in SPECS {
        let names: Vec<_> =
            spec.arguments.iter().flat_map(|a| std::iter::once(a.name).chain(a.aliases.iter().copied())).collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len(), "{}: {names:?}", spec.kind);
        assert!(spec.options().iter().all(|a| !a.by_place), "{}", spec.kind);
    }
}

/// `GRADSCOPE_WRITE_DOCS=1 cargo test --test laws ops::specs` rewrites the table.
#[test]
fn the_readme_of_models_has_every_operation() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/README.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let start = text.find("| function | PyTorch |").unwrap();
    let end = start + text[start..].find("\n\n").unwrap() + 1;
    let expected = table(SPECS);
    if std::env::var_os("GRADSCOPE_WRITE_DOCS").is_some() {
        std::fs::write(&file, format!("{}{expected}{}", &text[..start], &text[end..])).unwrap();
        return;
    }
    let without = |a: &str, b: &str| a.lines().filter(|line| !b.contains(line)).map(String::from).collect::<Vec<_>>();
    let (missing, surplus) = (without(&expected, &text[start..end]), without(&text[start..end], &expected));
    assert!(
        text[start..end] == expected,
        "the table lacks {missing:#?} and has {surplus:#?}; GRADSCOPE_WRITE_DOCS=1 cargo test --test laws ops::specs updates it"
    );
}

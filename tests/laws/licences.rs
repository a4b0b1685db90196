//! THIRD-PARTY.md lists every package in Cargo.lock, and deny.toml allows their licenses.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Name and version of every package from a registry.
fn locked() -> BTreeSet<(String, String)> {
    let text = read("Cargo.lock");
    let field = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
        line.map(|value| value.trim_end_matches('"').to_string())
    };
    let packages = text.split("[[package]]").skip(1).filter(|package| package.contains("\nsource = "));
    packages.map(|package| (field(package, "name").unwrap(), field(package, "version").unwrap())).collect()
}

/// Name, version and license of every row of the tables.
fn listed() -> Vec<[String; 3]> {
    let text = read("THIRD-PARTY.md");
    let (tables, _) = text.split_once("## Texts").unwrap();
    let cells = |line: &str| {
        line.strip_prefix("| ")?.strip_suffix(" |").map(|row| row.split(" | ").map(String::from).collect())
    };
    let rows = tables.lines().filter_map(cells).map(|row: Vec<String>| <[String; 3]>::try_from(row).unwrap());
    rows.filter(|[name, ..]| name != "package").collect()
}

#[test]
fn every_package_is_listed_with_its_version() {
    let rows: BTreeSet<_> = listed().into_iter().map(|[name, version, _]| (name, version)).collect();
    let missing: Vec<_> = locked().difference(&rows).cloned().collect();
    assert!(missing.is_empty(), "python3 scripts/third_party.py adds {missing:?}");
    let gone: Vec<_> = rows.difference(&locked()).cloned().collect();
    assert!(gone.is_empty(), "python3 scripts/third_party.py removes {gone:?}");
    assert!(rows.len() > 200);
}

#[test]
fn only_one_package_has_a_license_that_requires_more_than_a_notice() {
    let allowed = read("deny.toml");
    let is_allowed = |licence: &str| allowed.contains(&format!("    \"{}\",", licence.trim_end_matches('+')));
    // `A OR B` allows a choice, `A AND B` requires both.
    let fits = |expression: &str| {
        expression
            .replace(['(', ')'], "")
            .split(" AND ")
            .all(|both| both.replace('/', " OR ").split(" OR ").any(|one| is_allowed(one.trim())))
    };
    let others: Vec<_> = listed().into_iter().filter(|[_, _, licence]| !fits(licence)).map(|[name, ..]| name).collect();
    assert_eq!(others, ["ansi_colours"], "deny.toml has an exception for each package with another license");
    assert!(read("THIRD-PARTY.md").contains("GNU LESSER GENERAL PUBLIC LICENSE"));
}

//! The configuration: `gradscope config`, and mistakes in the file.

use super::{assert_says, text};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Runs gradscope with a configuration file.
fn with_config(folder: &Path, config: &str, args: &[&str]) -> Output {
    fs::write(folder.join("config.rhai"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.args(args).current_dir(folder).env("GRADSCOPE_CONFIG", folder.join("config.rhai"));
    command.env_remove("RUST_BACKTRACE").output().unwrap()
}

#[test]
fn the_path_is_printed_even_if_the_file_does_not_exist() {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.args(["config", "--path"]).env("HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
    let out = command.env_remove("GRADSCOPE_CONFIG").output().unwrap();
    assert!(text(&out.stdout).trim_end().ends_with("config.rhai"), "{}", text(&out.stdout));
    let out = with_config(folder.path(), "", &["config", "--path"]);
    assert_eq!(text(&out.stdout).trim_end(), folder.path().join("config.rhai").to_str().unwrap());
}

#[test]
fn the_printed_configuration_is_a_configuration_with_the_same_effect() {
    let folder = TempDir::new().unwrap();
    let own = "#{ colors: \"gray\", theme: #{ bar: \"green\" }, keys: #{ \"u\": \"save\" } }";
    let out = with_config(folder.path(), own, &["config", "--print"]);
    let printed = text(&out.stdout);
    assert!(out.status.success() && out.stderr.is_empty(), "{}", text(&out.stderr));
    let parts = [
        "colors: \"gray\",",
        "graphics: \"auto\",",
        "bar: \"green\",",
        "// focus: \"cyan\",",
        "\"u\": \"save\",",
        "// \"q\": \"quit\",",
    ];
    assert_says(&printed, &parts);
    let again = with_config(folder.path(), &printed, &["config", "--print"]);
    assert_eq!((text(&again.stdout), text(&again.stderr)), (printed, String::new()));
}

#[test]
fn a_mistake_is_a_warning_with_its_line_and_the_rest_is_used() {
    let folder = TempDir::new().unwrap();
    let config = "#{\n    colours: \"gray\",\n    graphics: \"half\",\n    keys: #{ \"x\": \"plays\" },\n}";
    let out = with_config(folder.path(), config, &["config", "--print"]);
    assert!(out.status.success());
    assert_eq!(
        text(&out.stderr),
        "warning: config.rhai, line 2: unknown field \"colours\"; did you mean \"colors\"?\n\
         warning: config.rhai, line 4: unknown action \"plays\"; did you mean \"play\"?\n"
    );
    assert_says(&text(&out.stdout), &["graphics: \"half\""]);
    let out = with_config(folder.path(), "#{\n  colors: \"gray\",\n  graphics \"half\",\n}", &["config", "--print"]);
    assert!(out.status.success());
    assert_says(&text(&out.stderr), &["warning: config.rhai, line 3: ", "; using the default configuration"]);
}

#[test]
fn one_of_path_and_print_is_required() {
    let folder = TempDir::new().unwrap();
    for args in [&["config"][..], &["config", "--path", "--print"]] {
        let out = with_config(folder.path(), "", args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert_says(&text(&out.stderr), &["--path", "--print"]);
    }
}

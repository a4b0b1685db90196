//! `gradscope config`: the path of the configuration file, and the configuration as it is used.

use super::args::ConfigArgs;
use super::config::{self, Config};
use super::out;
use crate::render::Colormap;
use crate::tui::keymap::EVERYWHERE;
use crate::tui::theme::Theme;
use crate::tui::{Bindings, Paint, Palette};
use crate::words;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::process::ExitCode;

/// Prints the path of the configuration file, or the effective configuration.
pub fn config(args: &ConfigArgs) -> Result<ExitCode> {
    let path = config::path();
    if args.path {
        let path =
            path.context("there is no configuration file: GRADSCOPE_CONFIG is empty, or there is no home folder")?;
        out::data(&path.to_string_lossy())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (config, warnings) = config::read();
    warnings.iter().for_each(|warning| out::tell(&format!("warning: {warning}")));
    let place = path.map_or_else(|| "no file".into(), |path| words::path(&path));
    out::data(text(&config, &place).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// A configuration file that gives `config`. Defaults are comments, except those of fields with a single value.
fn text(config: &Config, place: &str) -> String {
    let mut all = format!(
        "// gradscope's configuration, read from {place}.\n// Lines after // are defaults; remove the // to change them.\n#{{\n"
    );
    // Writing to a string cannot fail.
    let _ = writeln!(
        all,
        "    // Colormap of maps without a symmetric scale: {}.",
        Colormap::ALL.map(Colormap::name).join(", ")
    );
    let _ = write!(all, "    colors: {:?},\n\n", config.colors.name());
    let _ = writeln!(
        all,
        "    // How pictures are drawn, in the app and by gradscope run: {}.",
        config::graphics().join(", ")
    );
    let _ = write!(all, "    graphics: {:?},\n\n", config.graphics.unwrap_or_default().name());
    let bases = Palette::ALL.map(Palette::name).join(", ");
    let _ = writeln!(
        all,
        "    // The app's colors: base is one of {bases}; the last two need 24-bit colors. The other entries set the"
    );
    all += "    // color of a role: a name such as red, a number from 0 to 255, or #rrggbb.\n    theme: #{\n";
    let _ = writeln!(all, "        base: {:?},", config.palette.name());
    for role in Paint::roles() {
        all += &role_line(config, role);
    }
    all += "    },\n\n    // Keys that work in every panel. Further keys for the same action are further entries.\n    keys: #{\n";
    all += &keys(&config.bindings);
    all + "    },\n}\n"
}

/// The line of a role: the user's color, or the default as a comment.
fn role_line(config: &Config, role: &str) -> String {
    let own = config.theme.iter().rev().map(Paint::parts).find(|(of, _)| *of == role).map(|(_, color)| color);
    let default = Theme::default_color(role).map_or_else(|| "reset".into(), |color| color.to_string().to_lowercase());
    let (comment, color) = match own {
        Some(color) => ("", color.to_string().to_lowercase()),
        None => ("// ", default),
    };
    let entry = format!("{role}: {color:?},");
    format!("        {comment}{entry:<24} // {}\n", meaning(role))
}

/// What a role colors.
fn meaning(role: &str) -> &'static str {
    match role {
        "focus" => "frame and title of the focused panel",
        "frame" => "frames of the other panels",
        "good" => "successes and increases",
        "bad" => "errors and decreases",
        "warn" => "warnings, stale figures, the target class",
        "bar" => "bars of bar charts",
        _ => "",
    }
}

/// The user's keys, and the default keys as comments.
fn keys(bindings: &Bindings) -> String {
    let line = |comment: &str, key: &str, name: &str, says: &str| {
        let entry = format!("{key:?}: {name:?},");
        format!("        {comment}{entry:<32} // {says}\n")
    };
    let mut all = String::new();
    for row in EVERYWHERE {
        let Some(name) = Bindings::name_of(row.action) else { continue };
        for (key, _) in bindings.own_keys().iter().filter(|(_, action)| *action == row.action) {
            all += &line("", &key.to_string(), name, &row.says);
        }
        for key in row.keys.iter().filter(|key| bindings.own(**key).is_none()) {
            all += &line("// ", &key.to_string(), name, &row.says);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::config::parse;
    use super::*;

    #[test]
    fn the_printed_configuration_is_read_as_the_one_in_use() {
        let own = "#{ colors: \"gray\", graphics: \"half\", theme: #{ bar: \"#ff8800\" }, keys: #{ \"u\": \"save\", \"\\\\\": \"play\" } }";
        for text in ["", own] {
            let (config, warnings) = parse(text);
            assert_eq!(warnings, []);
            let printed = super::text(&config, "config.rhai");
            let (again, warnings) = parse(&printed);
            assert_eq!(warnings, [], "{printed}");
            assert_eq!((again.colors, &again.theme), (config.colors, &config.theme));
            assert_eq!(again.graphics.unwrap_or_default(), config.graphics.unwrap_or_default());
            let sorted = |config: &Config| {
                let mut keys: Vec<_> = config.bindings.own_keys().iter().map(|k| format!("{k:?}")).collect();
                keys.sort();
                keys
            };
            assert_eq!(sorted(&again), sorted(&config));
        }
    }

    #[test]
    fn every_default_in_a_comment_is_a_valid_entry() {
        let printed = text(&Config::default(), "config.rhai");
        let uncommented = printed.lines().map(|line| line.strip_prefix("        // ").unwrap_or(line));
        let printed = uncommented.collect::<Vec<_>>().join("\n");
        let (config, warnings) = parse(&printed);
        assert_eq!(warnings, [], "{printed}");
        assert_eq!(config.theme.len(), Paint::roles().len());
        assert!(config.bindings.own_keys().len() > 40, "{printed}");
    }
}

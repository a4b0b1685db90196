//! The user's `config.rhai`: key bindings, colors, and how pictures are drawn.

use super::open::place;
use crate::data::read_text;
use crate::panics::decoding;
use crate::render::Colormap;
use crate::tui::{Bindings, Graphics, Paint, Palette};
use crate::words;
use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use rhai::{Dynamic, Engine, Map};

/// Names of the fields that a configuration may have.
const FIELDS: [&str; 4] = ["colors", "graphics", "theme", "keys"];

/// Maximum size of the configuration file in bytes.
const LIMIT: u64 = 16 << 20;

/// The user's configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Colormap of figures without a symmetric scale.
    pub colors: Colormap,
    /// How pictures are drawn unless the command line overrides it; `None` if the configuration does not set it.
    pub graphics: Option<Graphics>,
    /// The colors of the app.
    pub palette: Palette,
    /// The user's colors for roles of the theme.
    pub theme: Vec<Paint>,
    /// The user's key bindings.
    pub bindings: Bindings,
}

/// Reads the configuration from the file named by `GRADSCOPE_CONFIG`, or else from `config.rhai` in the user's configuration folder.
/// Returns the default configuration if the file does not exist.
///
/// Errors if the file cannot be read or contains an invalid value.
pub fn read() -> Result<Config> {
    let file = place("GRADSCOPE_CONFIG", |d| d.config_dir().join("config.rhai"));
    let Some(file) = file.filter(|file| file.exists()) else { return Ok(Config::default()) };
    let text = read_text(&file, LIMIT);
    text.and_then(|text| parse(&text)).with_context(|| format!("reading the configuration \"{}\"", words::path(&file)))
}

/// Parses a configuration: one rhai map, possibly with comments, such as `#{ colors: "viridis", keys: #{ "x": "play" } }`.
pub fn parse(text: &str) -> Result<Config> {
    let map = decoding("rhai", || Engine::new_raw().eval_expression::<Map>(text).map_err(|e| anyhow!("{e}")));
    let map = map.context("expected a map #{ … }")?;
    let mut config = Config::default();
    for (field, value) in &map {
        match field.as_str() {
            "colors" => {
                let known = || Colormap::ALL.map(Colormap::name).join(", ");
                let name = word("colors", value)?;
                config.colors = Colormap::named(&name)
                    .with_context(|| format!("no colormap \"{name}\"; expected one of {}", known()))?;
            }
            "graphics" => {
                let name = word("graphics", value)?;
                config.graphics = Some(
                    Graphics::from_str(&name, true)
                        .map_err(|_| anyhow!("unknown graphics mode \"{name}\"; expected one of {}", graphics()))?,
                );
            }
            "theme" if value.is_string() => {
                config.palette = Palette::named(&word("theme", value)?).map_err(anyhow::Error::msg)?;
            }
            "theme" => {
                for (role, color) in pairs("theme", value)? {
                    match role.as_str() {
                        "base" => config.palette = Palette::named(&color).map_err(anyhow::Error::msg)?,
                        role => config.theme.push(Paint::new(role, &color).map_err(anyhow::Error::msg)?),
                    }
                }
            }
            "keys" => {
                for (key, action) in pairs("keys", value)? {
                    config.bindings.bind(&key, &action).map_err(anyhow::Error::msg).context("keys")?;
                }
            }
            other => bail!("unknown field \"{other}\"; expected one of {}", FIELDS.join(", ")),
        }
    }
    Ok(config)
}

fn graphics() -> String {
    let names = Graphics::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    names.map(|v| v.get_name().to_string()).collect::<Vec<_>>().join(", ")
}

fn word(field: &str, value: &Dynamic) -> Result<String> {
    value.clone().into_string().map_err(|kind| anyhow!("{field} must be a string, got {kind}"))
}

fn pairs(field: &str, value: &Dynamic) -> Result<Vec<(String, String)>> {
    let map = value.read_lock::<Map>().with_context(|| format!("{field} must be a map #{{ name: \"value\" }}"))?;
    map.iter().map(|(name, value)| Ok((name.to_string(), word(&format!("{field}.{name}"), value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_sets_keys_colors_and_graphics() {
        let text = "// mine\n#{\n  colors: \"viridis\", graphics: \"half\",\n  theme: #{ focus: \"#ff8800\" },\n  keys: #{ \"Ctrl-s\": \"save\" },\n}";
        let config = parse(text).unwrap();
        assert_eq!((config.colors.name(), config.graphics), ("viridis", Graphics::from_str("half", false).ok()));
        assert_eq!(
            (config.theme.len(), config.bindings.key_of(crate::tui::keymap::Action::Save).as_str()),
            (1, "Ctrl-s")
        );
    }

    #[test]
    fn errors_list_what_would_have_worked() {
        let error = |text: &str| format!("{:#}", parse(text).unwrap_err());
        assert!(error("#{ colours: \"viridis\" }").contains("expected one of colors, graphics, theme, keys"));
        assert!(error("#{ colors: \"virid\" }").contains("viridis"));
        assert!(error("#{ keys: #{ \"x\": \"plays\" } }").contains("unknown action \"plays\""));
        assert!(error("#{ theme: #{ focus: \"orangy\" } }").contains("invalid color \"orangy\""));
        assert!(error("#{ theme: #{ fokus: \"red\" } }").contains("expected one of focus"));
        assert!(error("#{\n colors: \n").contains("line"), "{}", error("#{\n colors: \n"));
        assert!(error("#{ colors: 3 }").contains("colors must be a string, got i64"));
    }
}

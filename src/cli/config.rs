//! The user's `config.rhai`: key bindings, colors, and how pictures are drawn.

use super::open::place;
use crate::data::read_text;
use crate::panics::decoding;
use crate::render::Colormap;
use crate::tui::{Bindings, Graphics, Paint, Palette};
use crate::words;
use anyhow::{Result, anyhow};
use clap::ValueEnum;
use rhai::{AST, Dynamic, Engine, Expr, Map, OptimizationLevel, Stmt};
use std::collections::HashMap;
use std::path::PathBuf;

/// Names of the fields that a configuration may have.
pub const FIELDS: [&str; 4] = ["colors", "graphics", "theme", "keys"];

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

/// A mistake in the configuration. The rest of the configuration is used.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigWarning {
    /// The line of the mistake, starting at 1, if known.
    pub line: Option<usize>,
    /// What is wrong and what would have worked.
    pub text: String,
}

/// The path of the configuration file: the value of `GRADSCOPE_CONFIG`, or else `config.rhai` in the user's configuration folder.
/// `None` if the variable is empty or the user has no home folder.
pub fn path() -> Option<PathBuf> {
    place("GRADSCOPE_CONFIG", |d| d.config_dir().join("config.rhai"))
}

/// Reads the configuration, and returns it with a warning for each mistake. What is wrong keeps its default; if the file does not
/// exist or cannot be read at all, everything does.
pub fn read() -> (Config, Vec<String>) {
    let Some(file) = path().filter(|file| file.exists()) else { return Default::default() };
    let text = match read_text(&file, LIMIT) {
        Ok(text) => text,
        Err(why) => return (Config::default(), vec![format!("using the default configuration: {why:#}")]),
    };
    let (config, warnings) = parse(&text);
    let name = file.file_name().map_or_else(|| words::path(&file), words::path);
    let told = |ConfigWarning { line, text }: ConfigWarning| match line {
        Some(line) => format!("{name}, line {line}: {text}"),
        None => format!("{name}: {text}"),
    };
    (config, warnings.into_iter().map(told).collect())
}

/// Parses a configuration: one rhai map, possibly with comments, such as `#{ colors: "viridis", keys: #{ "x": "play" } }`. A text
/// without a map is the default configuration.
pub fn parse(text: &str) -> (Config, Vec<ConfigWarning>) {
    if text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with("//")) {
        return Default::default();
    }
    let mut reader = Reader { config: Config::default(), lines: HashMap::new(), warnings: vec![] };
    let evaluated = decoding("rhai", || anyhow::Ok(evaluate(text)));
    match evaluated.unwrap_or_else(|why| Err(ConfigWarning { line: None, text: format!("{why:#}") })) {
        Ok((map, lines)) => {
            reader.lines = lines;
            reader.read(&map);
        }
        Err(ConfigWarning { line, text }) => {
            reader.warnings.push(ConfigWarning { line, text: format!("{text}; using the default configuration") });
        }
    }
    (reader.config, reader.warnings)
}

/// The line of each entry: of a field, and of an entry of a field's map.
type Lines = HashMap<(String, Option<String>), usize>;

/// Evaluates a configuration's map, and finds the line of each entry.
fn evaluate(text: &str) -> Result<(Map, Lines), ConfigWarning> {
    let mut engine = Engine::new_raw();
    // Optimized maps have no positions.
    engine.set_optimization_level(OptimizationLevel::None);
    let ast = engine.compile_expression(text);
    let ast = ast.map_err(|why| ConfigWarning { line: why.1.line(), text: why.0.to_string() })?;
    let value = engine.eval_ast::<Dynamic>(&ast).map_err(|mut why| {
        let line = why.position().line();
        why.clear_position();
        ConfigWarning { line, text: why.to_string() }
    })?;
    let line = first(&ast).and_then(|map| map.position().line());
    let map = value.try_cast::<Map>();
    Ok((map.ok_or(ConfigWarning { line, text: "expected a map #{ … }".into() })?, lines(&ast)))
}

fn first(ast: &AST) -> Option<&Expr> {
    ast.statements().iter().find_map(|statement| match statement {
        Stmt::Expr(expression) => Some(&**expression),
        _ => None,
    })
}

fn lines(ast: &AST) -> Lines {
    let mut found = HashMap::new();
    let Some(Expr::Map(fields, _)) = first(ast) else { return found };
    for (field, value) in &fields.0 {
        let name = || field.name.to_string();
        found.extend(field.pos.line().map(|line| ((name(), None), line)));
        let Expr::Map(entries, _) = value else { continue };
        let entries = entries.0.iter().filter_map(|(entry, _)| Some((entry.name.to_string(), entry.pos.line()?)));
        found.extend(entries.map(|(entry, line)| ((name(), Some(entry)), line)));
    }
    found
}

/// Reads the fields of a configuration and collects warnings.
struct Reader {
    config: Config,
    lines: Lines,
    warnings: Vec<ConfigWarning>,
}

impl Reader {
    fn read(&mut self, map: &Map) {
        for (field, value) in map {
            match field.as_str() {
                "colors" => self.set("colors", value, |config, name| {
                    let known = Colormap::ALL.map(Colormap::name);
                    config.colors = Colormap::named(name).ok_or_else(|| unknown("colormap", name, &known))?;
                    Ok(())
                }),
                "graphics" => self.set("graphics", value, |config, name| {
                    let found = Graphics::from_str(name, true);
                    config.graphics = Some(found.map_err(|_| unknown("graphics mode", name, &graphics()))?);
                    Ok(())
                }),
                "theme" if value.is_string() => self.set("theme", value, |config, name| {
                    config.palette = Palette::named(name)?;
                    Ok(())
                }),
                "theme" => self.set_each("theme", value, |config, role, color| {
                    if role == "base" {
                        config.palette = Palette::named(color)?;
                        return Ok(());
                    }
                    if !Paint::roles().contains(&role) {
                        return Err(unknown("role", role, Paint::roles()));
                    }
                    config.theme.push(Paint::new(role, color)?);
                    Ok(())
                }),
                "keys" => self.set_each("keys", value, |config, key, action| {
                    let known: Vec<_> = Bindings::actions().collect();
                    if !known.contains(&action) {
                        return Err(unknown("action", action, &known));
                    }
                    config.bindings.bind(key, action)
                }),
                other => self.warn(other, None, unknown("field", other, &FIELDS)),
            }
        }
        // rhai's maps are sorted by name.
        self.warnings.sort_by_key(|warning| warning.line);
    }

    /// Sets a field to a string.
    fn set(&mut self, field: &str, value: &Dynamic, set: impl FnOnce(&mut Config, &str) -> Result<(), String>) {
        let text = word(field, value).map_err(|why| why.to_string());
        if let Err(why) = text.and_then(|text| set(&mut self.config, &text)) {
            self.warn(field, None, why);
        }
    }

    /// Sets each entry of a field's map to a string.
    fn set_each(&mut self, field: &str, value: &Dynamic, set: impl Fn(&mut Config, &str, &str) -> Result<(), String>) {
        let Some(map) = value.read_lock::<Map>() else {
            return self.warn(field, None, format!("{field} must be a map #{{ name: \"value\" }}"));
        };
        for (name, value) in map.iter() {
            let text = word(&format!("{field}.{name}"), value).map_err(|why| why.to_string());
            if let Err(why) = text.and_then(|text| set(&mut self.config, name, &text)) {
                self.warn(field, Some(name), why);
            }
        }
    }

    fn warn(&mut self, field: &str, entry: Option<&str>, text: String) {
        let line = |entry: Option<&str>| self.lines.get(&(field.to_string(), entry.map(String::from))).copied();
        let line = line(entry).or_else(|| line(None));
        self.warnings.push(ConfigWarning { line, text });
    }
}

/// The message for an unknown name: the most similar known name, or all of them.
fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let shown = words::name(name);
    match words::closest(name, known.iter().copied()) {
        Some(near) => format!("unknown {what} \"{shown}\"; did you mean \"{near}\"?"),
        None => format!("unknown {what} \"{shown}\"; expected one of {}", known.join(", ")),
    }
}

/// The names of the ways to draw pictures.
pub fn graphics() -> Vec<&'static str> {
    Graphics::names().collect()
}

fn word(field: &str, value: &Dynamic) -> Result<String> {
    let found = value.clone().into_string();
    found.map_err(|kind| anyhow!("{} must be a string, got {kind}", words::name(field)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_sets_keys_colors_and_graphics() {
        let text = "// mine\n#{\n  colors: \"viridis\", graphics: \"half\",\n  theme: #{ focus: \"#ff8800\" },\n  keys: #{ \"Ctrl-s\": \"save\" },\n}";
        let (config, warnings) = parse(text);
        assert_eq!(warnings, []);
        assert_eq!((config.colors.name(), config.graphics), ("viridis", Graphics::from_str("half", false).ok()));
        assert_eq!(
            (config.theme.len(), config.bindings.key_of(crate::tui::keymap::Action::Save).as_str()),
            (1, "Ctrl-s")
        );
    }

    #[test]
    fn a_mistake_is_a_warning_with_its_line_and_the_rest_is_used() {
        let text = "#{\n  colours: \"magma\",\n  colors: \"viridus\",\n  graphics: 3,\n  theme: #{\n    fokus: \"red\",\n    \
                    bar: \"orangy\",\n    good: \"blue\",\n  },\n  keys: #{ \"x\": \"plays\", \"xx\": \"play\",\n    \"u\": \"save\", \"v\": 1 },\n}";
        let (config, warnings) = parse(text);
        let told: Vec<_> = warnings.iter().map(|w| (w.line.unwrap_or(0), w.text.as_str())).collect();
        let expected = [
            (2, "unknown field \"colours\"; did you mean \"colors\"?"),
            (3, "unknown colormap \"viridus\"; did you mean \"viridis\"?"),
            (4, "graphics must be a string, got i64"),
            (6, "unknown role \"fokus\"; did you mean \"focus\"?"),
            (7, "invalid color \"orangy\"; expected a name such as red, a number from 0 to 255, or #rrggbb"),
            (10, "unknown action \"plays\"; did you mean \"play\"?"),
        ];
        assert_eq!(told[..6], expected);
        assert!(told[6].0 == 10 && told[6].1.starts_with("unknown key \"xx\""), "{told:?}");
        assert_eq!(told[7..], [(11, "keys.v must be a string, got i64")]);
        assert_eq!(config.theme.iter().map(|paint| paint.parts().0).collect::<Vec<_>>(), ["good"]);
        assert_eq!(config.bindings.key_of(crate::tui::keymap::Action::Save), "u");
    }

    #[test]
    fn a_file_that_does_not_parse_gives_the_defaults_and_a_warning_with_the_line() {
        for (text, line) in
            [("#{\n colors: \n", 3), ("#{\n colors: nothing }", 2), ("#{ colors: \"gray\" } }", 1), ("\n3", 2)]
        {
            let (config, warnings) = parse(text);
            assert_eq!(config.colors, Colormap::default());
            assert_eq!((warnings.len(), warnings[0].line), (1, Some(line)), "{text:?}: {warnings:?}");
            assert!(warnings[0].text.ends_with("; using the default configuration"), "{warnings:?}");
        }
        for nothing in ["", "\n  // nothing yet\n"] {
            assert!(parse(nothing).1.is_empty());
        }
    }
}

//! Converts any value to a string of bounded length, even closures with cyclic captures.
//!
//! rhai's conversion recurses through captured variables and never returns if they form a cycle.

use rhai::{Array, Dynamic, Engine, FnPtr, Map, NativeCallContext};

/// Maximum length in bytes of a value's string representation, equal to the maximum length of strings in scripts.
pub(in crate::script) const LONGEST: usize = 1 << 20;
/// Maximum nesting depth of printed arrays and maps. Deeper values are shown as [`REST`].
const LEVELS: usize = 64;
/// Placeholder for the omitted parts of a value.
const REST: &str = "…";

pub(in crate::script) fn register(engine: &mut Engine) {
    for name in ["print", "to_string", "debug", "to_debug"] {
        engine.register_fn(name, |context: NativeCallContext, array: &mut Array| list(&context, array));
        engine.register_fn(name, |context: NativeCallContext, map: &mut Map| entries(&context, map));
    }
}

/// The string that `print` shows for a value, at most [`LONGEST`] bytes.
pub(in crate::script) fn text(value: &Dynamic) -> String {
    let mut writer = Writer { text: String::new(), leaf: &leaf };
    match value.read_lock::<rhai::ImmutableString>() {
        Some(text) => return text.to_string(),
        None if is_plain(value) => return value.to_string(),
        None => writer.value(value, LEVELS),
    }
    writer.text
}

/// A scalar value as printed inside an array or map.
fn leaf(value: &Dynamic) -> String {
    if value.is_char() { value.to_string() } else { format!("{value:?}") }
}

/// Whether a value is neither shared nor a container, so that it can be printed without recursion.
fn is_plain(value: &Dynamic) -> bool {
    !value.is_shared() && !value.is_array() && !value.is_map()
}

fn list(context: &NativeCallContext, array: &Array) -> String {
    written(context, |writer| writer.list(array, LEVELS))
}

fn entries(context: &NativeCallContext, map: &Map) -> String {
    written(context, |writer| writer.entries(map, LEVELS))
}

/// Runs `write` and returns the string it produced. Values of gradscope types are formatted by their `to_debug` functions.
fn written(context: &NativeCallContext, write: impl FnOnce(&mut Writer)) -> String {
    let leaf = |value: &Dynamic| {
        let told = context.call_native_fn_raw("to_debug", true, &mut [&mut value.clone()]);
        told.ok().and_then(|told| told.into_string().ok()).unwrap_or_else(|| leaf(value))
    };
    let mut writer = Writer { text: String::new(), leaf: &leaf };
    write(&mut writer);
    writer.text
}

struct Writer<'a> {
    text: String,
    /// Formats a scalar value.
    leaf: &'a dyn Fn(&Dynamic) -> String,
}

impl Writer<'_> {
    fn value(&mut self, value: &Dynamic, levels: usize) {
        if let Some(array) = value.read_lock::<Array>() {
            self.list(&array, levels);
        } else if let Some(map) = value.read_lock::<Map>() {
            self.entries(&map, levels);
        } else if let Some(closure) = value.read_lock::<FnPtr>() {
            self.put(&closure.to_string());
        } else if value.is_shared() {
            match value.read_lock::<Dynamic>() {
                Some(inner) => self.put(&(self.leaf)(&inner)),
                None => self.put(REST),
            }
        } else {
            self.put(&(self.leaf)(value));
        }
    }

    fn list(&mut self, array: &Array, levels: usize) {
        self.put("[");
        self.items(array.iter().map(|value| (None, value)), levels);
        self.put("]");
    }

    fn entries(&mut self, map: &Map, levels: usize) {
        self.put("#{");
        self.items(map.iter().map(|(name, value)| (Some(name.as_str()), value)), levels);
        self.put("}");
    }

    fn items<'a>(&mut self, items: impl Iterator<Item = (Option<&'a str>, &'a Dynamic)>, levels: usize) {
        for (i, (name, value)) in items.enumerate() {
            if i > 0 {
                self.put(", ");
            }
            if levels == 0 || self.is_full() {
                return self.put(REST);
            }
            if let Some(name) = name {
                self.put(&format!("{name:?}: "));
            }
            self.value(value, levels - 1);
        }
    }

    fn is_full(&self) -> bool {
        self.text.len() + 3 * LEVELS >= LONGEST
    }

    /// Appends as much of `piece` as fits in [`LONGEST`] bytes, leaving room for closing brackets.
    fn put(&mut self, piece: &str) {
        let room = LONGEST.saturating_sub(self.text.len() + if piece.len() > 8 { 6 * LEVELS } else { 0 });
        match piece.char_indices().map(|(i, c)| i + c.len_utf8()).take_while(|&end| end <= room).last() {
            _ if piece.len() <= room => self.text.push_str(piece),
            Some(end) => self.text.extend([&piece[..end], REST]),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Dynamic {
        Engine::new().eval::<Dynamic>(text).unwrap()
    }

    #[test]
    fn values_are_formatted_as_the_language_prints_them() {
        let mut ours = Engine::new();
        register(&mut ours);
        for script in [
            "[1, -2.5, \"a\\n\", 'c', true, (), [[], #{}]]",
            "#{ a: 1, \"b c\": [1.0], d: #{ e: \"f\" } }",
            "[1.0, 1e300, 0.1]",
            "[1..3, 1..=3]",
            "3.0",
            "\"text\"",
            "'c'",
            "()",
            "|x| x",
        ] {
            let told = |engine: &Engine, f: &str| engine.eval::<String>(&format!("let v = {script}; {f}")).unwrap();
            let anonymous = |text: String| text.split("anon$").next().unwrap_or_default().to_string();
            for f in ["`${v}`", "v.to_string()", "v.to_debug()"] {
                assert_eq!(anonymous(told(&ours, f)), anonymous(told(&Engine::new(), f)), "{script}: {f}");
            }
            assert_eq!(anonymous(text(&value(script))), anonymous(told(&Engine::new(), "`${v}`")), "{script}");
        }
    }

    #[test]
    fn cycles_deep_nesting_and_long_values_are_cut_off() {
        let mut ours = Engine::new();
        register(&mut ours);
        for script in [
            "let c = 0; let f = || c; c = [f, 1]; c",
            "let a = []; for i in 0..500 { a = [a]; } a",
            "let m = #{}; for i in 0..500 { m = #{ x: m, y: [m.get(\"x\")] }; if i > 12 { m.y = (); } } m",
            "let t = \"é\"; for i in 0..18 { t += t; } [t, t, t, t]",
        ] {
            let mut engine = Engine::new();
            engine.set_max_expr_depths(0, 0);
            let value: Dynamic = engine.eval(script).unwrap();
            let told = text(&value);
            assert!(told.len() <= LONGEST + 64 && told.len() > 2, "{script}: {}", told.len());
            let printed: String = ours.eval(&format!("{script}.to_debug()")).unwrap();
            assert!(printed.len() <= LONGEST + 64, "{script}: {}", printed.len());
        }
    }
}

//! Makes untrusted text safe to display: control characters are escaped and the length is limited.
//!
//! Names of tensors, layers, classes, files and pictures, script messages and command-line arguments may contain anything. Code
//! that puts such a string into a message escapes it with [`name`]; code that writes to a terminal or a file passes the whole
//! output through [`line`](line()) or [`text`] as a second line of defense.

use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// Maximum length of a displayed name, in characters.
const NAME: usize = 120;
/// Maximum length of a displayed path, in characters.
const PATH: usize = 400;
/// Maximum length of a line, in characters.
const LINE: usize = 2000;
/// Maximum length of escaped multi-line text, in bytes.
const TEXT: usize = 1 << 20;

/// Escapes a name: one line of at most 120 characters. Control characters, invisible characters and bidirectional controls are escaped as
/// in Rust's strings: `\x1b`, `\n`, `\u{202e}`. The middle of a long name is replaced with `…`, and the length of the name is appended.
pub fn name(text: &str) -> Cow<'_, str> {
    limited(text, NAME)
}

/// Escapes a path like [`name`], to at most 400 characters.
pub fn path(path: &(impl AsRef<Path> + ?Sized)) -> String {
    limited(&path.as_ref().to_string_lossy(), PATH).into_owned()
}

/// Escapes a message: one line of at most 2,000 characters.
pub fn line(text: &str) -> Cow<'_, str> {
    limited(text, LINE)
}

/// Escapes a line of a script: tabs are kept; anything after 2,000 characters is cut off.
pub fn code(line: &str) -> String {
    let (shown, rest) = line.split_at(line.char_indices().nth(LINE).map_or(line.len(), |(at, _)| at));
    let shown: Vec<_> = shown.split('\t').map(self::line).collect();
    shown.join("\t") + if rest.is_empty() { "" } else { "…" }
}

/// Escapes multi-line text. Newlines and tabs are kept; each line is limited to 2,000 characters, and the result to about a million bytes.
pub fn text(text: &str) -> Cow<'_, str> {
    if text.len() <= LINE && text.chars().all(is_laid_out) {
        return text.into();
    }
    let mut all = String::new();
    for (i, part) in text.split('\n').enumerate() {
        if all.len() > TEXT {
            let _ = write!(all, "\n… [{} characters]", text.chars().count());
            break;
        }
        if i > 0 {
            all.push('\n');
        }
        // `limited` also escapes tabs, which `escaped` keeps.
        match part.len() > LINE {
            true => all.push_str(&limited(part, LINE)),
            false => all.push_str(&escaped(part)),
        }
    }
    all.into()
}

/// Escapes multi-line text of any length; newlines and tabs are kept.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_laid_out) {
        return text.into();
    }
    let mut all = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_laid_out(c) { all.push(c) } else { escape(c, &mut all) }
    }
    all.into()
}

/// Formats a value as indented JSON. Every character that [`name`] would escape is written as a JSON escape such as `\u001b`.
pub fn json(value: &Value) -> String {
    in_json(&format!("{value:#}"))
}

/// Formats a value like [`json`], on one line.
pub fn json_line(value: &Value) -> String {
    in_json(&value.to_string())
}

fn in_json(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for c in text.chars() {
        match c == '\n' || is_plain(c) {
            true => all.push(c),
            // Apart from the newlines between entries, non-plain characters occur only inside JSON strings.
            false => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(all, "\\u{unit:04x}");
                }
            }
        }
    }
    all
}

/// Whether a character is displayed as itself and has no other effect on a terminal.
pub fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c as u32,
            // Invisible characters and blanks that are not spaces.
            0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f | 0x3164 | 0xffa0 | 0xfeff
            // Line separators and bidirectional controls.
            | 0x2028..=0x202e | 0x2060..=0x206f
            // Annotations, tags, and variation selectors that emoji do not use.
            | 0xfff0..=0xfffb | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

fn is_laid_out(c: char) -> bool {
    c == '\n' || c == '\t' || is_plain(c)
}

fn escape(c: char, to: &mut String) {
    match c {
        _ if is_plain(c) => to.push(c),
        '\n' => to.push_str("\\n"),
        '\t' => to.push_str("\\t"),
        '\r' => to.push_str("\\r"),
        // Writing to a string cannot fail.
        '\0'..='\x7f' => write!(to, "\\x{:02x}", c as u32).unwrap_or_default(),
        c => write!(to, "\\u{{{:x}}}", c as u32).unwrap_or_default(),
    }
}

/// Escapes `text` to one line of at most `most` characters.
fn limited(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most && text.chars().all(is_plain) {
        return text.into();
    }
    let mut whole = String::new();
    let mut count = 0;
    for c in text.chars() {
        let before = whole.len();
        escape(c, &mut whole);
        count += whole[before..].chars().count();
        if count > most {
            return cut(text, most).into();
        }
    }
    whole.into()
}

/// Shortens `text` to `most` characters: the beginning of `text` (three fifths of the space), `…`, the end, and the length of `text`.
fn cut(text: &str, most: usize) -> String {
    let told = format!(" [{} characters]", text.chars().count());
    let room = most.saturating_sub(told.len() + 1);
    let head = taken(text.chars(), room * 3 / 5);
    let tail = taken(text.chars().rev(), room - room * 3 / 5);
    let mut all = String::new();
    text.chars().take(head).for_each(|c| escape(c, &mut all));
    all.push('…');
    let from = text.char_indices().rev().nth(tail.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
    text[if tail == 0 { text.len() } else { from }..].chars().for_each(|c| escape(c, &mut all));
    all + told.as_str()
}

/// Number of leading characters that fit into `room` characters once escaped.
fn taken(chars: impl Iterator<Item = char>, room: usize) -> usize {
    let mut one = String::new();
    let ends = chars.scan(0, |count, c| {
        one.clear();
        escape(c, &mut one);
        *count += one.chars().count();
        Some(*count)
    });
    ends.take_while(|end| *end <= room).count()
}

/// Similarity of two names, from 0 to 1 (Jaro-Winkler); only the first 120 characters are compared.
pub fn alike(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(beginning(a), beginning(b))
}

fn beginning(name: &str) -> &str {
    &name[..name.char_indices().nth(NAME).map_or(name.len(), |(at, _)| at)]
}

/// The candidate most similar to `name`, if its similarity is above 0.75.
pub fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let alike = candidates.map(|c| (alike(c, name), c));
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.75).map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Examples of each kind of character that must never reach a terminal.
    const HOSTILE: &str = "\x00\x07\x08\x0b\x0c\r\x1b\x7f\u{80}\u{85}\u{9b}\u{9d}\u{ad}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\
                           \u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\u{e0041}";

    #[test]
    fn control_characters_and_bidirectional_controls_are_escaped() {
        assert_eq!(name("tabby\x1b[31m\x07\u{9b}\r"), "tabby\\x1b[31m\\x07\\u{9b}\\r");
        assert_eq!(name("a\nerror: b\t\u{202e}c"), "a\\nerror: b\\t\\u{202e}c");
        for show in [name, line, text, escaped] {
            let shown = show(HOSTILE);
            assert!(shown.chars().all(is_plain), "{shown:?}");
        }
        assert_eq!(text("a\tü\n█\x1b"), "a\tü\n█\\x1b");
    }

    #[test]
    fn ordinary_text_is_not_changed() {
        for word in ["bull mastiff", "Pöbel, \"x\" \\ 'y'", "日本語 (3)", "emoji ❤\u{fe0f} 🐕", "a/b.c[3]", "e\u{301}"]
        {
            assert_eq!(name(word), word);
            assert!(matches!(text(word), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn a_long_name_keeps_its_ends_and_gives_its_length() {
        let long = format!("layer.{}.weight", "0123456789".repeat(1_000_000));
        let shown = name(&long);
        assert!(shown.starts_with("layer.0123") && shown.contains('…'), "{shown}");
        assert!(shown.ends_with("789.weight [10000013 characters]"), "{shown}");
        assert!(shown.chars().count() <= NAME);
        let escapes = "\x1b".repeat(500);
        assert!(name(&escapes).chars().count() <= NAME && name(&escapes).ends_with("\\x1b [500 characters]"));
        assert!(line(&long).chars().count() <= LINE);
        assert_eq!(name(&"x".repeat(NAME)), "x".repeat(NAME));
    }

    #[test]
    fn escaping_is_idempotent() {
        for hostile in [HOSTILE.to_string(), "\x1b".repeat(500), "x".repeat(10_000), "é".repeat(121)] {
            let once = name(&hostile).into_owned();
            assert_eq!(name(&once), once);
            assert_eq!(text(&line(&once)), once);
        }
    }

    #[test]
    fn a_text_is_bounded_line_by_line_and_as_a_whole() {
        let long = format!("a\n{}\nc", "b".repeat(5000));
        let shown = text(&long).into_owned();
        assert!(shown.starts_with("a\nbbb") && shown.ends_with("[5000 characters]\nc"), "{shown}");
        let endless = "line\n".repeat(1_000_000);
        assert!(text(&endless).len() < TEXT + 100 && text(&endless).ends_with("… [5000000 characters]"));
    }

    #[test]
    fn json_is_the_same_document_without_control_characters() {
        let value = json!({ HOSTILE: [HOSTILE, "ü\n\t\"\\", { "deep": format!("{HOSTILE}🐕") }] });
        for text in [json(&value), json_line(&value)] {
            assert!(text.chars().all(|c| c == '\n' || is_plain(c)), "{text:?}");
            assert!(text.contains('ü') && text.contains('🐕'));
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
        assert_eq!(json_line(&value).lines().count(), 1);
    }
}

//! Words from outside as they may be shown: escaped, so that they do nothing but be read, and shortened.
//!
//! Names of tensors, layers, classes, files and pictures, what scripts throw or say, and arguments may hold anything. Whoever
//! builds a sentence around one shows it as a [`name`]; what writes to a terminal or a file passes whole [`line`](line())s or
//! [`text`]s, for the names that were forgotten.

use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// Characters that a name has at most when it is shown.
const NAME: usize = 120;
/// Characters that a path has at most.
const PATH: usize = 400;
/// Characters that a line has at most.
const LINE: usize = 2000;
/// Characters that a text has at most.
const TEXT: usize = 1 << 20;

/// A name: one line of at most 120 characters. What a terminal would obey, what cannot be seen and what turns the direction
/// of writing is shown as in Rust's strings, `\x1b`, `\n`, `\u{202e}`; a long one loses its middle and tells its length.
pub fn name(text: &str) -> Cow<'_, str> {
    limited(text, NAME)
}

/// A path, likewise, of at most 400 characters.
pub fn path(path: &(impl AsRef<Path> + ?Sized)) -> String {
    limited(&path.as_ref().to_string_lossy(), PATH).into_owned()
}

/// A sentence: one line of at most 2,000 characters.
pub fn line(text: &str) -> Cow<'_, str> {
    limited(text, LINE)
}

/// A line of a script: tabs stay, and it ends after 2,000 characters.
pub fn code(line: &str) -> String {
    let (shown, rest) = line.split_at(line.char_indices().nth(LINE).map_or(line.len(), |(at, _)| at));
    let shown: Vec<_> = shown.split('\t').map(self::line).collect();
    shown.join("\t") + if rest.is_empty() { "" } else { "…" }
}

/// Lines: newlines and tabs stay, each line has at most 2,000 characters, all have a million.
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
        // Tabs stay, so each stretch between them is escaped by itself.
        match part.len() > LINE {
            true => all.push_str(&limited(part, LINE)),
            false => all.push_str(&escaped(part)),
        }
    }
    all.into()
}

/// All of a text, with newlines and tabs as they are, whatever its length.
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

/// A document as indented JSON in which every character that is not shown as it is stands as `\u001b`.
pub fn json(value: &Value) -> String {
    in_json(&format!("{value:#}"))
}

/// The same on one line.
pub fn json_line(value: &Value) -> String {
    in_json(&value.to_string())
}

fn in_json(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for c in text.chars() {
        match c == '\n' || is_plain(c) {
            true => all.push(c),
            // Beyond the newlines between entries such characters stand within strings.
            false => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(all, "\\u{unit:04x}");
                }
            }
        }
    }
    all
}

/// Whether a character is shown as itself and does nothing else.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c as u32,
            // Invisible, or a space that is none.
            0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f | 0x3164 | 0xffa0 | 0xfeff
            // Separators of lines, and what turns the direction of writing.
            | 0x2028..=0x202e | 0x2060..=0x206f
            // Annotations, tags, and variants beyond those of emoji.
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
        // Writing to a text cannot fail.
        '\0'..='\x7f' => write!(to, "\\x{:02x}", c as u32).unwrap_or_default(),
        c => write!(to, "\\u{{{:x}}}", c as u32).unwrap_or_default(),
    }
}

/// One line of at most `most` characters when it is escaped.
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

/// Three fifths of what may be shown from the beginning, the rest from the end, and the length.
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

/// How many of these characters have room.
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

/// How alike two names are, from 0 to 1 (Jaro-Winkler); of long ones their beginnings.
pub fn alike(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(beginning(a), beginning(b))
}

fn beginning(name: &str) -> &str {
    &name[..name.char_indices().nth(NAME).map_or(name.len(), |(at, _)| at)]
}

/// The candidate most like `name`, if any is.
pub fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let alike = candidates.map(|c| (alike(c, name), c));
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.75).map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What must never reach a terminal: some of each kind.
    const HOSTILE: &str = "\x00\x07\x08\x0b\x0c\r\x1b\x7f\u{80}\u{85}\u{9b}\u{9d}\u{ad}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\
                           \u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\u{e0041}";

    #[test]
    fn what_would_move_the_cursor_colour_or_turn_a_text_is_shown_as_its_number() {
        assert_eq!(name("tabby\x1b[31m\x07\u{9b}\r"), "tabby\\x1b[31m\\x07\\u{9b}\\r");
        assert_eq!(name("a\nerror: b\t\u{202e}c"), "a\\nerror: b\\t\\u{202e}c");
        for show in [name, line, text, escaped] {
            let shown = show(HOSTILE);
            assert!(shown.chars().all(is_plain), "{shown:?}");
        }
        assert_eq!(text("a\tü\n█\x1b"), "a\tü\n█\\x1b");
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for word in ["bull mastiff", "Pöbel, \"x\" \\ 'y'", "日本語 (3)", "emoji ❤\u{fe0f} 🐕", "a/b.c[3]", "e\u{301}"]
        {
            assert_eq!(name(word), word);
            assert!(matches!(text(word), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn a_long_name_keeps_its_ends_and_tells_its_length() {
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
    fn what_was_shown_once_is_shown_the_same_again() {
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
    fn json_is_the_same_document_without_what_a_terminal_obeys() {
        let value = json!({ HOSTILE: [HOSTILE, "ü\n\t\"\\", { "deep": format!("{HOSTILE}🐕") }] });
        for text in [json(&value), json_line(&value)] {
            assert!(text.chars().all(|c| c == '\n' || is_plain(c)), "{text:?}");
            assert!(text.contains('ü') && text.contains('🐕'));
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
        assert_eq!(json_line(&value).lines().count(), 1);
    }
}

//! Keys and their notation in help, hints and configuration files.

use std::fmt;

/// A key, independent of the library that reads the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A character as typed, such as `a`, `A`, `[` or a space.
    Char(char),
    /// A letter typed with Ctrl held.
    Ctrl(char),
    /// The Enter key.
    Enter,
    /// The Escape key.
    Esc,
    /// The Tab key.
    Tab,
    /// The Tab key with Shift held.
    BackTab,
    /// The Backspace key.
    Backspace,
    /// The Delete key.
    Delete,
    /// The up arrow key.
    Up,
    /// The down arrow key.
    Down,
    /// The left arrow key.
    Left,
    /// The right arrow key.
    Right,
    /// The Home key.
    Home,
    /// The End key.
    End,
    /// The Page Up key.
    PageUp,
    /// The Page Down key.
    PageDown,
}

impl Key {
    /// Parses the notation of [`Display`](fmt::Display), such as `x`, `Ctrl-x` or `PgUp`; `None` if `text` is not a key.
    pub fn parse(text: &str) -> Option<Self> {
        let mut letters = text.chars();
        Some(match (letters.next()?, letters.as_str()) {
            (letter, "") if !letter.is_control() => Key::Char(letter),
            _ if text == "Space" => Key::Char(' '),
            _ if text == "S-Tab" => Key::BackTab,
            _ if text == "PgUp" => Key::PageUp,
            _ if text == "PgDn" => Key::PageDown,
            _ => {
                let named = [
                    Key::Enter,
                    Key::Esc,
                    Key::Tab,
                    Key::Backspace,
                    Key::Delete,
                    Key::Up,
                    Key::Down,
                    Key::Left,
                    Key::Right,
                    Key::Home,
                    Key::End,
                ];
                let ctrl = text.strip_prefix("Ctrl-").and_then(|c| c.parse().ok()).filter(char::is_ascii_lowercase);
                return ctrl.map(Key::Ctrl).or_else(|| named.into_iter().find(|key| format!("{key}") == text));
            }
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Char(' ') => f.write_str("Space"),
            Key::Char(c) => write!(f, "{c}"),
            Key::Ctrl(c) => write!(f, "Ctrl-{c}"),
            Key::BackTab => f.write_str("S-Tab"),
            Key::PageUp => f.write_str("PgUp"),
            Key::PageDown => f.write_str("PgDn"),
            other => write!(f, "{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_existing_keys_are_parsed() {
        assert_eq!([Key::parse("Ctrl-q"), Key::parse("S-Tab")], [Some(Key::Ctrl('q')), Some(Key::BackTab)]);
        assert_eq!([Key::parse("Ctrl-Q"), Key::parse("F13")], [None, None]);
    }
}

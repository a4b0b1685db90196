//! The text of the help: keys and commands, wrapped to a width.

use super::{file_browser, picker, prompt};
use crate::tui::command::COMMANDS;
use crate::tui::keymap::Bound;
use crate::tui::panel::{self, PANELS};
use crate::tui::state::State;
use ratatui::text::Span;

/// Widths of the left column: for keys and for commands.
const LEFT: (usize, usize) = (14, 22);
/// Minimum width of the right column. In narrower places, the right text is below the left one.
const RIGHT: usize = 16;

/// An entry of the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelpEntry {
    /// A heading.
    Section(&'static str),
    /// Keys or a command, and what they do.
    Pair {
        /// The keys, or the command with its arguments.
        left: String,
        /// What it does.
        right: String,
        /// Width of the left column.
        width: usize,
    },
}

/// A line of the help.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HelpLine {
    /// Index of the entry to which the line belongs.
    pub entry: usize,
    /// Text in the style of keys or, without `right`, possibly of a heading.
    pub left: String,
    /// Text in the ordinary style.
    pub right: String,
    /// Whether the line is a heading.
    pub heading: bool,
}

impl HelpEntry {
    /// Whether the entry contains a text in lower case.
    pub fn has(&self, text: &str) -> bool {
        match self {
            Self::Section(name) => name.to_lowercase().contains(text),
            Self::Pair { left, right, .. } => format!("{left} {right}").to_lowercase().contains(text),
        }
    }
}

/// All entries: the keys of the focused panel first, then those that work everywhere, of other panels and of pop-ups, and commands.
/// `own` are the keys of the help itself.
pub fn entries(state: &State, own: Vec<Bound>) -> Vec<HelpEntry> {
    let focused = panel::of(state.focus);
    let others = PANELS.iter().filter(|panel| panel.pane != state.focus);
    let rows = panel::keys(focused, state).into_iter().chain(panel::keys_everywhere(state));
    let rows = rows.chain(others.flat_map(|panel| panel::keys(panel, state)));
    let popups = [picker::LAYER, file_browser::LAYER, prompt::LAYER];
    let rows = rows.chain(popups.into_iter().flat_map(|layer| (layer.keys)(state))).chain(own);
    let mut entries = Vec::new();
    let mut section = "";
    for bound in rows.filter(|bound| !bound.keys.is_empty()) {
        if bound.binding.section != section {
            section = bound.binding.section;
            entries.push(HelpEntry::Section(section));
        }
        entries.push(of_keys(bound));
    }
    entries.push(HelpEntry::Section("Commands"));
    entries.extend(COMMANDS.iter().map(|command| HelpEntry::Pair {
        left: format!(":{} {}", command.name, command.arguments).trim_end().to_owned(),
        right: command.summary.to_owned(),
        width: LEFT.1,
    }));
    entries
}

fn of_keys(bound: Bound) -> HelpEntry {
    let keys: Vec<_> = bound.keys.iter().map(ToString::to_string).collect();
    HelpEntry::Pair { left: keys.join(" "), right: bound.binding.says.into_owned(), width: LEFT.0 }
}

/// The entries as lines of at most `width` cells.
pub fn lines(entries: &[HelpEntry], width: usize) -> Vec<HelpLine> {
    let mut lines = Vec::new();
    for (entry, text) in entries.iter().enumerate() {
        match text {
            HelpEntry::Section(name) => {
                if entry > 0 {
                    lines.push(HelpLine { entry, ..HelpLine::default() });
                }
                let heading = |left| HelpLine { entry, left, heading: true, ..HelpLine::default() };
                lines.extend(wrapped(name, width).into_iter().map(heading));
            }
            HelpEntry::Pair { left, right, width: column } => lines.extend(pair(entry, left, right, *column, width)),
        }
    }
    lines
}

/// The lines of a pair. The right text is beside the left one if there is room, otherwise below it.
fn pair(entry: usize, left: &str, right: &str, column: usize, width: usize) -> Vec<HelpLine> {
    let below = width < column + 2 + RIGHT;
    let indent = if below { 3.min(width / 4) } else { column + 2 };
    let rights = wrapped(right, width.saturating_sub(indent).max(1));
    let lefts =
        wrapped(left, if below || left_is_long(left, column) { width.saturating_sub(1).max(1) } else { column });
    let line = |left: String, right: String| HelpLine { entry, left, right, heading: false };
    if !below && !left_is_long(left, column) {
        let padded = format!(" {left:column$} ");
        let blank = " ".repeat(indent);
        let firsts = std::iter::once(padded).chain(std::iter::repeat(blank));
        return firsts.zip(rights).map(|(left, right)| line(left, right)).collect();
    }
    let lefts = lefts.into_iter().map(|left| line(format!(" {left}"), String::new()));
    lefts.chain(rights.into_iter().map(|right| line(" ".repeat(indent), right))).collect()
}

fn left_is_long(left: &str, column: usize) -> bool {
    Span::raw(left).width() > column
}

/// Wraps a text to lines of at most `width` cells, between words if possible. At least one line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let size = |text: &str| Span::raw(text).width();
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().map_or(0, |line| if line.is_empty() { 0 } else { size(line) + 1 });
        if last > 0 && last + size(word) <= width {
            lines.iter_mut().last().into_iter().for_each(|line| *line += &format!(" {word}"));
            continue;
        }
        if last > 0 {
            lines.push(String::new());
        }
        // A word that is too long is broken.
        for letter in word.chars() {
            let line = lines.last().map_or("", |line| line);
            if !line.is_empty() && size(line) + size(letter.encode_utf8(&mut [0; 4])) > width {
                lines.push(String::new());
            }
            lines.iter_mut().last().into_iter().for_each(|line| line.push(letter));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::state::Pane;

    fn text(lines: &[HelpLine]) -> String {
        lines.iter().map(|line| format!("{}{}\n", line.left, line.right)).collect()
    }

    #[test]
    fn nothing_is_cut_at_any_width() {
        let all = entries(&State::new(80, 24), vec![]);
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let whole = letters(&text(&lines(&all, 1000)));
        for width in 1..=120 {
            let lines = lines(&all, width);
            let wide = lines
                .iter()
                .find(|line| Span::raw(format!("{}{}", line.left, line.right).trim_end()).width() > width.max(3));
            assert!(wide.is_none(), "{width}: {wide:?}");
            // Rows beside each other interleave, so only the letters are compared.
            let mut kept: Vec<_> = letters(&text(&lines)).chars().collect();
            let mut wanted: Vec<_> = whole.chars().collect();
            kept.sort_unstable();
            wanted.sort_unstable();
            assert!(kept == wanted, "letters are missing at {width}");
        }
    }

    #[test]
    fn the_focused_pane_comes_first() {
        for pane in [Pane::METHODS, Pane::LAYERS, Pane::PARAMETERS] {
            let first = panel::of(pane).keys[0].section;
            assert_eq!(entries(&State { focus: pane, ..State::default() }, vec![])[0], HelpEntry::Section(first));
        }
    }

    #[test]
    fn long_words_are_broken_and_short_ones_kept_whole() {
        assert_eq!(wrapped("go to the step", 6), ["go to", "the", "step"]);
        assert_eq!(wrapped("a features.12:channel=7", 10), ["a", "features.1", "2:channel=", "7"]);
        assert_eq!(wrapped("", 5), [""]);
    }
}

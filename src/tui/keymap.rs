//! The keymap: one table of what every key does where, from which help and hints are made.

pub use super::action::Action;
use std::fmt;

/// A key as the table names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A character as typed: `a`, `A`, `[`, a space.
    Char(char),
    /// A letter with Ctrl held.
    Ctrl(char),
    /// Return.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Tab with Shift held.
    BackTab,
    /// The key that deletes to the left.
    Backspace,
    /// The key that deletes to the right.
    Delete,
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
}

/// Where a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// In every pane, while nothing is open over the panes.
    Everywhere,
    /// In the list of methods.
    Methods,
    /// In the tree of layers.
    Layers,
    /// In the pane of figures.
    Figures,
    /// In the form of parameters.
    Parameters,
    /// In the class probabilities.
    Classes,
    /// In the curves.
    Curves,
    /// In the log.
    Log,
    /// In a list to choose from.
    Picker,
    /// In the line at the bottom.
    Prompt,
    /// In the help.
    Help,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Where it holds.
    pub context: Context,
    /// The keys, any of them.
    pub keys: &'static [Key],
    /// What they do.
    pub action: Action,
    /// The heading it stands under in the help.
    pub section: &'static str,
    /// What it does, for the help.
    pub says: &'static str,
    /// The same in a word, for the status line; empty: not shown there.
    pub hint: &'static str,
}

const fn row(
    context: Context,
    keys: &'static [Key],
    action: Action,
    section: &'static str,
    says: &'static str,
    hint: &'static str,
) -> Binding {
    Binding { context, keys, action, section, says, hint }
}

use Action as A;
use Context as C;
use Key as K;

/// Every key there is, in the order of the help.
#[rustfmt::skip]
pub const KEYMAP: &[Binding] = &[
    row(C::Methods, &[K::Enter], A::Choose, "Methods", "run it now", "run"),
    row(C::Layers, &[K::Enter], A::Choose, "Layers", "look at it, or fold the group", "choose"),
    row(C::Layers, &[K::Left], A::Left, "Layers", "fold", ""),
    row(C::Layers, &[K::Right], A::Right, "Layers", "unfold", ""),
    row(C::Figures, &[K::Enter], A::Choose, "Figures", "fill the screen, or no more", "zoom"),
    row(C::Figures, &[K::Left], A::Left, "Figures", "view before; enlarged: move", ""),
    row(C::Figures, &[K::Right], A::Right, "Figures", "next view; enlarged: move", ""),
    row(C::Parameters, &[K::Enter], A::Choose, "Parameters", "choose or type a value", "type"),
    row(C::Parameters, &[K::Left], A::Left, "Parameters", "less", ""),
    row(C::Parameters, &[K::Right], A::Right, "Parameters", "more", ""),
    row(C::Parameters, &[K::Char('d'), K::Delete], A::Default, "Parameters", "its default", "default"),
    row(C::Parameters, &[K::Char('*')], A::Defaults, "Parameters", "all defaults", ""),
    row(C::Classes, &[K::Enter], A::Choose, "Classes", "make it the target", "target"),
    row(C::Curves, &[K::Left], A::Left, "Curves", "the curves before", ""),
    row(C::Curves, &[K::Right], A::Right, "Curves", "the next curves", "next"),
    row(C::Log, &[K::Enter], A::Choose, "Log", "fill the screen, or no more", "zoom"),

    row(C::Everywhere, &[K::Char(' ')], A::Play, "Steps", "play, pause", "play"),
    row(C::Everywhere, &[K::Char('.'), K::Char('n')], A::Step(1), "Steps", "one on", "on"),
    row(C::Everywhere, &[K::Char(','), K::Char('p')], A::Step(-1), "Steps", "one back", "back"),
    row(C::Everywhere, &[K::Char('>')], A::Step(10), "Steps", "ten on", ""),
    row(C::Everywhere, &[K::Char('<')], A::Step(-10), "Steps", "ten back", ""),
    row(C::Everywhere, &[K::Home], A::First, "Steps", "the first", ""),
    row(C::Everywhere, &[K::End], A::Last, "Steps", "the last kept", ""),
    row(C::Everywhere, &[K::Char('f')], A::Fork, "Steps", "begin a branch here", ""),
    row(C::Everywhere, &[K::Char('b')], A::Branch(1), "Steps", "next branch", ""),
    row(C::Everywhere, &[K::Char('B')], A::Branch(-1), "Steps", "branch before", ""),
    row(C::Everywhere, &[K::Char('v')], A::Compare, "Steps", "compare with a branch", ""),
    row(C::Everywhere, &[K::Char('r')], A::Restart, "Steps", "run again", ""),
    row(C::Everywhere, &[K::Char('x')], A::Cancel, "Steps", "stop computing", ""),

    row(C::Everywhere, &[K::Char('[')], A::Change(-1), "Change", "the parameter: less", "less"),
    row(C::Everywhere, &[K::Char(']')], A::Change(1), "Change", "the parameter: more", "more"),
    row(C::Everywhere, &[K::Char('{')], A::Tenfold(-1), "Change", "ten times less", ""),
    row(C::Everywhere, &[K::Char('}')], A::Tenfold(1), "Change", "ten times more", ""),
    row(C::Everywhere, &[K::Char('t')], A::PickTarget, "Change", "target class", "target"),
    row(C::Everywhere, &[K::Char('m')], A::PickModel, "Change", "model", "model"),
    row(C::Everywhere, &[K::Char('i')], A::PickPicture, "Change", "picture", "picture"),
    row(C::Everywhere, &[K::Char('o')], A::OpenPicture, "Change", "picture of this path", ""),
    row(C::Everywhere, &[K::Char('l')], A::PickLayer, "Change", "layer", ""),
    row(C::Everywhere, &[K::Char('M')], A::PickMethod, "Change", "method", ""),

    row(C::Everywhere, &[K::Char('w')], A::Look(1), "Look", "next view of the figures", "view"),
    row(C::Everywhere, &[K::Char('W')], A::Look(-1), "Look", "view before", ""),
    row(C::Everywhere, &[K::Char('c')], A::PickColors, "Look", "colours of maps", ""),
    row(C::Everywhere, &[K::Char('y')], A::Scale, "Look", "scale of maps", ""),
    row(C::Everywhere, &[K::Char('(')], A::Strength(-1), "Look", "less map, more picture", ""),
    row(C::Everywhere, &[K::Char(')')], A::Strength(1), "Look", "more map, less picture", ""),
    row(C::Everywhere, &[K::Char('+'), K::Char('=')], A::Enlarge(1), "Look", "enlarge", ""),
    row(C::Everywhere, &[K::Char('-')], A::Enlarge(-1), "Look", "less", ""),
    row(C::Everywhere, &[K::Char('0')], A::Whole, "Look", "whole pictures", ""),
    row(C::Everywhere, &[K::Char('I')], A::Inspect, "Look", "read values (arrows, mouse)", ""),
    row(C::Everywhere, &[K::Char('z')], A::Zoom, "Look", "pane fills the screen", ""),
    row(C::Everywhere, &[K::Char('L')], A::ShowLog, "Look", "log fills the screen", ""),
    row(C::Everywhere, &[K::Ctrl('l')], A::Redraw, "Look", "draw all anew", ""),

    row(C::Everywhere, &[K::Tab], A::NextPane, "Move", "next pane", "pane"),
    row(C::Everywhere, &[K::BackTab], A::LastPane, "Move", "pane before", ""),
    row(C::Everywhere, &[K::Char('1')], A::Pane(1), "Move", "methods", ""),
    row(C::Everywhere, &[K::Char('2')], A::Pane(2), "Move", "layers", ""),
    row(C::Everywhere, &[K::Char('3')], A::Pane(3), "Move", "figures", ""),
    row(C::Everywhere, &[K::Char('4')], A::Pane(4), "Move", "parameters", ""),
    row(C::Everywhere, &[K::Char('5')], A::Pane(5), "Move", "classes", ""),
    row(C::Everywhere, &[K::Char('6')], A::Pane(6), "Move", "curves", ""),
    row(C::Everywhere, &[K::Char('7')], A::Pane(7), "Move", "log", ""),
    row(C::Everywhere, &[K::Char('j'), K::Down], A::Move(1), "Move", "down", ""),
    row(C::Everywhere, &[K::Char('k'), K::Up], A::Move(-1), "Move", "up", ""),
    row(C::Everywhere, &[K::Ctrl('d'), K::PageDown], A::Page(1), "Move", "half a page down", ""),
    row(C::Everywhere, &[K::Ctrl('u'), K::PageUp], A::Page(-1), "Move", "half a page up", ""),
    row(C::Everywhere, &[K::Char('g')], A::Top, "Move", "first row", ""),
    row(C::Everywhere, &[K::Char('G')], A::Bottom, "Move", "last row", ""),
    row(C::Everywhere, &[K::Char('/')], A::Filter, "Move", "filter the list", ""),

    row(C::Everywhere, &[K::Char('e')], A::Edit, "Program", "edit the script", "edit"),
    row(C::Everywhere, &[K::Char('a')], A::Reference, "Program", "what scripts can call", ""),
    row(C::Everywhere, &[K::Char('s')], A::Save, "Program", "save the figures", ""),
    row(C::Everywhere, &[K::Char(':')], A::CommandLine, "Program", "command line", ""),
    row(C::Everywhere, &[K::Char('?')], A::Help, "Program", "this help", "help"),
    row(C::Everywhere, &[K::Esc], A::Escape, "Program", "close, stop computing", ""),
    row(C::Everywhere, &[K::Ctrl('c')], A::Interrupt, "Program", "stop computing, else quit", ""),
    row(C::Everywhere, &[K::Ctrl('z')], A::Suspend, "Program", "back to the shell for now", ""),
    row(C::Everywhere, &[K::Char('q')], A::Quit, "Program", "quit", "quit"),

    row(C::Picker, &[K::Up, K::Ctrl('p'), K::BackTab], A::Move(-1), "In a list", "up", ""),
    row(C::Picker, &[K::Down, K::Ctrl('n'), K::Tab], A::Move(1), "In a list", "down", ""),
    row(C::Picker, &[K::PageUp, K::Ctrl('u')], A::Page(-1), "In a list", "half a page up", ""),
    row(C::Picker, &[K::PageDown, K::Ctrl('d')], A::Page(1), "In a list", "half a page down", ""),
    row(C::Picker, &[K::Enter], A::Accept, "In a list", "take it", "take it"),
    row(C::Picker, &[K::Backspace], A::Rub, "In a list", "delete a letter", ""),
    row(C::Picker, &[K::Esc, K::Ctrl('c')], A::Escape, "In a list", "close", "close"),

    row(C::Prompt, &[K::Enter], A::Accept, "In a line", "do it", "do it"),
    row(C::Prompt, &[K::Tab], A::Complete, "In a line", "complete", "complete"),
    row(C::Prompt, &[K::Left], A::Cursor(-1), "In a line", "left", ""),
    row(C::Prompt, &[K::Right], A::Cursor(1), "In a line", "right", ""),
    row(C::Prompt, &[K::Up], A::Move(-1), "In a line", "earlier line; row above", ""),
    row(C::Prompt, &[K::Down], A::Move(1), "In a line", "later line; row below", ""),
    row(C::Prompt, &[K::Home, K::Ctrl('a')], A::LineStart, "In a line", "start", ""),
    row(C::Prompt, &[K::End, K::Ctrl('e')], A::LineEnd, "In a line", "end", ""),
    row(C::Prompt, &[K::Backspace], A::Rub, "In a line", "delete a letter", ""),
    row(C::Prompt, &[K::Delete], A::Delete, "In a line", "delete to the right", ""),
    row(C::Prompt, &[K::Ctrl('w')], A::RubWord, "In a line", "delete a word", ""),
    row(C::Prompt, &[K::Ctrl('u')], A::RubLine, "In a line", "delete all", ""),
    row(C::Prompt, &[K::Esc, K::Ctrl('c')], A::Escape, "In a line", "leave it", "leave it"),

    row(C::Help, &[K::Char('j'), K::Down], A::Move(1), "In the help", "down", "scroll"),
    row(C::Help, &[K::Char('k'), K::Up], A::Move(-1), "In the help", "up", ""),
    row(C::Help, &[K::Char(' '), K::PageDown, K::Ctrl('d')], A::Page(1), "In the help", "half a page down", ""),
    row(C::Help, &[K::PageUp, K::Ctrl('u')], A::Page(-1), "In the help", "half a page up", ""),
    row(C::Help, &[K::Esc, K::Char('q'), K::Char('?'), K::Enter, K::Ctrl('c')], A::Escape, "In the help", "close", "close"),
];

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

    fn active_together(one: Context, other: Context) -> bool {
        let popup = |c| matches!(c, C::Picker | C::Prompt | C::Help);
        one == other || (one == C::Everywhere && !popup(other)) || (other == C::Everywhere && !popup(one))
    }

    #[test]
    fn no_key_means_two_things_at_once() {
        let keys: Vec<_> = KEYMAP.iter().flat_map(|b| b.keys.iter().map(move |k| (b.context, *k))).collect();
        for (i, (context, key)) in keys.iter().enumerate() {
            let twin = keys[i + 1..].iter().find(|(c, k)| k == key && active_together(*context, *c));
            assert!(twin.is_none(), "{key} has two meanings in {context:?}");
        }
    }

    #[test]
    fn the_keys_of_the_design_are_bound() {
        let design = [
            ('n', A::Step(1)),
            ('p', A::Step(-1)),
            ('.', A::Step(1)),
            (',', A::Step(-1)),
            (' ', A::Play),
            ('[', A::Change(-1)),
            (']', A::Change(1)),
            ('l', A::PickLayer),
            ('t', A::PickTarget),
            ('m', A::PickModel),
            ('i', A::PickPicture),
            ('c', A::PickColors),
            ('s', A::Save),
            ('e', A::Edit),
            ('q', A::Quit),
            ('?', A::Help),
            (':', A::CommandLine),
            ('/', A::Filter),
        ];
        for (key, wanted) in design {
            let bound = |c| KEYMAP.iter().find(|b| b.context == c && b.keys.contains(&K::Char(key))).map(|b| b.action);
            assert_eq!(bound(C::Methods).or(bound(C::Everywhere)), Some(wanted), "{key}");
        }
    }

    #[test]
    fn every_binding_says_what_it_does() {
        assert!(KEYMAP.iter().all(|b| !b.says.is_empty() && !b.section.is_empty() && !b.keys.is_empty()));
    }
}

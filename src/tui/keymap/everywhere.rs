//! The keys that work in every panel.

use super::action::Action as A;
use super::binding::{Binding, row};
use crate::tui::event::Key as K;

/// Keys that work in every panel while no pop-up is open, in the order of the help.
#[rustfmt::skip]
pub const EVERYWHERE: &[Binding] = &[
    row(&[K::Char(' ')], A::Play, "Steps", "play, pause", "play"),
    row(&[K::Char('.'), K::Char('n')], A::Step(1), "Steps", "one on", "on"),
    row(&[K::Char(','), K::Char('p')], A::Step(-1), "Steps", "one back", "back"),
    row(&[K::Char('>')], A::Step(10), "Steps", "ten on", ""),
    row(&[K::Char('<')], A::Step(-10), "Steps", "ten back", ""),
    row(&[K::Home], A::First, "Steps", "the first", ""),
    row(&[K::End], A::Last, "Steps", "the last kept", ""),
    row(&[K::Char('f')], A::Fork, "Steps", "begin a branch here", ""),
    row(&[K::Char('b')], A::Branch(1), "Steps", "next branch", ""),
    row(&[K::Char('B')], A::Branch(-1), "Steps", "branch before", ""),
    row(&[K::Char('v')], A::Compare, "Steps", "compare with a branch", ""),
    row(&[K::Char('r')], A::Restart, "Steps", "run again", ""),
    row(&[K::Char('x')], A::Cancel, "Steps", "stop computing", ""),

    row(&[K::Char('[')], A::Change(-1), "Change", "the parameter: less", "less"),
    row(&[K::Char(']')], A::Change(1), "Change", "the parameter: more", "more"),
    row(&[K::Char('{')], A::Tenfold(-1), "Change", "ten times less", ""),
    row(&[K::Char('}')], A::Tenfold(1), "Change", "ten times more", ""),
    row(&[K::Char('t')], A::PickTarget, "Change", "target class", "target"),
    row(&[K::Char('m')], A::PickModel, "Change", "model", "model"),
    row(&[K::Char('i')], A::PickPicture, "Change", "picture", "picture"),
    row(&[K::Char('o')], A::OpenPicture, "Change", "picture of this path", ""),
    row(&[K::Char('l')], A::PickLayer, "Change", "layer", ""),
    row(&[K::Char('M')], A::PickMethod, "Change", "method", ""),

    row(&[K::Char('w')], A::View(1), "Look", "next view of the figures", "view"),
    row(&[K::Char('W')], A::View(-1), "Look", "view before", ""),
    row(&[K::Char('c')], A::PickColors, "Look", "colours of maps", ""),
    row(&[K::Char('y')], A::Scale, "Look", "scale of maps", ""),
    row(&[K::Char('(')], A::Strength(-1), "Look", "less map, more picture", ""),
    row(&[K::Char(')')], A::Strength(1), "Look", "more map, less picture", ""),
    row(&[K::Char('+'), K::Char('=')], A::Enlarge(1), "Look", "enlarge", ""),
    row(&[K::Char('-')], A::Enlarge(-1), "Look", "less", ""),
    row(&[K::Char('0')], A::Whole, "Look", "whole pictures", ""),
    row(&[K::Char('I')], A::Inspect, "Look", "read values (arrows, mouse)", ""),
    row(&[K::Char('z')], A::Zoom, "Look", "pane fills the screen", ""),
    row(&[K::Char('L')], A::ShowLog, "Look", "log fills the screen", ""),
    row(&[K::Ctrl('l')], A::Redraw, "Look", "draw all anew", ""),

    row(&[K::Tab], A::NextPane, "Move", "next pane", "pane"),
    row(&[K::BackTab], A::LastPane, "Move", "pane before", ""),
    row(&[K::Char('j'), K::Down], A::Move(1), "Move", "down", ""),
    row(&[K::Char('k'), K::Up], A::Move(-1), "Move", "up", ""),
    row(&[K::Ctrl('d'), K::PageDown], A::Page(1), "Move", "half a page down", ""),
    row(&[K::Ctrl('u'), K::PageUp], A::Page(-1), "Move", "half a page up", ""),
    row(&[K::Char('g')], A::Top, "Move", "first row", ""),
    row(&[K::Char('G')], A::Bottom, "Move", "last row", ""),
    row(&[K::Char('/')], A::Filter, "Move", "filter the list", ""),

    row(&[K::Char('e')], A::Edit, "Program", "edit the script", "edit"),
    row(&[K::Char('a')], A::Reference, "Program", "what scripts can call", ""),
    row(&[K::Char('s')], A::Save, "Program", "save the figures", ""),
    row(&[K::Char(':')], A::CommandLine, "Program", "command line", ""),
    row(&[K::Char('?')], A::Help, "Program", "this help", "help"),
    row(&[K::Esc], A::Escape, "Program", "close, stop computing", ""),
    row(&[K::Ctrl('c')], A::Interrupt, "Program", "stop computing, else quit", ""),
    row(&[K::Ctrl('z')], A::Suspend, "Program", "back to the shell for now", ""),
    row(&[K::Char('q')], A::Quit, "Program", "quit", "quit"),
];

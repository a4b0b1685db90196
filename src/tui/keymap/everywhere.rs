//! The keys that work in every panel.

use super::action::Action as A;
use super::binding::{Binding, row};
use crate::tui::event::Key as K;

/// The keys that work in every panel while no pop-up is open, in the order of the help.
#[rustfmt::skip]
pub const EVERYWHERE: &[Binding] = &[
    row(&[K::Char(' ')], A::Play, "Steps", "play or pause", "play"),
    row(&[K::Char('.'), K::Char('n')], A::Step(1), "Steps", "next step", "next"),
    row(&[K::Char(','), K::Char('p')], A::Step(-1), "Steps", "previous step", "back"),
    row(&[K::Char('>')], A::Step(10), "Steps", "10 steps forward", ""),
    row(&[K::Char('<')], A::Step(-10), "Steps", "10 steps back", ""),
    row(&[K::Home], A::First, "Steps", "first step", ""),
    row(&[K::End], A::Last, "Steps", "latest step", ""),
    row(&[K::Char('f')], A::Fork, "Steps", "fork a branch here", ""),
    row(&[K::Char('b')], A::Branch(1), "Steps", "next branch", ""),
    row(&[K::Char('B')], A::Branch(-1), "Steps", "previous branch", ""),
    row(&[K::Char('v')], A::Compare, "Steps", "compare two branches", "compare"),
    row(&[K::Char('E')], A::MinimalEpsilon, "Steps", "find the smallest epsilon that fools", ""),
    row(&[K::Char('r')], A::Restart, "Steps", "run again", ""),

    row(&[K::Char('[')], A::Change(-1), "Change", "decrease the parameter", "less"),
    row(&[K::Char(']')], A::Change(1), "Change", "increase the parameter", "more"),
    row(&[K::Char('{')], A::Tenfold(-1), "Change", "divide by 10", ""),
    row(&[K::Char('}')], A::Tenfold(1), "Change", "multiply by 10", ""),
    row(&[K::Char('t')], A::PickTarget, "Change", "choose the target class", "class"),
    row(&[K::Char('m')], A::PickModel, "Change", "choose a model", "model"),
    row(&[K::Char('i')], A::PickPicture, "Change", "choose a picture", "picture"),
    row(&[K::Char('o')], A::OpenPicture, "Change", "open a picture by path", ""),
    row(&[K::Char('l')], A::PickLayer, "Change", "choose a layer", ""),
    row(&[K::Char('M')], A::PickMethod, "Change", "choose a method", ""),

    row(&[K::Char('w')], A::View(1), "Look", "next view", "view"),
    row(&[K::Char('W')], A::View(-1), "Look", "previous view", ""),
    row(&[K::Char('c')], A::PickColors, "Look", "choose the colormap", ""),
    row(&[K::Char('y')], A::Scale, "Look", "next map scale", ""),
    row(&[K::Char('(')], A::Strength(-1), "Look", "decrease map opacity", ""),
    row(&[K::Char(')')], A::Strength(1), "Look", "increase map opacity", ""),
    row(&[K::Char('+'), K::Char('=')], A::Enlarge(1), "Look", "zoom in", ""),
    row(&[K::Char('-')], A::Enlarge(-1), "Look", "zoom out", ""),
    row(&[K::Char('0')], A::Whole, "Look", "reset the zoom", ""),
    row(&[K::Char('I')], A::Inspect, "Look", "read values (arrows, mouse)", ""),
    row(&[K::Char('x')], A::Ablate, "Look", "switch the unit at the ring off", ""),
    row(&[K::Char('z')], A::Zoom, "Look", "maximize the pane", ""),
    row(&[K::Char('L')], A::ShowLog, "Look", "maximize the log", ""),
    row(&[K::Ctrl('l')], A::Redraw, "Look", "redraw the screen", ""),

    row(&[K::Tab], A::NextPane, "Move", "next pane", "pane"),
    row(&[K::BackTab], A::LastPane, "Move", "previous pane", ""),
    row(&[K::Char('j'), K::Down], A::Move(1), "Move", "down", ""),
    row(&[K::Char('k'), K::Up], A::Move(-1), "Move", "up", ""),
    row(&[K::Ctrl('d'), K::PageDown], A::Page(1), "Move", "half a page down", ""),
    row(&[K::Ctrl('u'), K::PageUp], A::Page(-1), "Move", "half a page up", ""),
    row(&[K::Char('g')], A::Top, "Move", "first row", ""),
    row(&[K::Char('G')], A::Bottom, "Move", "last row", ""),
    row(&[K::Char('/')], A::Filter, "Move", "filter the list", "find"),

    row(&[K::Char('e')], A::Edit, "Program", "edit the script", "edit"),
    row(&[K::Char('a')], A::Reference, "Program", "script functions", ""),
    row(&[K::Char('s')], A::Save, "Program", "save the figures", "save"),
    row(&[K::Char(':')], A::CommandLine, "Program", "enter a command", "commands"),
    row(&[K::Char('?')], A::Help, "Program", "this help", "help"),
    row(&[K::Esc], A::Escape, "Program", "cancel, or close", ""),
    row(&[K::Ctrl('c')], A::Interrupt, "Program", "cancel, or quit", ""),
    row(&[K::Ctrl('z')], A::Suspend, "Program", "suspend to the shell", ""),
    row(&[K::Char('q')], A::Quit, "Program", "quit", "quit"),
];

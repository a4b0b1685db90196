//! The terminal app: what is known, what keys do, how it is drawn. Drawing is a function of the state; one function
//! changes the state; the worker is spoken to by messages only.

pub mod msg;
pub mod action;
pub mod keymap;
pub mod bindings;
pub mod list;
pub mod tree;
pub mod branches;
pub mod picker;
pub mod prompt;
pub mod look;
pub mod lens;
pub mod link;
pub mod state;
pub mod cloud;
pub mod theme;
pub mod picture;
pub mod panels;
pub mod update;
mod act;
mod branching;
mod answer;
mod app;
mod bounds;
mod change;
mod editor;
mod gallery;
mod gaze;
#[allow(clippy::disallowed_methods)]
mod inline;
pub mod input;
mod orders;
mod popup;
#[allow(clippy::disallowed_methods)]
pub mod probe;
#[allow(clippy::disallowed_methods)]
mod screen;
mod shelf;
mod signals;
pub mod rescue;

pub use bindings::Bindings;
pub use inline::Inline;
pub use picture::Painter;
pub use theme::{Depth, Paint};

use crate::memory;
use crate::render::{Colormap, Tint};
use crate::script::message::{Command, Update};
use anyhow::{Context, Result, bail};
use app::{App, Happening};
use lens::Lens;
use link::Link;
use picture::cells::Blocks;
use picture::{Stage, encode};
use ratatui::buffer::Buffer;
use screen::{PanicGuard, Screen};
use state::State;
use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;
use theme::Theme;

/// How the app is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How pictures are drawn.
    pub graphics: Graphics,
    /// How many colours there are; none: what the environment says.
    pub colors: Option<Depth>,
    /// Questions that the worker was asked before the app began: generations count on from here.
    pub asked: u64,
    /// The keys.
    pub bindings: Bindings,
    /// The colours of maps.
    pub maps: Colormap,
    /// The colours of roles.
    pub theme: Vec<Paint>,
}

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Graphics {
    /// The best way that the terminal knows.
    #[default]
    Auto,
    /// By kitty's protocol.
    Kitty,
    /// As iTerm2 does.
    Iterm,
    /// As sixels.
    Sixel,
    /// As quadrants of cells.
    Blocks,
    /// As halves of cells, for fonts without quadrants.
    Half,
    /// As letters.
    Letters,
    /// Not at all.
    #[value(name = "none")]
    Nothing,
}

/// Runs the app until the person leaves: commands go to `ask`, answers come from `updates`. The terminal is given back
/// on every way out. Errors when there is no terminal, or when the worker ends first.
pub fn run(options: &Options, ask: impl Fn(Command), updates: Receiver<Update>) -> Result<()> {
    if !std::io::stdin().is_terminal() || !screen::is_there() {
        bail!("the app needs a terminal for input and output; \"gradscope run METHOD\" needs none");
    }
    let guard = PanicGuard::new();
    rescue::watch_crashes();
    memory::on_exhaustion(|| {
        rescue::give_back();
    });
    let _second = rescue::Guard::start();
    let back = app::Back;
    let result = run_in_terminal(options, ask, updates);
    drop(back);
    result.with_context(|| guard.elsewhere().unwrap_or_else(|| "running the app".into()))
}

fn run_in_terminal(options: &Options, ask: impl Fn(Command), updates: Receiver<Update>) -> Result<()> {
    let var = |name: &str| std::env::var(name).ok();
    let place = probe::place(var);
    let depth = options.colors.unwrap_or_else(|| Depth::of(var));
    let mut screen = Screen::enter()?;
    let caps = probe::ask(place);
    let painter = probe::wished(options.graphics, &caps, place, depth);
    let (happen, inbox) = channel();
    let stage = stage(painter, depth, cell_size(&caps), &happen)?;
    if let Painter::Kitty(..) = painter {
        screen::will_show(stage.ids());
    }
    let reader = input::Reader::start(sender(&happen, app::of_input)).context("starting to read keys")?;
    signals::watch(sender_of(&happen, app::of_signal))?;
    forward(updates, &happen)?;
    let size = screen.terminal.size()?;
    let state = State {
        asked: options.asked,
        painter: name(painter),
        bindings: options.bindings.clone(),
        lens: Lens { tint: Tint::from(options.maps), ..Lens::default() },
        ..State::new(size.width, size.height)
    };
    screen.redraw()?;
    App {
        state,
        theme: Theme::new(depth).painted(&options.theme),
        stage,
        screen,
        reader,
        ask,
        happen,
        link: Link::new(!caps.name.is_empty() && !place.tmux, place.ssh),
        shown: Buffer::default(),
        cell: screen::cell(),
        start: Instant::now(),
    }
    .run(&inbox)
}

/// A stage whose pictures are made on a thread of their own.
fn stage(painter: Painter, depth: Depth, cell: (u16, u16), happen: &Sender<Happening>) -> Result<Stage> {
    let happen = happen.clone();
    let done = move |slot, painted| drop(happen.send(Happening::Painted(slot, painted)));
    let jobs = encode::start(done).context("starting to make pictures")?;
    Ok(Stage::new(painter, depth, cell, jobs))
}

/// Passes the worker's answers on, and says when there will be no more.
fn forward(updates: Receiver<Update>, happen: &Sender<Happening>) -> Result<()> {
    let send = sender(happen, app::of_update);
    let happen = happen.clone();
    std::thread::Builder::new().name("updates".into()).spawn(move || {
        updates.into_iter().all(send);
        drop(happen.send(Happening::WorkerGone));
    })?;
    Ok(())
}

fn sender<T>(
    happen: &Sender<Happening>,
    as_happening: fn(T) -> Happening,
) -> impl Fn(T) -> bool + Clone + Send + use<T> {
    let happen = happen.clone();
    move |value| happen.send(as_happening(value)).is_ok()
}

fn sender_of<T>(happen: &Sender<Happening>, as_happening: fn(T) -> Happening) -> impl Fn(T) + Clone + Send + use<T> {
    let send = sender(happen, as_happening);
    move |value| {
        send(value);
    }
}

/// What the terminal says, else what the system says, else what is usual.
fn cell_size(caps: &probe::Caps) -> (u16, u16) {
    caps.cell.or_else(screen::cell).unwrap_or((8, 16))
}

/// How pictures are drawn, in a word.
fn name(painter: Painter) -> String {
    match painter {
        Painter::Kitty(_, false) => "kitty",
        Painter::Kitty(_, true) => "kitty through tmux",
        Painter::Iterm => "iTerm2",
        Painter::Sixel => "sixel",
        Painter::Cells(Blocks::Quadrant) => "blocks",
        Painter::Cells(Blocks::Half) => "half blocks",
        Painter::Cells(Blocks::Letters) => "letters",
        Painter::Nothing => "no pictures",
    }
    .into()
}

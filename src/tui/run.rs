//! Runs the app in this process's terminal.

use super::app::{self, App, Incoming};
use super::keymap::Bindings;
use super::palette::Palette;
use super::picture::driver::{Driver, Graphics};
use super::picture::{self, PictureStage};
use super::state::{Lens, State};
use super::terminal::bandwidth::Bandwidth;
use super::terminal::caps;
use super::terminal::screen::{self, PanicGuard, Screen};
use super::terminal::{input, probe, rescue, signals};
use super::theme::{Depth, Paint};
use crate::memory;
use crate::render::{Colormap, Overlay};
use crate::worker::message::{Command, Update};
use anyhow::{Context, Result, bail};
use ratatui::buffer::Buffer;
use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

/// Options of the app.
#[derive(Clone, Debug, Default)]
pub struct AppOptions {
    /// How pictures are drawn in the terminal.
    pub graphics: Graphics,
    /// Color depth; `None` to determine it from the environment.
    pub colors: Option<Depth>,
    /// Number of requests sent to the worker so far, with which the app starts its count.
    pub asked: u64,
    /// The user's key bindings.
    pub bindings: Bindings,
    /// Colormap for figures without a symmetric scale.
    pub maps: Colormap,
    /// The colors of the app.
    pub palette: Palette,
    /// The user's colors for roles of the theme.
    pub theme: Vec<Paint>,
}

/// Runs the app until the user quits. Commands are sent with `ask`, and results arrive in `updates`. The terminal is always
/// restored. Errors if there is no terminal or the worker ends before the user quits.
pub fn run(options: &AppOptions, ask: impl Fn(Command), updates: Receiver<Update>) -> Result<()> {
    if !std::io::stdin().is_terminal() || !screen::is_there() {
        bail!("the app needs a terminal for input and output; \"gradscope run METHOD\" works without one");
    }
    let guard = PanicGuard::new();
    rescue::watch_crashes();
    memory::on_exhaustion(|| {
        rescue::give_back();
    });
    let _second = rescue::RescueProcess::start();
    let back = app::TerminalRestore;
    let result = run_in_terminal(options, ask, updates);
    drop(back);
    result.with_context(|| guard.elsewhere().unwrap_or_else(|| "running the app".into()))
}

fn run_in_terminal(options: &AppOptions, ask: impl Fn(Command), updates: Receiver<Update>) -> Result<()> {
    let var = |name: &str| std::env::var(name).ok();
    let environment = caps::environment(var);
    let depth = options.colors.unwrap_or_else(|| Depth::of(var));
    let mut screen = Screen::enter()?;
    let caps = probe::ask(environment);
    let driver = options.graphics.driver(&caps, environment, depth);
    let (happen, inbox) = channel();
    let stage = stage(driver, depth, screen::cell_size(&caps), &happen)?;
    screen::will_show(stage.removal());
    let reader = input::Reader::start(sender(&happen, app::of_input)).context("starting the input thread")?;
    signals::watch(sender_of(&happen, app::of_signal))?;
    forward(updates, &happen)?;
    let size = screen.terminal.size()?;
    let state = State {
        asked: options.asked,
        graphics: driver.name().into(),
        bindings: options.bindings.clone(),
        palette: options.palette,
        lens: Lens { overlay: Overlay::from(options.maps), ..Lens::default() },
        ..State::new(size.width, size.height)
    };
    screen.redraw()?;
    App {
        state,
        depth,
        tmux: environment.tmux,
        paints: options.theme.clone(),
        stage,
        screen,
        reader,
        ask,
        happen,
        bandwidth: Bandwidth::new(!caps.name.is_empty() && !environment.tmux, environment.ssh),
        shown: Buffer::default(),
        cell: screen::cell(),
        start: Instant::now(),
    }
    .run(&inbox)
}

/// Creates a stage that encodes pictures on a separate thread.
fn stage(
    driver: &'static dyn Driver,
    depth: Depth,
    cell: (u16, u16),
    happen: &Sender<Incoming>,
) -> Result<PictureStage> {
    let happen = happen.clone();
    let done = move |slot, painted| drop(happen.send(Incoming::Painted(slot, painted)));
    let jobs = picture::start(done).context("starting the picture thread")?;
    Ok(PictureStage::new(driver, depth, cell, jobs))
}

/// Forwards the worker's messages to the event loop and reports when the worker ends.
fn forward(updates: Receiver<Update>, happen: &Sender<Incoming>) -> Result<()> {
    let send = sender(happen, app::of_update);
    let happen = happen.clone();
    std::thread::Builder::new().name("updates".into()).spawn(move || {
        updates.into_iter().all(send);
        drop(happen.send(Incoming::WorkerGone));
    })?;
    Ok(())
}

fn sender<T>(happen: &Sender<Incoming>, incoming: fn(T) -> Incoming) -> impl Fn(T) -> bool + Clone + Send + use<T> {
    let happen = happen.clone();
    move |value| happen.send(incoming(value)).is_ok()
}

fn sender_of<T>(happen: &Sender<Incoming>, incoming: fn(T) -> Incoming) -> impl Fn(T) + Clone + Send + use<T> {
    let send = sender(happen, incoming);
    move |value| {
        send(value);
    }
}

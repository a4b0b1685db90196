//! The event loop: waits for events, updates the state, performs effects, and draws: immediately after user input, otherwise at
//! most thirty times per second.

use super::draw;
use super::effect::{Effect, editor, find_models, find_pictures};
use super::event::Event;
use super::files;
use super::picture::{EncodedPicture, PictureStage};
use super::state::State;
use super::terminal::bandwidth::Bandwidth;
use super::terminal::clipboard;
use super::terminal::input::{Reader, TerminalInput};
use super::terminal::screen::{self, Screen, restore};
use super::terminal::signals::{self, Signal};
use super::theme::{Depth, Paint, Theme};
use super::update::update;
use crate::worker::message::{Command, Update};
use anyhow::{Result, bail};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use crossterm::{cursor, queue};
use ratatui::buffer::Buffer;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// An input of the event loop.
#[derive(Debug)]
pub enum Incoming {
    /// An event that may change the state.
    Event(Event),
    /// The picture in the slot with this index has been encoded.
    Painted(usize, EncodedPicture),
    /// The terminal responded to the query for its name.
    Answered,
    /// The program must suspend itself.
    Sleep,
    /// The worker thread has ended.
    WorkerGone,
}

/// The state of the event loop.
pub struct App<F> {
    /// The state from which the screen is drawn.
    pub state: State,
    /// Color depth of the terminal.
    pub depth: Depth,
    /// Whether the app runs inside tmux.
    pub tmux: bool,
    /// The user's colors for roles of the theme.
    pub paints: Vec<Paint>,
    /// The pictures on the screen.
    pub stage: PictureStage,
    /// The terminal in which the app is drawn.
    pub screen: Screen,
    /// The thread that reads input from the terminal.
    pub reader: Reader,
    /// Function that sends a command to the worker.
    pub ask: F,
    /// Channel for other threads to send input to the event loop.
    pub happen: Sender<Incoming>,
    /// Measures the bandwidth to the terminal.
    pub bandwidth: Bandwidth,
    /// The cells currently on the screen.
    pub shown: Buffer,
    /// Cell size in pixels, as last reported by the system.
    pub cell: Option<(u16, u16)>,
    /// Start time of the app.
    pub start: Instant,
}

/// Minimum time between two frames.
const FRAME: Duration = Duration::from_millis(33);

/// Minimum time that an editor runs if the user edited in it.
const EDITED: Duration = Duration::from_secs(1);

/// Maximum time to wait for an event.
const LONG: Duration = Duration::from_secs(3600);

/// Whether to continue the event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Over,
}

impl<F: Fn(Command)> App<F> {
    /// Runs the event loop until the user quits or a termination signal arrives. Errors if the worker ends first or drawing fails.
    pub fn run(&mut self, inbox: &Receiver<Incoming>) -> Result<()> {
        let mut dirty = true;
        let mut drawn = Instant::now() - FRAME;
        let mut pressed = false;
        // Duration of the last frame. Drawing takes at most half of the loop's time, so that bursts of keys are processed.
        let mut took = Duration::ZERO;
        let pause = |pressed: bool, took: Duration| if pressed { took.min(FRAME) } else { FRAME };
        loop {
            if dirty && drawn.elapsed() >= pause(pressed, took) {
                let begun = Instant::now();
                // Another frame is needed if the placeholders of a new picture are not drawn yet.
                (dirty, pressed) = (self.draw()?, false);
                drawn = Instant::now();
                took = drawn - begun;
            }
            let next = match inbox.recv_timeout(self.patience(dirty, drawn, pause(pressed, took))) {
                Ok(next) => next,
                Err(RecvTimeoutError::Timeout) => Incoming::Event(Event::Tick),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            for incoming in std::iter::once(next).chain(inbox.try_iter()) {
                pressed |= matches!(incoming, Incoming::Event(Event::Key(_) | Event::Paste(_) | Event::Mouse(..)));
                if self.happen(incoming)? == Flow::Over {
                    return Ok(());
                }
            }
            dirty = true;
        }
    }

    /// How long to wait for events: until the next frame if the screen is dirty, otherwise until the next timed change.
    fn patience(&self, dirty: bool, drawn: Instant, pause: Duration) -> Duration {
        let due = self.state.due().map_or(LONG, |due| due.saturating_sub(self.start.elapsed()));
        match () {
            () if dirty => pause.saturating_sub(drawn.elapsed()),
            () if self.bandwidth.waits() => due.min(Duration::from_millis(500)),
            () => due,
        }
    }

    fn happen(&mut self, incoming: Incoming) -> Result<Flow> {
        match incoming {
            Incoming::Event(event) => {
                if let Event::Resize(..) = event {
                    self.measure_cells();
                    self.stage.forget();
                }
                return self.follow(self.on_picture(event));
            }
            Incoming::Painted(slot, painted) => self.stage.take(slot, painted),
            Incoming::Answered => self.bandwidth.answered(Instant::now()),
            Incoming::Sleep => self.sleep()?,
            Incoming::WorkerGone => bail!("the worker thread ended unexpectedly"),
        }
        Ok(Flow::On)
    }

    /// Converts the position of a mouse event on a picture to picture coordinates. Other events are unchanged.
    fn on_picture(&self, event: Event) -> Event {
        let Event::Mouse(mouse, column, row) = event else { return event };
        let place = self.stage.hit(column, row).filter(|_| self.state.popup.is_none());
        place.map_or(event, |(x, y)| Event::Pointed(mouse, x, y))
    }

    /// Updates the cell size in pixels, which changes with the font size.
    fn measure_cells(&mut self) {
        let now = screen::cell();
        if let Some(cell) = now.filter(|_| now != self.cell) {
            (self.cell, self.stage.cell) = (now, cell);
        }
    }

    /// Applies an event to the state and performs the resulting effects.
    fn follow(&mut self, event: Event) -> Result<Flow> {
        for effect in update(&mut self.state, self.start.elapsed(), event) {
            if self.carry_out(effect)? == Flow::Over {
                return Ok(Flow::Over);
            }
        }
        Ok(Flow::On)
    }

    fn carry_out(&mut self, effect: Effect) -> Result<Flow> {
        match effect {
            Effect::Ask(command) => (self.ask)(at_home(command)),
            Effect::Complete { text, also, insert } => self.aside(move || {
                let offers = also.into_iter().chain(editor::completions(&text)).collect();
                Event::Completions { text, offers, insert }
            }),
            Effect::ReadFolder(goal, folder) => {
                self.aside(move || Event::Folder(files::read(&goal, &folder)));
            }
            Effect::FileAbout(goal, value) => {
                let ticket = files::ticket();
                self.aside(move || {
                    let about = files::about_if_newest(ticket, &goal, &value);
                    Event::FileAbout(value, about)
                });
            }
            Effect::FindPictures(folder) => {
                self.aside(move || Event::Pictures(find_pictures::find(folder.as_deref())));
            }
            Effect::FindModels(folders) => self.aside(move || Event::ModelFiles(find_models::find(&folders))),
            Effect::Preview(name) => self.aside(move || find_pictures::preview(name)),
            Effect::Edit(method, path, line) => return self.edit(method, &path, line),
            Effect::Copy(text) => return self.copy(&text),
            Effect::Redraw => {
                self.stage.forget();
                self.screen.redraw()?;
            }
            Effect::Suspend => self.sleep()?,
            Effect::Quit => return Ok(Flow::Over),
        }
        Ok(Flow::On)
    }

    /// Runs slow work on a separate thread and sends the resulting event to the loop.
    fn aside(&self, work: impl FnOnce() -> Event + Send + 'static) {
        let happen = self.happen.clone();
        // Sending fails only when the program is shutting down.
        std::thread::spawn(move || drop(happen.send(Incoming::Event(work()))));
    }

    fn copy(&mut self, text: &str) -> Result<Flow> {
        if text.len() > clipboard::LONGEST {
            let size = format!("{} kB are too much for the terminal's clipboard; s saves to files", text.len() / 1000);
            return self.follow(Event::Note(size));
        }
        clipboard::copy(self.screen.terminal.backend_mut(), text, self.tmux)?;
        Ok(Flow::On)
    }

    fn edit(&mut self, method: String, path: &Path, line: Option<usize>) -> Result<Flow> {
        self.reader.pause();
        let begun = Instant::now();
        let result = self.screen.lend(|| editor::edit(path, line))?;
        self.wake();
        match result {
            Ok(()) => {
                // Some editors open a window and return at once.
                if begun.elapsed() > EDITED {
                    (self.ask)(Command::Edited(method));
                }
                Ok(Flow::On)
            }
            Err(wrong) => self.follow(Event::Note(wrong)),
        }
    }

    fn sleep(&mut self) -> Result<()> {
        self.reader.pause();
        self.screen.lend(signals::sleep)?;
        self.wake();
        Ok(())
    }

    fn wake(&mut self) {
        self.stage.forget();
        self.reader.resume();
    }

    /// Updates the state with the terminal's current size and data rate.
    fn look_at_terminal(&mut self) -> Result<()> {
        let terminal = &mut self.screen.terminal;
        terminal.autoresize()?;
        let area = terminal.get_frame().area();
        if self.state.size != (area.width, area.height) {
            self.follow(Event::Resize(area.width, area.height))?;
        }
        let rate = self.bandwidth.rate(Instant::now());
        if self.state.rate != rate {
            self.follow(Event::Rate(rate))?;
        }
        Ok(())
    }

    /// Draws a frame. With synchronized updates, pictures and cells appear at the same time. Text is never delayed; pictures use
    /// the remaining bandwidth. Returns whether another frame is needed immediately.
    fn draw(&mut self) -> Result<bool> {
        self.look_at_terminal()?;
        let (room, before) = (self.bandwidth.room(), self.screen.written.load(Ordering::Relaxed));
        let terminal = &mut self.screen.terminal;
        let buffer = terminal.current_buffer_mut();
        let theme = Theme::of(self.state.palette, self.depth).painted(&self.paints);
        let cursor = draw::frame(buffer, &self.state, &theme, &mut self.stage);
        let held = self.stage.hold_back(buffer, &self.shown, room);
        self.shown.clone_from(buffer);
        queue!(terminal.backend_mut(), BeginSynchronizedUpdate)?;
        terminal.apply_buffer_with_cursor(cursor)?;
        let out = terminal.backend_mut();
        queue!(out, cursor::SavePosition)?;
        let arrived = self.stage.emit(out, room)?;
        queue!(out, cursor::RestorePosition, EndSynchronizedUpdate)?;
        Write::flush(out)?;
        let written = self.screen.written.load(Ordering::Relaxed) - before;
        self.bandwidth.wrote(written, held || self.stage.has_more(), out, Instant::now())?;
        Write::flush(out)?;
        Ok(arrived && self.stage.points_at_pictures())
    }
}

/// Converts terminal input to event loop input.
pub fn of_input(input: TerminalInput) -> Incoming {
    match input {
        TerminalInput::User(event) => Incoming::Event(event),
        TerminalInput::Answer => Incoming::Answered,
        TerminalInput::Gone => Incoming::Event(Event::Quit),
    }
}

/// Converts a signal to event loop input.
pub fn of_signal(signal: Signal) -> Incoming {
    match signal {
        Signal::End => Incoming::Event(Event::Quit),
        Signal::Sleep => Incoming::Sleep,
    }
}

/// Converts a worker message to event loop input.
pub fn of_update(update: Update) -> Incoming {
    Incoming::Event(Event::Worker(Box::new(update)))
}

/// Expands a leading `~/` in the path of a command.
fn at_home(command: Command) -> Command {
    let path = |path: &Path| path.to_str().map_or_else(|| path.to_owned(), editor::home);
    match command {
        Command::Picture(name) if name.starts_with("~/") => {
            Command::Picture(editor::home(&name).to_string_lossy().into_owned())
        }
        Command::Data(spec) => Command::Data(editor::home(&spec).to_string_lossy().into_owned()),
        Command::Weights(file) => Command::Weights(path(&file)),
        Command::Save(folder) => Command::Save(path(&folder)),
        Command::Model { name, weights } => {
            let name = editor::home(&name).to_string_lossy().into_owned();
            Command::Model { name, weights: weights.map(|w| path(&w)) }
        }
        other => other,
    }
}

/// Restores the terminal when dropped.
pub struct TerminalRestore;

impl Drop for TerminalRestore {
    fn drop(&mut self) {
        restore();
    }
}

//! The loop: waits for what happens, lets it change the state, does what follows; draws at once what a person does, and
//! what the worker says at most thirty times a second.

use super::editor;
use super::gallery;
use super::input::{Input, Reader};
use super::link::Link;
use super::msg::{Effect, Msg};
use super::panels;
use super::picture::{Painted, Stage};
use super::screen::{self, Screen, restore};
use super::signals::{self, Signal};
use super::state::State;
use super::theme::Theme;
use super::update::update;
use crate::script::message::{Command, Update};
use anyhow::{Result, bail};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use crossterm::{cursor, queue};
use ratatui::buffer::Buffer;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Something that the loop waits for.
#[derive(Debug)]
pub enum Happening {
    /// Something for the state.
    Msg(Msg),
    /// A picture is ready for its place.
    Painted(usize, Painted),
    /// The terminal read all that it was sent before it was asked.
    Answered,
    /// The program shall sleep.
    Sleep,
    /// The worker is gone.
    WorkerGone,
}

/// All that the loop holds.
pub struct App<F> {
    /// What is known.
    pub state: State,
    /// How it looks.
    pub theme: Theme,
    /// Its pictures.
    pub stage: Stage,
    /// The terminal.
    pub screen: Screen,
    /// The thread that reads keys.
    pub reader: Reader,
    /// Where commands go.
    pub ask: F,
    /// Where threads of the app's own say that they are done.
    pub happen: Sender<Happening>,
    /// The line to the terminal.
    pub link: Link,
    /// What is on the screen.
    pub shown: Buffer,
    /// Pixels of a cell, as the system said last.
    pub cell: Option<(u16, u16)>,
    /// When it began.
    pub start: Instant,
}

/// Between two frames passes at least so long.
const FRAME: Duration = Duration::from_millis(33);

/// Nothing happens by itself for so long.
const LONG: Duration = Duration::from_secs(3600);

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Over,
}

impl<F: Fn(Command)> App<F> {
    /// Runs until a person, a signal or the end of the worker ends it.
    pub fn run(&mut self, inbox: &Receiver<Happening>) -> Result<()> {
        let mut dirty = true;
        let mut drawn = Instant::now() - FRAME;
        let mut pressed = false;
        // How long the last frame took. Frames take half of the time at most, so that a flood of keys is worked off.
        let mut took = Duration::ZERO;
        let pause = |pressed: bool, took: Duration| if pressed { took.min(FRAME) } else { FRAME };
        loop {
            if dirty && drawn.elapsed() >= pause(pressed, took) {
                let begun = Instant::now();
                // A picture that has just arrived is to be pointed at.
                (dirty, pressed) = (self.draw()?, false);
                drawn = Instant::now();
                took = drawn - begun;
            }
            let next = match inbox.recv_timeout(self.patience(dirty, drawn, pause(pressed, took))) {
                Ok(next) => next,
                Err(RecvTimeoutError::Timeout) => Happening::Msg(Msg::Tick),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            for happening in std::iter::once(next).chain(inbox.try_iter()) {
                pressed |= matches!(happening, Happening::Msg(Msg::Key(_) | Msg::Paste(_) | Msg::Mouse(..)));
                if self.happen(happening)? == Flow::Over {
                    return Ok(());
                }
            }
            dirty = true;
        }
    }

    /// How long to wait: to the next frame when something is to be drawn, else until something happens by itself.
    fn patience(&self, dirty: bool, drawn: Instant, pause: Duration) -> Duration {
        let due = self.state.due().map_or(LONG, |due| due.saturating_sub(self.start.elapsed()));
        match () {
            () if dirty => pause.saturating_sub(drawn.elapsed()),
            () if self.link.waits() => due.min(Duration::from_millis(500)),
            () => due,
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<Flow> {
        self.state.now = self.start.elapsed();
        match happening {
            Happening::Msg(msg) => {
                if let Msg::Resize(..) = msg {
                    self.measure_cells();
                    self.stage.forget();
                }
                return self.follow(self.on_picture(msg));
            }
            Happening::Painted(slot, painted) => self.stage.take(slot, painted),
            Happening::Answered => self.link.answered(Instant::now()),
            Happening::Sleep => self.sleep()?,
            Happening::WorkerGone => bail!("the worker ended before the app did"),
        }
        Ok(Flow::On)
    }

    /// What is done with the mouse on a picture is told as its place there.
    fn on_picture(&self, msg: Msg) -> Msg {
        let Msg::Mouse(mouse, column, row) = msg else { return msg };
        let place = self.stage.hit(column, row).filter(|_| self.state.popup.is_none());
        place.map_or(msg, |(x, y)| Msg::Pointed(mouse, x, y))
    }

    /// A cell has other pixels when the letters were made larger or smaller.
    fn measure_cells(&mut self) {
        let now = screen::cell();
        if let Some(cell) = now.filter(|_| now != self.cell) {
            (self.cell, self.stage.cell) = (now, cell);
        }
    }

    fn follow(&mut self, msg: Msg) -> Result<Flow> {
        for effect in update(&mut self.state, msg) {
            if self.carry_out(effect)? == Flow::Over {
                return Ok(Flow::Over);
            }
        }
        Ok(Flow::On)
    }

    fn carry_out(&mut self, effect: Effect) -> Result<Flow> {
        match effect {
            Effect::Ask(command) => (self.ask)(at_home(command)),
            Effect::Complete(path) => return self.follow(Msg::Completions(editor::completions(&path))),
            Effect::FindPictures(folder) => {
                self.aside(move || Msg::Pictures(gallery::pictures(folder.as_deref())));
            }
            Effect::Preview(name) => self.aside(move || gallery::preview(name)),
            Effect::Edit(path, line) => return self.edit(&path, line),
            Effect::Redraw => {
                self.stage.forget();
                self.screen.redraw()?;
            }
            Effect::Suspend => self.sleep()?,
            Effect::Quit => return Ok(Flow::Over),
        }
        Ok(Flow::On)
    }

    /// Lets something that may take a while happen on a thread of its own.
    fn aside(&self, work: impl FnOnce() -> Msg + Send + 'static) {
        let happen = self.happen.clone();
        // The app is gone only when the program ends.
        std::thread::spawn(move || drop(happen.send(Happening::Msg(work()))));
    }

    fn edit(&mut self, path: &Path, line: Option<usize>) -> Result<Flow> {
        self.reader.pause();
        let result = self.screen.lend(|| editor::edit(path, line))?;
        self.woke();
        match result {
            Ok(()) => Ok(Flow::On),
            Err(wrong) => self.follow(Msg::Note(wrong)),
        }
    }

    fn sleep(&mut self) -> Result<()> {
        self.reader.pause();
        self.screen.lend(signals::sleep)?;
        self.woke();
        Ok(())
    }

    fn woke(&mut self) {
        self.stage.forget();
        self.reader.resume();
        if let Ok(size) = self.screen.terminal.size() {
            self.state.size = (size.width, size.height);
        }
    }

    /// One frame: pictures and cells appear at once, where the terminal knows synchronized updates. Pictures have the room that
    /// the line gives, text is never held up. Whether another frame is to follow at once.
    fn draw(&mut self) -> Result<bool> {
        self.state.rate = self.link.rate(Instant::now());
        let (room, before) = (self.link.room(), self.screen.written.load(Ordering::Relaxed));
        let terminal = &mut self.screen.terminal;
        terminal.autoresize()?;
        let area = terminal.get_frame().area();
        self.state.size = (area.width, area.height);
        let buffer = terminal.current_buffer_mut();
        let cursor = panels::draw(buffer, &self.state, &self.theme, &mut self.stage);
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
        self.link.wrote(written, held || self.stage.has_more(), out, Instant::now())?;
        Write::flush(out)?;
        Ok(arrived && self.stage.points_at_pictures())
    }
}

/// What came from the terminal, as something that happens.
pub fn of_input(input: Input) -> Happening {
    match input {
        Input::Person(msg) => Happening::Msg(msg),
        Input::Answer => Happening::Answered,
        Input::Gone => Happening::Msg(Msg::Quit),
    }
}

/// A signal, as something that happens.
pub fn of_signal(signal: Signal) -> Happening {
    match signal {
        Signal::End => Happening::Msg(Msg::Quit),
        Signal::Sleep => Happening::Sleep,
    }
}

/// What the worker said, as something that happens.
pub fn of_update(update: Update) -> Happening {
    Happening::Msg(Msg::Worker(Box::new(update)))
}

/// A `~` that was typed is the home folder.
fn at_home(command: Command) -> Command {
    let path = |path: &Path| path.to_str().map_or_else(|| path.to_owned(), editor::home);
    match command {
        Command::Picture(name) if name.starts_with("~/") => {
            Command::Picture(editor::home(&name).to_string_lossy().into_owned())
        }
        Command::Save(folder) => Command::Save(path(&folder)),
        Command::Model { name, weights } => Command::Model { name, weights: weights.map(|w| path(&w)) },
        other => other,
    }
}

/// Gives the terminal back when the loop ends, whatever ended it.
pub struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        restore();
    }
}

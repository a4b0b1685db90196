//! Progress bars on stderr, drawn only if it is a terminal.
#![allow(clippy::disallowed_methods)]

use super::{out, still};
use crate::render::Figure;
use crate::script::method::context::Observer;
use crate::words;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A progress bar, or a spinner if the total is unknown.
pub struct ProgressLine(ProgressBar);

impl ProgressLine {
    /// Creates a spinner labeled with the name of a task.
    pub fn spinner(what: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(words::name(what).into_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        still::seen(!bar.is_hidden());
        Self(bar)
    }

    /// Creates a bar for `total` units, of which `done` are complete; `layout` is an indicatif template.
    pub fn of(total: usize, done: usize, layout: &str) -> Result<Self> {
        let style = ProgressStyle::with_template(layout)?;
        let bar = ProgressBar::new(total as u64).with_style(style).with_position(done as u64);
        still::seen(!bar.is_hidden());
        Ok(Self(bar))
    }

    /// Updates the number of completed units and the message.
    pub fn set(&self, done: usize, message: &str) {
        still::progress(message, done, self.0.length().unwrap_or(0) as usize);
        self.0.set_position(done as u64);
        self.0.set_message(words::name(message).into_owned());
    }

    /// Updates the number of received bytes of a download.
    pub fn received(&self, file: &str, bytes: u64) {
        still::progress(
            &format!("MiB of {file}:"),
            (bytes >> 20) as usize,
            (self.0.length().unwrap_or(0) >> 20) as usize,
        );
        self.0.set_position(bytes);
        self.0.set_message(words::name(file).into_owned());
    }

    /// Prints messages above the progress bar.
    pub fn tell(&self, messages: &[String]) {
        messages.iter().for_each(|message| self.0.suspend(|| out::tell(message)));
    }

    /// Hides the progress bar while `f` runs.
    pub fn suspend<T>(&self, f: impl FnOnce() -> T) -> T {
        self.0.suspend(f)
    }

    /// Removes the progress bar.
    pub fn end(&self) {
        self.0.finish_and_clear();
        still::seen(false);
    }
}

impl Observer for ProgressLine {
    fn show(&self, _: Vec<Figure>) {}

    fn progress(&self, what: &str, done: usize, total: usize) {
        if total > 0 && self.0.length() != Some(total as u64) {
            self.0.set_length(total as u64);
            if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta}") {
                self.0.set_style(style);
            }
        }
        self.set(done, what);
    }
}

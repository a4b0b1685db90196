//! Progress bars on stderr, drawn only if it is a terminal.
#![allow(clippy::disallowed_methods)]

use super::{out, still};
use crate::render::Figure;
use crate::script::method::context::Observer;
use crate::sync::LockUnpoisoned;
use crate::words;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

/// Layout of a bar with a known total, as an indicatif template.
const LAYOUT: &str = "{msg} {bar:20} {pos}/{len}, {rate}, {eta} left";
/// Layout of a line without a total.
const COUNT: &str = "{spinner} {msg} {pos}, {rate}";

/// A progress bar, or a spinner if the total is unknown.
pub struct ProgressLine {
    bar: ProgressBar,
    /// Text before each message, such as `2 of 9: `.
    before: Mutex<String>,
}

impl ProgressLine {
    /// Creates a spinner labeled with the name of a task.
    pub fn spinner(what: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(words::name(what).into_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        still::seen(!bar.is_hidden());
        Self { bar, before: Mutex::default() }
    }

    /// Creates a bar for `total` units, of which `done` are complete. It shows the count, the rate and the time left.
    pub fn of(total: usize, done: usize) -> Result<Self> {
        Self::with_layout(total, done, LAYOUT)
    }

    /// Like [`of`](Self::of), with another layout: an indicatif template.
    pub fn with_layout(total: usize, done: usize, layout: &str) -> Result<Self> {
        let bar = ProgressBar::new(total as u64).with_style(style(layout)?).with_position(done as u64);
        // The rate is that of the units since now.
        bar.reset_eta();
        still::seen(!bar.is_hidden());
        Ok(Self { bar, before: Mutex::default() })
    }

    /// Sets the text before each message, such as `2 of 9: `.
    pub fn begin_with(&self, before: &str) {
        *self.before.lock_unpoisoned() = before.into();
    }

    /// Updates the number of completed units and the message.
    pub fn set(&self, done: usize, message: &str) {
        still::progress(message, done, self.bar.length().unwrap_or(0) as usize);
        self.bar.set_position(done as u64);
        self.bar.set_message(format!("{}{}", self.before.lock_unpoisoned(), words::name(message)));
    }

    /// Updates the number of received bytes of a download.
    pub fn received(&self, file: &str, bytes: u64) {
        still::progress(
            &format!("MiB of {file}:"),
            (bytes >> 20) as usize,
            (self.bar.length().unwrap_or(0) >> 20) as usize,
        );
        self.bar.set_position(bytes);
        self.bar.set_message(words::name(file).into_owned());
    }

    /// Prints messages above the progress bar.
    pub fn tell(&self, messages: &[String]) {
        messages.iter().for_each(|message| self.bar.suspend(|| out::tell(message)));
    }

    /// Hides the progress bar while `f` runs.
    pub fn suspend<T>(&self, f: impl FnOnce() -> T) -> T {
        self.bar.suspend(f)
    }

    /// Removes the progress bar.
    pub fn end(&self) {
        self.bar.finish_and_clear();
        still::seen(false);
    }

    fn show(&self, layout: &str, total: Option<u64>) {
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
        // A layout that indicatif rejects is not shown.
        let _ = style(layout).map(|style| self.bar.set_style(style));
        self.bar.reset_eta();
    }
}

impl Observer for ProgressLine {
    fn show(&self, _: Vec<Figure>) {}

    /// Shows the progress. Once a total is known, reports without a total, such as those of steps within a sweep, are ignored.
    fn progress(&self, what: &str, done: usize, total: usize) {
        match (total as u64, self.bar.length()) {
            (0, Some(_)) => return,
            (0, None) if self.bar.position() == 0 && done > 0 => ProgressLine::show(self, COUNT, None),
            (0, None) => {}
            (total, length) if length != Some(total) => ProgressLine::show(self, LAYOUT, Some(total)),
            _ => {}
        }
        self.set(done, what);
    }
}

fn style(layout: &str) -> Result<ProgressStyle> {
    let rate = |state: &ProgressState, to: &mut dyn Write| {
        // Writing to the line cannot fail.
        let _ = to.write_str(&still::rate(state.per_sec()));
    };
    Ok(ProgressStyle::with_template(layout)?.with_key("rate", rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_layouts_are_valid() {
        assert!([LAYOUT, COUNT].into_iter().all(|layout| style(layout).is_ok()));
    }

    #[test]
    fn steps_within_a_sweep_do_not_replace_its_count() {
        let line = ProgressLine::spinner("robustness");
        line.progress("step", 3, 0);
        assert_eq!((line.bar.length(), line.bar.position()), (None, 3));
        line.progress("pictures", 32, 1000);
        line.progress("step", 4, 0);
        assert_eq!((line.bar.length(), line.bar.position()), (Some(1000), 32));
        line.end();
    }
}

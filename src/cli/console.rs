//! The console of programs and tests: what they print, draw and report.

use super::draw::FigurePrinter;
use super::out;
use super::progress::ProgressLine;
use crate::render::Figure;
use crate::script::method::context::Observer;
use crate::script::program::Console;
use crate::sync::LockUnpoisoned;
use crate::tui::Graphics;
use anyhow::Result;
use std::sync::{Arc, Mutex};

/// A console that prints lines and figures to stdout, messages and progress to stderr.
pub struct Terminal {
    /// The line that shows progress.
    pub bar: Arc<ProgressLine>,
    /// Whether printed lines go to stderr and figures are not drawn, because stdout is for a document.
    quiet: bool,
    /// The printer of figures, created when the first figure is printed, because creating a printer queries the terminal.
    screen: Mutex<Option<FigurePrinter>>,
}

impl Terminal {
    /// A console for the program with this name.
    pub fn new(program: &str) -> Self {
        Self { bar: Arc::new(ProgressLine::spinner(program)), quiet: false, screen: Mutex::new(None) }
    }

    /// The same, but leaves stdout alone if `quiet`.
    pub fn quiet(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }
}

impl Console for Terminal {
    fn print(&self, line: &str) -> Result<()> {
        match self.quiet {
            true => self.say(line),
            false => self.bar.suspend(|| out::data(line))?,
        }
        Ok(())
    }

    fn draw(&self, figure: &Figure) -> Result<()> {
        if self.quiet {
            return Ok(());
        }
        self.bar.suspend(|| {
            let mut screen = self.screen.lock_unpoisoned();
            let screen = match &mut *screen {
                Some(open) => open,
                none => none.insert(FigurePrinter::new(Graphics::Auto)?),
            };
            screen.show(std::slice::from_ref(figure))
        })
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| out::tell(line));
    }

    fn observer(&self) -> Arc<dyn Observer> {
        self.bar.clone()
    }
}

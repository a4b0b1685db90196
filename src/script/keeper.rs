//! The state of a long run, kept beside its results until it is over, so that it can be resumed.

use super::session::Session;
use crate::data::{read_whole, write_whole};
use crate::words;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The state of a run that is not over, in the folder of its results.
const STATE: &str = "state.safetensors";
/// The largest state that is read.
const STATE_BYTES: u64 = 8 << 30;
/// How old a kept state gets, unless writing it takes long.
const EVERY: Duration = Duration::from_secs(1);
/// How many times as long as writing takes is waited for the next.
const PAUSE: u32 = 20;

/// Keeps the state of a long run beside its results.
pub struct Keeper {
    file: Option<PathBuf>,
    last: Instant,
    pause: Duration,
    notes: Vec<String>,
}

impl Keeper {
    /// The file of a run into `out`; with `resume` the session goes on from it, where there is one.
    pub fn new(out: Option<&Path>, resume: bool, session: &mut Session) -> Result<Self> {
        let stepped = session.method().is_some_and(|m| m.stepped);
        let file = out.filter(|_| stepped).map(|folder| folder.join(STATE));
        let mut notes = vec![];
        if let Some(file) = file.as_ref().filter(|file| resume && file.exists()) {
            let bytes = read_whole(file, STATE_BYTES)?;
            let going_on = || format!("going on with \"{}\"", words::path(&file));
            session.take_up(&bytes).with_context(going_on)?;
            notes.push(format!("going on after step {}", session.cursor()));
        }
        Ok(Self { file, last: Instant::now(), pause: EVERY, notes })
    }

    /// What a person may want to know, each told once.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Writes the state when the last one is old enough, or `now`.
    pub fn keep(&mut self, session: &Session, now: bool) -> Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| now || self.last.elapsed() > self.pause) else { return Ok(()) };
        let begun = Instant::now();
        let bytes = match session.keep() {
            Ok(bytes) => bytes,
            Err(why) => {
                self.notes.push(format!("this run cannot be resumed: {why:#}"));
                self.file = None;
                return Ok(());
            }
        };
        let folder = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).with_context(|| format!("making the folder \"{}\"", words::path(&folder)))?;
        write_whole(file, &bytes)?;
        self.last = Instant::now();
        self.pause = EVERY.max(PAUSE * begun.elapsed());
        Ok(())
    }

    /// The run is over: nothing is left to go on from.
    pub fn end(self) -> Result<()> {
        match self.file.filter(|file| file.exists()) {
            Some(file) => std::fs::remove_file(&file).with_context(|| format!("removing \"{}\"", words::path(&file))),
            None => Ok(()),
        }
    }
}

//! The state of a long run, kept beside its results until it is over, so that it can be resumed.

use super::Session;
use crate::data::lock::Lock;
use crate::data::{create_folder, disk, read_whole, write_whole};
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
pub struct Checkpoint {
    file: Option<PathBuf>,
    /// The folder is no other run's while this one goes on.
    _lock: Option<Lock>,
    last: Instant,
    pause: Duration,
    notes: Vec<String>,
}

impl Checkpoint {
    /// The file of a run into `out`, a folder that is made; with `resume` the session goes on from it, where there is one.
    ///
    /// Errors where another run writes into that folder.
    pub fn new(out: Option<&Path>, resume: bool, session: &mut Session) -> Result<Self> {
        let lock = out.map(|folder| create_folder(folder).and_then(|()| Lock::of(folder))).transpose()?;
        let stepped = session.method().is_some_and(|m| m.stepped);
        let file = out.filter(|_| stepped).map(|folder| folder.join(STATE));
        let mut notes = vec![];
        if let Some(file) = file.as_ref().filter(|file| resume && file.exists()) {
            let bytes = read_whole(file, STATE_BYTES)?;
            let going_on = || format!("going on with \"{}\"", words::path(&file));
            session.restore(&bytes).with_context(going_on)?;
            notes.push(format!("going on after step {}", session.cursor()));
        }
        Ok(Self { file, _lock: lock, last: Instant::now(), pause: EVERY, notes })
    }

    /// What a person may want to know, each told once.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Writes the state when the last one is old enough, or `now`.
    pub fn save(&mut self, session: &Session, now: bool) -> Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| now || self.last.elapsed() > self.pause) else { return Ok(()) };
        let begun = Instant::now();
        let bytes = match session.snapshot() {
            Ok(bytes) => bytes,
            Err(why) => {
                self.notes.push(format!("this run cannot be resumed: {why:#}"));
                self.file = None;
                return Ok(());
            }
        };
        write_whole(file, &bytes)?;
        self.last = Instant::now();
        self.pause = EVERY.max(PAUSE * begun.elapsed());
        Ok(())
    }

    /// The run is over and its results are written: nothing is left to go on from.
    pub fn end(self) -> Result<()> {
        self.file.map_or(Ok(()), |file| disk::remove(&file))
    }
}

//! Checkpoints of a long run, saved next to its results until it ends, so that it can be resumed.

use super::Session;
use crate::data::lock::Lock;
use crate::data::{create_folder, disk, read_whole, write_whole};
use crate::words;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The checkpoint's file name, in the folder of the results.
const STATE: &str = "state.safetensors";
/// Maximum size of a checkpoint that is read.
const STATE_BYTES: u64 = 8 << 30;
/// Interval between checkpoints, unless writing one takes long.
const EVERY: Duration = Duration::from_secs(1);
/// The interval is at least this many times the duration of a write.
const PAUSE: u32 = 20;

/// Saves the state of a long run next to its results.
pub struct Checkpoint {
    file: Option<PathBuf>,
    /// Keeps other runs from writing into the folder.
    _lock: Option<Lock>,
    last: Instant,
    pause: Duration,
    notes: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint of a run that writes into the folder `out`, which is created. With `resume`, the session continues from an
    /// existing checkpoint.
    ///
    /// Errors if another run is writing into that folder.
    pub fn new(out: Option<&Path>, resume: bool, session: &mut Session) -> Result<Self> {
        let lock = out.map(|folder| create_folder(folder).and_then(|()| Lock::of(folder))).transpose()?;
        let stepped = session.method().is_some_and(|m| m.stepped);
        let file = out.filter(|_| stepped).map(|folder| folder.join(STATE));
        let mut notes = vec![];
        if let Some(file) = file.as_ref().filter(|file| resume && file.exists()) {
            let bytes = read_whole(file, STATE_BYTES)?;
            let going_on = || format!("resuming from \"{}\"", words::path(&file));
            session.restore(&bytes).with_context(going_on)?;
            notes.push(format!("resuming after step {}", session.cursor()));
        }
        Ok(Self { file, _lock: lock, last: Instant::now(), pause: EVERY, notes })
    }

    /// Takes the notes for the user.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Saves the state if the interval has passed, or if `now`.
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

    /// Removes the checkpoint after the results were written.
    pub fn end(self) -> Result<()> {
        self.file.map_or(Ok(()), |file| disk::remove(&file))
    }
}

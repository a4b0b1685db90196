//! Checkpoints for resuming an interrupted long run. They are stored next to the results until the run ends.

use super::Session;
use crate::data::lock::Lock;
use crate::data::{create_folder, disk, read_whole, write_whole};
use crate::words;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the checkpoint file in the result folder.
pub const STATE: &str = "state.safetensors";
/// Maximum size of a checkpoint file in bytes.
const STATE_BYTES: u64 = 8 << 30;
/// Minimum interval between checkpoints. It is longer if writing a checkpoint is slow (see [`PAUSE`]).
const EVERY: Duration = Duration::from_secs(1);
/// Minimum interval between checkpoints, as a multiple of the time it took to write one.
const PAUSE: u32 = 20;

/// Saves the state of a long run at intervals, next to the results of the run.
pub struct Checkpoint {
    file: Option<PathBuf>,
    /// Lock that prevents other runs from writing to the folder.
    _lock: Option<Lock>,
    last: Instant,
    pause: Duration,
    /// Whether a checkpoint has been written.
    saved: bool,
    notes: Vec<String>,
}

impl Checkpoint {
    /// Prepares checkpoints for a run that writes to the folder `out`, which is created if necessary. Without a folder, nothing is saved.
    /// With `resume`, the session continues from an existing checkpoint.
    ///
    /// Errors if another run is writing to the folder.
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
        Ok(Self { file, _lock: lock, last: Instant::now(), pause: EVERY, saved: false, notes })
    }

    /// Removes and returns the notes to the user about checkpoints.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Saves the session's state if the checkpoint interval has passed or `now` is true.
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
        self.saved = true;
        self.last = Instant::now();
        self.pause = EVERY.max(PAUSE * begun.elapsed());
        Ok(())
    }

    /// Whether a checkpoint has been written, from which the run can be resumed.
    pub fn is_saved(&self) -> bool {
        self.saved
    }

    /// Removes the checkpoint file. Call this after writing the results.
    pub fn end(self) -> Result<()> {
        self.file.map_or(Ok(()), |file| disk::remove(&file))
    }
}

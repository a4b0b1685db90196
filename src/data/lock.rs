//! One writer for a place: a lock file that says which process writes there, and on which machine.

use crate::words;
use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The most that is read of another process's lock file.
const WORDS: u64 = 200;

/// A place that this process alone writes to, until this is dropped. The system gives the place free when the process dies.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Locks a file or folder to be written: by `.gradscope.lock` in a folder, by `.NAME.lock` beside a file.
    ///
    /// Errors where another process has it, whose number and machine are told.
    pub fn of(place: &Path) -> Result<Self> {
        match Self::claim(place)? {
            Ok(lock) => Ok(lock),
            Err(owner) => {
                bail!(
                    "\"{}\" is being written by {owner}; wait for its end, or write somewhere else",
                    words::path(place)
                )
            }
        }
    }

    /// The same, where a place that another process has is an answer: who that is.
    pub fn claim(place: &Path) -> Result<std::result::Result<Self, String>> {
        let path = lock_file(place);
        claim(&path).with_context(|| format!("locking \"{}\"", words::path(place)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked, so that it is nobody else's that is removed.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

fn lock_file(place: &Path) -> PathBuf {
    match place.file_name() {
        Some(name) if !place.is_dir() => place.with_file_name(format!(".{}.lock", name.to_string_lossy())),
        _ => place.join(".gradscope.lock"),
    }
}

fn claim(path: &Path) -> io::Result<Result<Lock, String>> {
    loop {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(Err(owner(&mut file))),
            // Some file systems know no locks. Then two runs are not told apart, as before there were any.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        if is_at(&file, path) {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "process {} on {}", std::process::id(), host())?;
            return Ok(Ok(Lock { file, path: path.into() }));
        }
        // Its owner removed it in between.
    }
}

/// What another process wrote into its lock file; it may just be writing.
fn owner(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(WORDS).read_to_string(&mut text);
    match read.map(|_| text.trim()) {
        Ok("") | Err(_) => "another process".into(),
        Ok(text) => words::name(text).into_owned(),
    }
}

/// Whether an open file is still the one of this name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let facts = file.metadata().ok().zip(std::fs::metadata(path).ok());
    facts.is_some_and(|(open, named)| (open.dev(), open.ino()) == (named.dev(), named.ino()))
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(unix)]
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "this machine".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_the_first_one_is_and_may_write_when_that_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        for place in [folder.path().to_path_buf(), folder.path().join("net.safetensors")] {
            let first = Lock::of(&place).unwrap();
            let said = Lock::of(&place).unwrap_err().to_string();
            let owner = format!("being written by process {} on {}", std::process::id(), host());
            assert!(said.contains(&owner), "{said}");
            drop(first);
            Lock::of(&place).unwrap();
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_lock_file_that_a_killed_process_left_locks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".gradscope.lock"), "process 1 on elsewhere\n".repeat(50)).unwrap();
        Lock::of(folder.path()).unwrap();
    }

    #[test]
    fn control_characters_in_a_lock_file_are_escaped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".gradscope.lock");
        std::fs::write(&path, "\x1b]0;title\x07").unwrap();
        let kept = File::open(&path).unwrap();
        kept.lock().unwrap();
        let said = Lock::of(folder.path()).unwrap_err().to_string();
        assert!(said.contains(r"being written by \x1b]0;title\x07"), "{said}");
    }
}

//! Exclusive write access to a file or folder, by means of a lock file that contains its owner's process ID and machine.

use crate::words;
use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Maximum number of bytes read from another process's lock file.
const WORDS: u64 = 200;

/// Exclusive write access to a file or folder, held until dropped. The operating system releases the lock if the process dies.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Locks a file or folder for writing. The lock file is `.gradscope.lock` inside a folder, or `.NAME.lock` next to a file.
    ///
    /// Errors if another process holds the lock.
    pub fn of(place: &Path) -> Result<Self> {
        match Self::claim(place)? {
            Ok(lock) => Ok(lock),
            Err(owner) => {
                bail!(
                    "\"{}\" is being written by {owner}; wait until it finishes, or write elsewhere",
                    words::path(place)
                )
            }
        }
    }

    /// Like [`Lock::of`], but returns the owner as the inner error if another process holds the lock.
    pub fn claim(place: &Path) -> Result<std::result::Result<Self, String>> {
        let path = lock_file(place);
        claim(&path).with_context(|| format!("locking \"{}\"", words::path(place)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The lock file is removed while it is still locked, so that another process's file is never removed.
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
            // On file systems without locks, concurrent writers go undetected.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        if is_at(&file, path) {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "process {} on {}", std::process::id(), host())?;
            return Ok(Ok(Lock { file, path: path.into() }));
        }
        // The previous owner removed the file in the meantime; try again.
    }
}

/// Reads the owner of a lock from its lock file; "another process" if the owner has not written its name yet.
fn owner(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(WORDS).read_to_string(&mut text);
    match read.map(|_| text.trim()) {
        Ok("") | Err(_) => "another process".into(),
        Ok(text) => words::name(text).into_owned(),
    }
}

/// Whether `path` still refers to the open file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let facts = file.metadata().ok().zip(std::fs::metadata(path).ok());
    facts.is_some_and(|(open, named)| (open.dev(), open.ino()) == (named.dev(), named.ino()))
}

/// Whether `path` still refers to the open file: always true, because an open file can be removed only on Unix.
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
    fn a_second_writer_learns_who_holds_the_lock_and_gets_it_when_released() {
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
    fn a_lock_file_left_by_a_killed_process_does_not_lock() {
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

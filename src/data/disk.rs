//! Atomic, durable file writes.
//!
//! A file is written under a temporary name, synced and renamed; then its folder is synced. Each of these steps first
//! calls `operation`, where tests can make it fail or simulate a power failure.

use super::file::open;
use crate::sync::LockUnpoisoned;
use crate::words;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// Prefix and suffix of the names of temporary files, which are renamed once they are written.
const UNFINISHED: (&str, &str) = (".gradscope-", ".tmp");
/// On file systems without locks, a temporary file younger than this is assumed to be still in use by its writer.
const YOUNG: Duration = Duration::from_secs(60);

/// Writes a file atomically; once this function returns, the contents survive a power failure.
///
/// If writing fails, for example because the disk is full, an existing file is left unchanged.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    try_write(path, bytes).with_context(|| format!("writing \"{}\"", words::path(path)))
}

/// Creates a folder and its missing parents.
pub fn create_folder(folder: &Path) -> Result<()> {
    let made = operation("make a folder").and_then(|()| std::fs::create_dir_all(folder));
    made.with_context(|| format!("creating the folder \"{}\"", words::path(folder)))
}

/// Removes a file; succeeds if it does not exist.
pub fn remove(path: &Path) -> Result<()> {
    match operation("remove").and_then(|()| std::fs::remove_file(path)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("removing \"{}\"", words::path(path))),
    }
}

/// Writes all bytes at the current position of an open file. If a test simulates a power failure during the write, only the first
/// half is written.
pub fn write_at(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let cut = match operation("write") {
        Ok(()) => return file.write_all(bytes),
        Err(cut) => cut,
    };
    file.write_all(&bytes[..bytes.len() / 2])?;
    end_at_a_cut();
    Err(cut)
}

fn try_write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = folder_of(path);
    tidy(folder);
    let mut file = unfinished(folder)?;
    let _writing = Writing::begin();
    write_at(file.as_file_mut(), bytes)?;
    operation("sync").and_then(|()| file.as_file().sync_data())?;
    operation("rename")?;
    file.persist(path).map_err(|e| e.error)?;
    operation("sync the folder").and_then(|()| sync_folder(folder))?;
    Ok(())
}

/// Number of files that this process is writing.
static WRITING: AtomicUsize = AtomicUsize::new(0);

/// A guard that counts as one write in [`WRITING`] until it is dropped.
struct Writing;

impl Writing {
    fn begin() -> Self {
        WRITING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        WRITING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until this process is not writing any file, for at most `most`.
pub fn wait_for_writes(most: Duration) {
    let begun = Instant::now();
    while WRITING.load(Ordering::SeqCst) > 0 && begun.elapsed() < most {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Creates a temporary file and locks it, which marks it as in use for other processes.
fn unfinished(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED.0).suffix(UNFINISHED.1);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    operation("create")?;
    loop {
        let file = builder.tempfile_in(folder)?;
        match file.as_file().try_lock() {
            // Another process considered the file stale and locked it first.
            Err(TryLockError::WouldBlock) => {}
            Ok(()) if !file.path().exists() => {}
            // On file systems without locks, only the age of the file shows whether it is stale.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Syncs a folder, so that new file names in it survive a power failure. Does nothing on file systems that cannot sync folders.
#[allow(clippy::disallowed_methods)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    match File::open(folder)?.sync_all() {
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {}
        synced => synced?,
    }
    let _ = folder;
    Ok(())
}

/// Removes temporary files left behind by killed processes, once per folder.
fn tidy(folder: &Path) {
    static TIDIED: LazyLock<Mutex<BTreeSet<PathBuf>>> = LazyLock::new(Mutex::default);
    if !TIDIED.lock_unpoisoned().insert(folder.to_path_buf()) {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let unfinished = name.to_str().is_some_and(|n| n.starts_with(UNFINISHED.0) && n.ends_with(UNFINISHED.1));
        if unfinished && is_left(&entry.path()) {
            // Files that cannot be removed are ignored.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether a temporary file is stale, that is, whether no process is writing it.
fn is_left(path: &Path) -> bool {
    let Ok(file) = open(path, u64::MAX) else { return false };
    let Ok(facts) = file.metadata() else { return false };
    let old = || facts.modified().ok().and_then(|t| t.elapsed().ok()).is_some_and(|age| age > YOUNG);
    facts.is_file()
        && match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(_)) => old(),
        }
}

/// A fault injected by a test: `GRADSCOPE_DISK_FAULT=fail:7` makes the seventh disk operation fail; `cut:7` simulates a power
/// failure during it.
enum Fault {
    Fail(u64),
    Cut(u64),
}

static FAULT: LazyLock<Option<Fault>> = LazyLock::new(|| {
    let text = std::env::var("GRADSCOPE_DISK_FAULT").ok()?;
    let (kind, number) = text.split_once(':')?;
    let number = number.parse().ok()?;
    match kind {
        "fail" => Some(Fault::Fail(number)),
        "cut" => Some(Fault::Cut(number)),
        _ => None,
    }
});

/// Called before every disk operation. Returns an error if a test makes the operation fail, or kills the process if a test
/// simulates a power failure. A write first writes half of its data.
fn operation(what: &str) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let Some(fault) = &*FAULT else { return Ok(()) };
    let count = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    match fault {
        Fault::Fail(at) if *at == count => Err(io::Error::other(format!("no space left on the device to {what}"))),
        Fault::Cut(at) if *at == count && what == "write" => Err(io::Error::other("the power was cut")),
        Fault::Cut(at) if *at == count => {
            end_at_a_cut();
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Kills the process, as a power failure would, if a test requests it.
fn end_at_a_cut() {
    if matches!(*FAULT, Some(Fault::Cut(_))) {
        #[cfg(unix)]
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::read_whole;

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_no_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"newer").unwrap();
        assert_eq!(read_whole(&path, 5).unwrap(), b"newer");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error_that_names_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_whole(&folder.path().join("missing/a.bin"), b"x").unwrap_err();
        assert!(error.to_string().contains("missing/a.bin"), "{error:#}");
    }

    #[test]
    #[cfg(unix)]
    fn a_written_file_can_be_read_by_others_as_the_umask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write_whole(&ours, b"x").unwrap();
        std::fs::write(&plain, b"x").unwrap();
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn stale_temporary_files_are_removed_and_locked_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let names = [".gradscope-left.tmp", ".gradscope-written.tmp", "left.tmp", ".gradscope-left"];
        let files = names.map(|name| File::create(place(name)).unwrap());
        files[1].lock().unwrap();
        write_whole(&place("a.bin"), b"x").unwrap();
        let left = names.map(|name| place(name).exists());
        assert_eq!(left, [false, true, true, true]);
    }
}

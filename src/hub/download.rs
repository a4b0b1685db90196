//! Downloads a file, which appears under its final name only once it is complete. An interrupted download is resumed.

use super::access::{Transfer, Watcher};
use super::http::Client;
use super::reply::{Body, Refusal};
use crate::data::file::size_text;
use crate::data::lock::Lock;
use crate::data::{create_folder, open};
use crate::words;
use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Suffix of the names of files whose download is not finished.
const UNFINISHED: &str = ".gradscope.incomplete";
/// Number of bytes read at a time.
const CHUNK: usize = 1 << 16;
/// Number of consecutive attempts without receiving a byte after which the download fails.
const ATTEMPTS: u32 = 5;
/// Pause before an interrupted download is resumed.
const PAUSE: Duration = Duration::from_millis(500);
/// Minimum interval between calls of the watcher.
const WATCHED: Duration = Duration::from_millis(50);

/// A file on a server.
pub struct Remote<'a> {
    /// The URL.
    pub url: &'a str,
    /// The token that grants access, if any.
    pub token: Option<&'a str>,
    /// Name of the file, for messages.
    pub name: &'a str,
    /// Size in bytes, if known.
    pub size: Option<u64>,
    /// SHA-256 of the contents in hexadecimal, or its first digits; empty if unknown.
    pub sha256: &'a str,
}

/// Downloads a file to `to`. If another process is downloading it, waits for that process and does nothing.
///
/// Errors with a [`Refusal`] if the server does not provide the file, with the error of `watch` if it cancels the download, or if the
/// contents do not match `remote`.
pub fn download(client: &Client, remote: &Remote, to: &Path, watch: &Watcher) -> Result<()> {
    let downloading = || format!("downloading \"{}\"", words::name(remote.name));
    create_folder(to.parent().unwrap_or(Path::new(".")))?;
    let mut progress = Progress::new(remote, watch);
    let _lock = loop {
        match Lock::claim(to)? {
            Ok(lock) => break lock,
            Err(_) => progress.pause(0)?,
        }
    };
    if to.exists() {
        return Ok(());
    }
    let part = unfinished(to);
    let file = File::options().read(true).append(true).create(true).open(&part);
    let mut file = file.with_context(|| format!("writing \"{}\"", words::path(&part)))?;
    receive(client, remote, &mut file, &mut progress).with_context(downloading)?;
    file.sync_data().with_context(downloading)?;
    drop(file);
    if let Err(error) = verify(&part, remote, &mut progress) {
        let _ = std::fs::remove_file(&part);
        return Err(error).with_context(downloading);
    }
    std::fs::rename(&part, to).with_context(|| format!("writing \"{}\"", words::path(to)))
}

/// The path of an incomplete download.
fn unfinished(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{name}{UNFINISHED}"))
}

/// Appends the missing bytes to `file`, reconnecting if the connection is lost.
fn receive(client: &Client, remote: &Remote, file: &mut File, progress: &mut Progress) -> Result<()> {
    let (begun, mut failures) = (file.metadata()?.len(), 0);
    loop {
        let here = file.metadata()?.len();
        let total = remote.size.or(progress.transfer.total);
        if here > 0 && total == Some(here) {
            return Ok(());
        }
        let why = match client.get(remote.url, remote.token, here) {
            Ok(body) => match append(file, body, here, remote, progress)? {
                None => return Ok(()),
                Some(why) => why,
            },
            // The partial download is longer than the file on the server.
            Err(Refusal::Status { status: 416, .. }) if here > 0 => {
                file.set_len(0)?;
                "the file on the server has changed".into()
            }
            Err(refusal @ (Refusal::Status { .. } | Refusal::Unreachable(_))) if here == begun => bail!(refusal),
            Err(Refusal::Status { status, .. }) if status < 500 => {
                bail!(Refusal::Status { status, code: String::new() })
            }
            Err(refusal) => refusal.to_string(),
        };
        let now = file.metadata()?.len();
        failures = if now > here { 0 } else { failures + 1 };
        if failures >= ATTEMPTS {
            let of = total.map(|total| format!(" of {}", size_text(total))).unwrap_or_default();
            bail!("the connection was lost at {}{of} ({why}); run the command again to resume", size_text(now));
        }
        progress.pause(now)?;
    }
}

/// Appends a response body to `file`, which already holds `here` bytes. Returns why the body ended early, or `None` if it is
/// complete.
fn append(
    file: &mut File,
    mut body: Body,
    here: u64,
    remote: &Remote,
    progress: &mut Progress,
) -> Result<Option<String>> {
    progress.transfer.total = remote.size.or(body.total);
    if body.start != here {
        file.set_len(0)?;
    }
    let (mut done, mut chunk) = (body.start, vec![0; CHUNK]);
    loop {
        progress.at(done)?;
        let count = match body.reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => return Ok(Some(words::name(&error.to_string()).into_owned())),
        };
        file.write_all(&chunk[..count])?;
        done += count as u64;
        if let Some(total) = progress.transfer.total {
            ensure!(done <= total, "the server sent more data than the {total} bytes it announced");
        }
    }
    let short = progress.transfer.total.is_some_and(|total| done < total);
    Ok(short.then(|| "the server sent less data than it announced".into()))
}

/// Errors if the contents do not have the expected hash.
fn verify(part: &Path, remote: &Remote, progress: &mut Progress) -> Result<()> {
    let mut file = open(part, u64::MAX)?;
    file.seek(SeekFrom::Start(0))?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    while let count @ 1.. = if remote.sha256.is_empty() { 0 } else { file.read(&mut chunk)? } {
        hash.update(&chunk[..count]);
        progress.tick()?;
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(
        remote.sha256.is_empty() || found.starts_with(remote.sha256),
        "the file is damaged: its SHA-256 is {found}, expected {}; run the command again",
        words::name(remote.sha256)
    );
    Ok(())
}

/// Reports a download to the watcher at a limited rate.
struct Progress<'a> {
    transfer: Transfer,
    watch: &'a Watcher,
    told: Option<Instant>,
}

impl<'a> Progress<'a> {
    fn new(remote: &Remote, watch: &'a Watcher) -> Self {
        let (file, from) = (remote.name.into(), remote.url.into());
        Self { transfer: Transfer { file, from, done: 0, total: remote.size }, watch, told: None }
    }

    fn at(&mut self, done: u64) -> Result<()> {
        self.transfer.done = done;
        let last = self.transfer.total == Some(done);
        if last { self.tell() } else { self.tick() }
    }

    fn tick(&mut self) -> Result<()> {
        if self.told.is_some_and(|told| told.elapsed() < WATCHED) { Ok(()) } else { self.tell() }
    }

    fn tell(&mut self) -> Result<()> {
        self.told = Some(Instant::now());
        (self.watch)(&self.transfer)
    }

    /// Waits before another attempt.
    fn pause(&mut self, done: u64) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PAUSE {
            self.at(done)?;
            std::thread::sleep(WATCHED);
        }
        Ok(())
    }
}

/// The error for a server that is unreachable, overloaded or failing, with the suggestion `instead`; `None` for other errors.
pub fn failed(error: &anyhow::Error, server: &str, instead: &str) -> Option<anyhow::Error> {
    match error.downcast_ref::<Refusal>()? {
        Refusal::Unreachable(why) => Some(anyhow!("cannot reach {server} ({why}); {instead}")),
        Refusal::Status { status: 429, .. } => {
            Some(anyhow!("{server} is limiting the rate of requests (429); wait a few minutes, or {instead}"))
        }
        Refusal::Status { status: status @ 500.., .. } => {
            Some(anyhow!("{server} failed with status {status}; try again later, or {instead}"))
        }
        Refusal::Status { .. } => None,
    }
}

#[cfg(test)]
#[cfg(feature = "hub")]
mod tests {
    use super::super::file_server::{FileServer, Reply};
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn contents() -> Vec<u8> {
        (0..300_000u32).flat_map(|i| i.to_le_bytes()).collect()
    }

    fn sha256(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Downloads the server's file into a folder as `net.bin`.
    fn fetched(server: &FileServer, folder: &Path, sha256: &str, watch: &Watcher) -> Result<Vec<u8>> {
        let url = format!("{}/net.bin", server.address());
        let remote = Remote { url: &url, token: None, name: "net.bin", size: None, sha256 };
        let to = folder.join("net.bin");
        download(&Client::new(Duration::from_secs(2), None)?, &remote, &to, watch)?;
        Ok(std::fs::read(to)?)
    }

    fn unwatched() -> Watcher {
        Arc::new(|_| Ok(()))
    }

    fn names(folder: &Path) -> Vec<String> {
        std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_broken_download_is_resumed_where_it_broke_off() {
        let folder = tempfile::tempdir().unwrap();
        let server =
            FileServer::new(|_, _| Reply { status: 200, body: contents(), broken_after: 500_000, ..Reply::default() });
        let found = fetched(&server, folder.path(), &sha256(&contents()), &unwatched()).unwrap();
        assert!(found == contents());
        let from: Vec<_> = server.requests().into_iter().map(|request| request.from).collect();
        assert_eq!(from, [None, Some(500_000), Some(1_000_000)]);
        assert_eq!(names(folder.path()), ["net.bin"]);
    }

    #[test]
    fn a_server_that_ignores_ranges_is_read_from_the_start() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(format!("net.bin{UNFINISHED}")), "an older version").unwrap();
        let server = FileServer::new(|_, _| Reply { status: 200, body: contents(), whole: true, ..Reply::default() });
        assert!(fetched(&server, folder.path(), "", &unwatched()).unwrap() == contents());
    }

    #[test]
    fn a_beginning_that_is_longer_than_the_file_is_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let old = vec![1; contents().len() + 1];
        std::fs::write(folder.path().join(format!("net.bin{UNFINISHED}")), old).unwrap();
        let server = FileServer::new(|_, _| Reply { status: 200, body: contents(), ..Reply::default() });
        assert!(fetched(&server, folder.path(), "", &unwatched()).unwrap() == contents());
    }

    #[test]
    fn contents_with_another_hash_are_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let server = FileServer::new(|_, _| Reply { status: 200, body: contents(), ..Reply::default() });
        let error = fetched(&server, folder.path(), "11ad3fa6", &unwatched()).unwrap_err();
        assert!(format!("{error:#}").contains("expected 11ad3fa6"), "{error:#}");
        assert!(names(folder.path()).is_empty());
        fetched(&server, folder.path(), &sha256(&contents())[..8], &unwatched()).unwrap();
    }

    #[test]
    fn a_cancelled_download_leaves_only_its_beginning_and_is_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let server = FileServer::new(|_, _| Reply { status: 200, body: contents(), ..Reply::default() });
        let cancelling: Watcher = Arc::new(|transfer| match transfer.done {
            0 => Ok(()),
            _ => bail!("cancelled"),
        });
        let slow: Watcher = Arc::new(move |transfer| {
            std::thread::sleep(WATCHED);
            cancelling(transfer)
        });
        let error = fetched(&server, folder.path(), "", &slow).unwrap_err();
        assert_eq!(error.root_cause().to_string(), "cancelled");
        assert_eq!(names(folder.path()), [format!("net.bin{UNFINISHED}")]);
        server.requests();
        assert!(fetched(&server, folder.path(), &sha256(&contents()), &unwatched()).unwrap() == contents());
        assert!(server.requests()[0].from.is_some());
    }

    #[test]
    fn a_connection_that_always_breaks_off_is_an_error_that_says_how_far_it_came() {
        let folder = tempfile::tempdir().unwrap();
        let count = AtomicUsize::new(0);
        let server = FileServer::new(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
            0 => Reply { status: 200, body: contents(), broken_after: 500_000, ..Reply::default() },
            _ => Reply { status: 503, ..Reply::default() },
        });
        let error = format!("{:#}", fetched(&server, folder.path(), "", &unwatched()).unwrap_err());
        assert!(error.contains("was lost at 488 KiB of 1 MiB"), "{error}");
        assert!(error.contains("503") && error.contains("resume"), "{error}");
    }

    #[test]
    fn of_two_downloads_at_once_the_second_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let server = FileServer::new(|_, _| {
            std::thread::sleep(Duration::from_millis(300));
            Reply { status: 200, body: contents(), ..Reply::default() }
        });
        std::thread::scope(|scope| {
            let both = [0, 1].map(|_| {
                scope.spawn(|| {
                    let to = folder.path().join("net.bin");
                    let url = format!("{}/net.bin", server.address());
                    let remote = Remote { url: &url, token: None, name: "net.bin", size: None, sha256: "" };
                    download(&Client::new(Duration::from_secs(2), None)?, &remote, &to, &unwatched())
                })
            });
            both.into_iter().for_each(|one| one.join().unwrap().unwrap());
        });
        assert_eq!(server.requests().len(), 1);
        assert_eq!(names(folder.path()), ["net.bin"]);
    }
}

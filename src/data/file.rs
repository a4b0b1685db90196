//! Reads files of bounded size.

use crate::words;
use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs::{File, FileType, Metadata};
use std::io::Read;
use std::path::Path;

/// Reads a file of at most `limit` bytes.
///
/// Errors under the same conditions as [`open`].
pub fn read_whole(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open(path, limit)?;
    let mut bytes = Vec::with_capacity(file.metadata().map_or(0, |facts| facts.len() as usize));
    file.take(limit + 1).read_to_end(&mut bytes).with_context(|| format!("reading \"{}\"", words::path(path)))?;
    ensure!(bytes.len() as u64 <= limit, too_large(path, limit));
    Ok(bytes)
}

/// Reads a UTF-8 text file of at most `limit` bytes.
///
/// Errors under the same conditions as [`open`], and if the text is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String> {
    let text = String::from_utf8(read_whole(path, limit)?);
    text.map_err(|_| anyhow!("reading \"{}\": the file is not UTF-8 text", words::path(path)))
}

/// SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a file's contents, in hexadecimal. Errors if the file cannot be read or is larger than `limit` bytes.
pub fn sha256_of_file(path: &Path, limit: u64) -> Result<String> {
    let mut hasher = Sha256::new();
    let reading = || format!("reading \"{}\"", words::path(path));
    std::io::copy(&mut open(path, limit)?, &mut hasher).with_context(reading)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Opens a regular file of at most `limit` bytes for reading. Every file specified by the user is opened by this function.
///
/// Errors if the path does not exist; if it is a folder, pipe, socket or device; or if the file is larger than `limit`.
pub fn open(path: &Path, limit: u64) -> Result<File> {
    let opening = || format!("opening \"{}\"", words::path(path));
    let check = |facts: &Metadata| match no_file(facts.file_type()) {
        Some(kind) => bail!("reading \"{}\": it is {kind}", words::path(path)),
        None => Ok(()),
    };
    // Opening a pipe may block forever, so the type is checked first, and again on the open file.
    check(&path.metadata().with_context(opening)?)?;
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits() as i32);
    let file = options.read(true).open(path).with_context(opening)?;
    let facts = file.metadata().with_context(opening)?;
    check(&facts)?;
    ensure!(facts.len() <= limit, too_large(path, limit));
    Ok(file)
}

/// Describes a path that is not a regular file, with advice for the user; `None` for a regular file.
fn no_file(kind: FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        match () {
            () if kind.is_fifo() => return Some("a pipe; save its output to a file first"),
            () if kind.is_socket() => return Some("a socket; save its output to a file first"),
            () if kind.is_char_device() || kind.is_block_device() => return Some("a device; expected a regular file"),
            () => {}
        }
    }
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a folder; expected a file"),
        () => Some("not a regular file"),
    }
}

fn too_large(path: &Path, limit: u64) -> String {
    format!("reading \"{}\": the file is larger than the limit of {}", words::path(path), size_text(limit))
}

/// Formats a number of bytes: `4 GiB`, `12 MiB`, `17 bytes`.
pub fn size_text(bytes: u64) -> String {
    match bytes {
        0..0x400 => format!("{bytes} bytes"),
        0x400..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened_without_blocking() {
        let folder = tempfile::tempdir().unwrap();
        let [pipe, link, socket] = ["pipe", "link", "socket"].map(|name| folder.path().join(name));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let error = |path: &Path| read_whole(path, 9).unwrap_err().to_string();
        assert!(error(&pipe).contains("a pipe; save its output to a file first"));
        assert!(error(&link).contains("a pipe"));
        assert!(error(&socket).contains("a socket"));
        assert!(error(Path::new("/dev/zero")).contains("a device"));
        std::fs::write(folder.path().join("file"), "x").unwrap();
        let alias = folder.path().join("alias");
        std::os::unix::fs::symlink(folder.path().join("file"), &alias).unwrap();
        assert_eq!(read_text(&alias, 9).unwrap(), "x");
    }

    #[test]
    fn folders_missing_files_and_files_beyond_the_limit_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        std::fs::write(&path, b"123456").unwrap();
        assert!(read_whole(&path, 5).unwrap_err().to_string().contains("5 bytes"));
        assert!(read_whole(folder.path(), 5).unwrap_err().to_string().contains("folder"));
        assert!(read_whole(&folder.path().join("b"), 5).unwrap_err().to_string().contains("opening"));
    }
}

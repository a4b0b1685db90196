//! Files read and written whole.

use crate::words;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// Writes a file whole or not at all: into a temporary file beside it, which then takes its name.
///
/// What was there before stays when writing fails, as on a full disk.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    try_write(path, bytes).with_context(|| format!("writing \"{}\"", words::path(&path)))
}

/// All bytes of a file of at most `limit` bytes.
///
/// A directory, a missing file and a file beyond the limit are errors that say so.
pub fn read_whole(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open(path, limit)?;
    let mut bytes = Vec::with_capacity(file.metadata().map_or(0, |facts| facts.len() as usize));
    file.take(limit + 1).read_to_end(&mut bytes).with_context(|| format!("reading \"{}\"", words::path(&path)))?;
    ensure!(bytes.len() as u64 <= limit, too_large(path, limit));
    Ok(bytes)
}

/// A file of at most `limit` bytes, to read; the same errors.
pub fn open(path: &Path, limit: u64) -> Result<File> {
    let name = words::path(&path);
    let file = File::open(path).with_context(|| format!("opening \"{name}\""))?;
    let facts = file.metadata().with_context(|| format!("opening \"{name}\""))?;
    if facts.is_dir() {
        bail!("reading \"{name}\": it is a folder, a file is wanted here");
    }
    ensure!(facts.len() <= limit, too_large(path, limit));
    Ok(file)
}

fn too_large(path: &Path, limit: u64) -> String {
    format!("reading \"{}\": more than {} are not read here", words::path(&path), size_text(limit))
}

/// A number of bytes as people write it: `4 GiB`, `12 MiB`, `17 bytes`.
pub fn size_text(bytes: u64) -> String {
    match bytes {
        0..0x400 => format!("{bytes} bytes"),
        0x400..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

fn try_write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".gradscope-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"newer").unwrap();
        assert_eq!(read_whole(&path, 5).unwrap(), b"newer");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error_with_its_path() {
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
    fn folders_missing_files_and_files_beyond_the_limit_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        std::fs::write(&path, b"123456").unwrap();
        assert!(read_whole(&path, 5).unwrap_err().to_string().contains("5 bytes"));
        assert!(read_whole(folder.path(), 5).unwrap_err().to_string().contains("folder"));
        assert!(read_whole(&folder.path().join("b"), 5).unwrap_err().to_string().contains("opening"));
    }
}

//! A repository of the Hugging Face hub in the cache: `refs` holds the commits of revisions, `snapshots` the files of each commit, as
//! links to `blobs`.

use super::name::is_part;
use crate::data::{create_folder, read_text, write_whole};
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Weight files, in order of preference.
pub const WEIGHTS: [&str; 4] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];
/// Suffix of the names of index files of sharded weights.
const INDEX: &str = ".index.json";
/// Maximum size of an index or reference in bytes.
const TEXT_BYTES: u64 = 64 << 20;

/// The folder of a repository in the cache, which may not exist.
pub struct Repository(PathBuf);

impl Repository {
    /// The folder of the repository `OWNER/NAME`.
    pub fn new(cache: &Path, name: &str) -> Self {
        Self(cache.join(format!("models--{}", name.replace('/', "--"))))
    }

    /// The path of the folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The commit that a revision referred to when it was last downloaded.
    pub fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.into());
        }
        let text = read_text(&self.0.join("refs").join(revision), TEXT_BYTES).ok()?;
        Some(text.trim().to_string()).filter(|commit| is_commit(commit))
    }

    /// Records the commit that a revision refers to.
    pub fn remember(&self, revision: &str, commit: &str) -> Result<()> {
        if is_commit(revision) || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let file = self.0.join("refs").join(revision);
        create_folder(file.parent().unwrap_or(&self.0))?;
        write_whole(&file, commit.as_bytes())
    }

    /// The path of a file of a commit.
    pub fn file(&self, commit: &str, name: &str) -> PathBuf {
        self.0.join("snapshots").join(commit).join(name)
    }

    /// The path of the blob with this hash.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.0.join("blobs").join(etag)
    }

    /// Whether a commit is known not to have a file.
    pub fn lacks(&self, commit: &str, name: &str) -> bool {
        self.0.join(".no_exist").join(commit).join(name).exists()
    }

    /// Records that a commit does not have a file.
    pub fn remember_lack(&self, commit: &str, name: &str) -> Result<()> {
        let file = self.0.join(".no_exist").join(commit).join(name);
        create_folder(file.parent().unwrap_or(&self.0))?;
        write_whole(&file, b"")
    }

    /// The weights of a commit, if they are complete: `file` if given, else the first of [`WEIGHTS`].
    pub fn weights(&self, commit: &str, file: Option<&str>) -> Option<PathBuf> {
        let complete = |name: &&str| {
            let path = self.file(commit, name);
            path.is_file() && shards(&path).is_ok_and(|shards| shards.iter().all(|s| path.with_file_name(s).is_file()))
        };
        let name = match file {
            Some(file) => Some(file).filter(complete),
            None => WEIGHTS.into_iter().find(complete),
        };
        name.map(|name| self.file(commit, name))
    }

    /// Links a file of a commit to the blob with this hash, or moves the blob where links are not possible.
    pub fn link(&self, etag: &str, commit: &str, name: &str) -> Result<PathBuf> {
        let (blob, file) = (self.blob(etag), self.file(commit, name));
        create_folder(file.parent().unwrap_or(&self.0))?;
        // Another process may have linked the file in the meantime.
        if file.canonicalize().ok().is_some_and(|linked| blob.canonicalize().is_ok_and(|blob| blob == linked)) {
            return Ok(file);
        }
        if file.symlink_metadata().is_ok() {
            std::fs::remove_file(&file).with_context(|| format!("replacing \"{}\"", words::path(&file)))?;
        }
        let linked = symlink(&blob, &file, name);
        linked
            .or_else(|_| std::fs::rename(&blob, &file))
            .with_context(|| format!("writing \"{}\"", words::path(&file)))?;
        Ok(file)
    }
}

/// The names of the shards listed in an index, which are in the same folder; empty if `path` is not an index. Errors if the index is
/// damaged.
pub fn shards(path: &Path) -> Result<BTreeSet<String>> {
    if !path.to_string_lossy().ends_with(INDEX) {
        return Ok(BTreeSet::new());
    }
    let reading = || format!("reading the index \"{}\"", words::path(path));
    let text = read_text(path, TEXT_BYTES)?;
    let index: Value = decoding("JSON", || serde_json::from_str(&text)).with_context(reading)?;
    let map = index["weight_map"].as_object().context("the index has no \"weight_map\"").with_context(reading)?;
    let name = |value: &Value| value.as_str().filter(is_part).map(String::from);
    map.values()
        .map(name)
        .collect::<Option<_>>()
        .context("the index lists files outside its folder")
        .with_context(reading)
}

/// Whether a revision is a full commit hash.
pub fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Links `file`, which is called `name` within its snapshot, to `blob` by a relative path, so that the cache can be moved.
#[cfg(unix)]
fn symlink(blob: &Path, file: &Path, name: &str) -> std::io::Result<()> {
    let up = "../".repeat(name.matches('/').count() + 2);
    let hash = blob.file_name().unwrap_or_default();
    std::os::unix::fs::symlink(Path::new(&up).join("blobs").join(hash), file)
}

/// Always errors: on systems other than Unix, creating links requires special privileges.
#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path, _: &str) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn weights_are_found_by_revision_and_safetensors_are_preferred() {
        let cache = tempfile::tempdir().unwrap();
        let repository = Repository::new(cache.path(), "timm/net.a1");
        let write = |name: &str, text: &str| {
            let file = cache.path().join("models--timm--net.a1").join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        assert_eq!(repository.commit("main"), None);
        repository.remember("main", COMMIT).unwrap();
        repository.remember("refs/pr/1", COMMIT).unwrap();
        assert_eq!(repository.commit("main").as_deref(), Some(COMMIT));
        assert_eq!(repository.commit("refs/pr/1").as_deref(), Some(COMMIT));
        assert_eq!(repository.commit(COMMIT).as_deref(), Some(COMMIT));
        assert_eq!(repository.weights(COMMIT, None), None);
        let snapshot = format!("snapshots/{COMMIT}");
        let name = |found: Option<PathBuf>| found.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        write(&format!("{snapshot}/pytorch_model.bin"), "");
        assert_eq!(name(repository.weights(COMMIT, None)).as_deref(), Some("pytorch_model.bin"));
        let index =
            r#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
        write(&format!("{snapshot}/model.safetensors.index.json"), index);
        write(&format!("{snapshot}/model-00001-of-00002.safetensors"), "");
        assert_eq!(name(repository.weights(COMMIT, None)).as_deref(), Some("pytorch_model.bin"), "a shard is missing");
        write(&format!("{snapshot}/model-00002-of-00002.safetensors"), "");
        assert_eq!(name(repository.weights(COMMIT, None)).as_deref(), Some("model.safetensors.index.json"));
        write(&format!("{snapshot}/model.safetensors"), "");
        assert_eq!(name(repository.weights(COMMIT, None)).as_deref(), Some("model.safetensors"));
        assert_eq!(repository.weights(COMMIT, Some("onnx/model.onnx")), None);
        write("refs/broken", "../../etc");
        assert_eq!(repository.commit("broken"), None);
    }

    #[test]
    fn an_index_with_shards_elsewhere_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("model.safetensors.index.json");
        for (text, said) in [
            ("{", "reading the index"),
            ("{}", "no \"weight_map\""),
            (r#"{"weight_map": {"a": "../x.safetensors"}}"#, "outside its folder"),
            (r#"{"weight_map": {"a": 1}}"#, "outside its folder"),
        ] {
            std::fs::write(&index, text).unwrap();
            let error = format!("{:#}", shards(&index).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
        assert!(shards(&folder.path().join("model.safetensors")).unwrap().is_empty());
    }

    #[test]
    #[cfg(unix)]
    fn files_of_a_commit_are_links_that_survive_moving_the_cache() {
        let cache = tempfile::tempdir().unwrap();
        let repository = Repository::new(cache.path(), "a/b");
        std::fs::create_dir_all(repository.folder().join("blobs")).unwrap();
        std::fs::write(repository.blob("e1"), "x").unwrap();
        let file = repository.link("e1", COMMIT, "onnx/model.onnx").unwrap();
        assert_eq!(std::fs::read_link(&file).unwrap(), Path::new("../../../blobs/e1"));
        assert_eq!(std::fs::read(repository.link("e1", COMMIT, "model.onnx").unwrap()).unwrap(), b"x");
        let moved = cache.path().join("moved");
        std::fs::rename(repository.folder(), &moved).unwrap();
        assert_eq!(std::fs::read(moved.join("snapshots").join(COMMIT).join("onnx/model.onnx")).unwrap(), b"x");
    }
}

//! Finds the files of a repository on the Hugging Face hub, in the cache or by downloading them.

use super::access::{Access, Found, Watcher};
use super::download::{Remote, download, failed};
use super::http::Client;
use super::name::{HuggingFaceName, is_part};
use super::reply::{Head, Refusal};
use super::repository::{Repository, WEIGHTS, is_commit, shards};
use super::settings::Settings;
use crate::data::{notes, read_text};
use crate::interrupt::Stopped;
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Card files to find along with the weights.
const CARDS: [&str; 2] = ["config.json", "preprocessor_config.json"];
/// Maximum size of `config.json` in bytes.
const CONFIG_BYTES: u64 = 64 << 20;

/// Finds the weights of a repository and its card files.
///
/// Cached files are used without contacting the hub, even if the revision has changed since they were downloaded.
pub fn find(name: &HuggingFaceName, settings: &Settings, access: &Access) -> Result<Found> {
    let cached = Repository::new(&settings.cache, &name.repository);
    let commit = cached.commit(&name.revision);
    let found = commit.and_then(|commit| Some((cached.weights(&commit, name.file.as_deref())?, commit)));
    let online = online(name, settings, access);
    let hub = || online.as_ref().map_err(|why| anyhow!("{name} is not in the cache: {why}"));
    let (file, commit) = match found {
        Some((file, commit)) => {
            if let Ok(hub) = &online
                && let Err(why) = hub.cards(&commit)
            {
                ensure!(!why.is::<Stopped>(), why);
                notes::add(format!(
                    "{name}: cannot look for card files on the hub; HF_HUB_OFFLINE=1 skips this step ({why:#})"
                ));
            }
            (file, commit)
        }
        None => {
            let hub = hub()?;
            let (file, commit) = hub.weights()?;
            hub.cards(&commit)?;
            (file, commit)
        }
    };
    let title = name.repository.split('/').next_back().unwrap_or_default().into();
    Ok(Found { file, name: HuggingFaceName { revision: commit, ..name.clone() }.to_string(), title })
}

/// The repository on the hub; if downloads are not possible, the reason and a suggestion.
fn online<'a>(name: &'a HuggingFaceName, settings: &'a Settings, access: &'a Access) -> Result<Online<'a>, String> {
    let by_hand = by_hand(name, settings);
    match (access, settings.offline) {
        (Access::CacheOnly, _) => Err(format!(
            "scripts cannot download files; run \"gradscope card {name}\" once to download it, or {by_hand}"
        )),
        (Access::Download(_), Some(variable)) => Err(format!("{variable} forbids downloads; {by_hand}")),
        (Access::Download(watch), None) => {
            let client = Client::new(settings.timeout, settings.certificates.as_deref());
            let client = client.map_err(|why| format!("{why:#}"))?;
            Ok(Online { name, settings, repository: Repository::new(&settings.cache, &name.repository), client, watch })
        }
    }
}

/// Instructions for copying the files by hand if there is no network.
fn by_hand(name: &HuggingFaceName, settings: &Settings) -> String {
    let HuggingFaceName { repository, file, revision } = name;
    let file = file.as_deref().unwrap_or(WEIGHTS[0]);
    let last = file.rsplit('/').next().unwrap_or(file);
    let folder = Repository::new(&settings.cache, repository);
    format!(
        "on a machine with network access, save {file} and config.json from {}/{repository}/tree/{revision} to one folder, copy the \
         folder here and open it with -m FOLDER/{last}, or copy the repository's cache folder to \"{}\"",
        settings.endpoint,
        words::path(folder.folder())
    )
}

/// A repository on the hub, with a client to access it.
struct Online<'a> {
    name: &'a HuggingFaceName,
    settings: &'a Settings,
    repository: Repository,
    client: Client,
    watch: &'a Watcher,
}

impl Online<'_> {
    /// Downloads the weights; returns their path and commit.
    fn weights(&self) -> Result<(PathBuf, String)> {
        let own;
        let candidates = match self.name.file.as_deref() {
            Some(file) => {
                own = [file];
                &own[..]
            }
            None => &WEIGHTS[..],
        };
        let known = self.repository.commit(&self.name.revision);
        let revision = known.as_deref().unwrap_or(&self.name.revision);
        for name in candidates {
            let Some(head) = self.head(revision, name)? else { continue };
            let commit = head.commit.clone().filter(|commit| is_commit(commit));
            let commit = commit.with_context(|| self.foreign("X-Repo-Commit"))?;
            let file = self.get(&commit, name, head)?;
            let shards = shards(&file)?;
            for shard in shards {
                let shard = Path::new(name).with_file_name(&shard).to_string_lossy().replace('\\', "/");
                let head = self.head(&commit, &shard)?;
                let head = head.with_context(|| {
                    format!("{} lists {shard}, which is missing from the repository", words::path(&file))
                })?;
                self.get(&commit, &shard, head)?;
            }
            self.repository.remember(&self.name.revision, &commit)?;
            return Ok((file, commit));
        }
        bail!(
            "the repository {}/{} has none of {} at revision {}; for another file, give its path: -m hf:{}/FILE",
            self.settings.endpoint,
            self.name.repository,
            candidates.join(", "),
            self.name.revision,
            self.name.repository
        )
    }

    /// Downloads the card files that are neither in the cache nor known to be missing from the repository.
    fn cards(&self, commit: &str) -> Result<()> {
        // Card files are in the root of the repository and apply only to weights in the same folder.
        if self.name.file.as_ref().is_some_and(|file| file.contains('/')) {
            return Ok(());
        }
        for name in CARDS {
            let here = self.repository.file(commit, name);
            if here.is_file() || self.repository.lacks(commit, name) || (name != CARDS[0] && self.is_of_timm(commit)) {
                continue;
            }
            match self.head(commit, name)? {
                Some(head) => drop(self.get(commit, name, head)?),
                None => self.repository.remember_lack(commit, name)?,
            }
        }
        Ok(())
    }

    /// Whether a commit has timm's `config.json`, which comes without other card files.
    fn is_of_timm(&self, commit: &str) -> bool {
        let text = read_text(&self.repository.file(commit, CARDS[0]), CONFIG_BYTES).unwrap_or_default();
        decoding("JSON", || serde_json::from_str::<Value>(&text))
            .is_ok_and(|config| config.get("pretrained_cfg").is_some())
    }

    /// The headers of a file; `None` if the repository does not have it.
    fn head(&self, revision: &str, file: &str) -> Result<Option<Head>> {
        match self.client.head(&self.url(revision, file), self.settings.token.as_deref()) {
            Ok(head) => Ok(Some(head)),
            Err(Refusal::Status { status: 404, code }) if code.is_empty() || code == "EntryNotFound" => Ok(None),
            Err(refusal) => Err(self.refused(refusal.into())),
        }
    }

    /// Downloads a file into the cache.
    fn get(&self, commit: &str, file: &str, head: Head) -> Result<PathBuf> {
        let etag = head.etag.filter(|etag| is_part(&etag.as_str())).with_context(|| self.foreign("ETag"))?;
        let sha256 = if etag.len() == 64 && etag.bytes().all(|byte| byte.is_ascii_hexdigit()) { &etag } else { "" };
        let blob = self.repository.blob(&etag);
        if !blob.is_file() {
            let url = self.url(commit, file);
            let token = self.settings.token.as_deref();
            let remote = Remote { url: &url, token, name: file, size: head.size, sha256 };
            download(&self.client, &remote, &blob, self.watch).map_err(|error| self.refused(error))?;
        }
        self.repository.link(&etag, commit, file)
    }

    fn url(&self, revision: &str, file: &str) -> String {
        let (endpoint, repository) = (&self.settings.endpoint, &self.name.repository);
        format!("{endpoint}/{repository}/resolve/{}/{file}", revision.replace('/', "%2F"))
    }

    /// The error for a server that does not respond like the hub.
    fn foreign(&self, header: &str) -> String {
        format!(
            "{} does not respond like the Hugging Face hub (no {header}); is HF_ENDPOINT correct?",
            self.settings.endpoint
        )
    }

    /// Explains what a refusal means and what to check; returns other errors unchanged.
    fn refused(&self, error: Error) -> Error {
        let (endpoint, name) = (&self.settings.endpoint, self.name);
        if let Some(error) = failed(&error, endpoint, &by_hand(name, self.settings)) {
            return error;
        }
        let Some(Refusal::Status { status, code }) = error.downcast_ref::<Refusal>() else { return error };
        let repository = &name.repository;
        let token = match &self.settings.token {
            None => "set HF_TOKEN to a token that has access",
            Some(_) => "use a token that has access; the token from HF_TOKEN or \"hf auth login\" does not",
        };
        match (status, &**code) {
            (_, "GatedRepo") | (403, _) => anyhow!(
                "access to {endpoint}/{repository} is restricted ({status}): request access on that page, then {token}"
            ),
            (_, "RevisionNotFound") => {
                anyhow!("{endpoint}/{repository} has no revision \"{}\"; omit @{0} for the latest files", name.revision)
            }
            (401, _) => anyhow!(
                "no access to {endpoint}/{repository} (401): there is no such repository, or it is private; check the owner, name and tag, \
                 or {token}"
            ),
            (404, _) => anyhow!(
                "there is no repository {endpoint}/{repository} (404); check the owner, name and tag, or, if it is private, {token}"
            ),
            _ => anyhow!("{endpoint}/{repository} refused the request with status {status}"),
        }
    }
}

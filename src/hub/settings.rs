//! Locations of caches and hubs, read from the environment variables that the Python libraries also use.

use crate::data::read_text;
use anyhow::{Result, ensure};
use directories::BaseDirs;
use std::path::PathBuf;
use std::time::Duration;

/// URL of the Hugging Face hub; `HF_ENDPOINT` overrides it.
const HUGGING_FACE: &str = "https://huggingface.co";
/// URL of torchvision's weights; `GRADSCOPE_TORCHVISION_URL` overrides it.
const TORCHVISION: &str = "https://download.pytorch.org/models";
/// Maximum size of the token file in bytes.
const TOKEN_BYTES: u64 = 4096;

/// Locations of caches and hubs, and the credentials and limits for access.
pub struct Settings {
    /// URL of the Hugging Face hub, without a trailing slash.
    pub endpoint: String,
    /// The hub's cache.
    pub cache: PathBuf,
    /// Token for private and gated repositories.
    pub token: Option<String>,
    /// The name of the environment variable that forbids downloads; `None` if downloads are allowed.
    pub offline: Option<&'static str>,
    /// The folder of the weights that torchvision downloads.
    pub checkpoints: PathBuf,
    /// URL of torchvision's weights, without a trailing slash.
    pub torchvision: String,
    /// Timeout for connecting and for each read.
    pub timeout: Duration,
    /// File of the certificate authorities to trust instead of the built-in ones.
    pub certificates: Option<PathBuf>,
}

impl Settings {
    /// Reads the environment of this process.
    pub fn of_process() -> Result<Self> {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| variable(name).map(|text| text.trim().to_string()).filter(|text| !text.is_empty());
        let home = set("HOME").map(PathBuf::from).or_else(|| BaseDirs::new().map(|dirs| dirs.home_dir().into()));
        let home = home.unwrap_or_default();
        let folder = |name: &str| {
            set(name).map(|path| match path.strip_prefix("~/") {
                Some(rest) => home.join(rest),
                None => path.into(),
            })
        };
        let caches = folder("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache"));
        let hugging_face = folder("HF_HOME").unwrap_or_else(|| caches.join("huggingface"));
        let cache = folder("HF_HUB_CACHE").or_else(|| folder("HUGGINGFACE_HUB_CACHE"));
        let torch = folder("TORCH_HOME").unwrap_or_else(|| caches.join("torch"));
        let on =
            |name: &&str| set(name).is_some_and(|text| ["1", "ON", "YES", "TRUE"].contains(&&*text.to_uppercase()));
        let token = set("HF_TOKEN").or_else(|| set("HUGGING_FACE_HUB_TOKEN")).or_else(|| {
            let file = folder("HF_TOKEN_PATH").unwrap_or_else(|| hugging_face.join("token"));
            let text = read_text(&file, TOKEN_BYTES).ok()?;
            Some(text.trim().to_string()).filter(|text| !text.is_empty())
        });
        ensure!(
            token.iter().flat_map(|token| token.bytes()).all(|byte| byte.is_ascii_graphic()),
            "the token for the Hugging Face hub, in HF_TOKEN or the file \"token\", contains invalid characters; set HF_TOKEN to the \
             token alone"
        );
        let seconds =
            set("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|text| text.parse().ok()).filter(|s| (1..=3600).contains(s));
        Ok(Self {
            endpoint: address("HF_ENDPOINT", set("HF_ENDPOINT"), HUGGING_FACE)?,
            cache: cache.unwrap_or_else(|| hugging_face.join("hub")),
            token: token.filter(|_| !on(&"HF_HUB_DISABLE_IMPLICIT_TOKEN")),
            offline: ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(on),
            checkpoints: torch.join("hub").join("checkpoints"),
            torchvision: address("GRADSCOPE_TORCHVISION_URL", set("GRADSCOPE_TORCHVISION_URL"), TORCHVISION)?,
            timeout: Duration::from_secs(seconds.unwrap_or(10)),
            certificates: folder("SSL_CERT_FILE").or_else(|| folder("REQUESTS_CA_BUNDLE")),
        })
    }
}

fn address(name: &str, given: Option<String>, default: &str) -> Result<String> {
    let address = given.unwrap_or_else(|| default.into());
    let plain = address.bytes().all(|byte| byte.is_ascii_graphic());
    let known = address.starts_with("https://") || address.starts_with("http://");
    ensure!(plain && known, "{name} is not a URL; expected a URL such as {default}");
    Ok(address.trim_end_matches('/').into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings> {
        let find = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
        Settings::of(|name| find(name).or((name == "HOME").then(|| "/nowhere".into())))
    }

    #[test]
    fn caches_are_where_python_puts_them() {
        let caches = |pairs: &[(&str, &str)]| {
            let found = settings(pairs).unwrap();
            (found.cache, found.checkpoints)
        };
        let expected = |a: &str, b: &str| (Path::new(a).to_path_buf(), Path::new(b).to_path_buf());
        let usual = expected("/nowhere/.cache/huggingface/hub", "/nowhere/.cache/torch/hub/checkpoints");
        assert_eq!(caches(&[]), usual);
        assert_eq!(caches(&[("HF_HOME", ""), ("TORCH_HOME", " ")]), usual);
        let xdg = expected("/c/huggingface/hub", "/c/torch/hub/checkpoints");
        assert_eq!(caches(&[("XDG_CACHE_HOME", "/c")]), xdg);
        let homes = [("XDG_CACHE_HOME", "/c"), ("HF_HOME", "~/hf"), ("TORCH_HOME", "/t")];
        assert_eq!(caches(&homes), expected("/nowhere/hf/hub", "/t/hub/checkpoints"));
        let direct =
            [("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/x"), ("HUGGINGFACE_HUB_CACHE", "/y"), ("TORCH_HOME", "/t")];
        assert_eq!(caches(&direct), expected("/x", "/t/hub/checkpoints"));
    }

    #[test]
    fn addresses_tokens_and_offline_modes_are_read() {
        let found =
            settings(&[("HF_ENDPOINT", "http://127.0.0.1:9/"), ("HF_TOKEN", " hf_x\n"), ("HF_HUB_OFFLINE", "yes")]);
        let found = found.unwrap();
        assert_eq!((&*found.endpoint, found.token.as_deref()), ("http://127.0.0.1:9", Some("hf_x")));
        assert_eq!((found.offline, &*found.torchvision), (Some("HF_HUB_OFFLINE"), TORCHVISION));
        assert_eq!(settings(&[("HF_HUB_OFFLINE", "0")]).unwrap().offline, None);
        let hidden = settings(&[("HF_TOKEN", "hf_x"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).unwrap();
        assert_eq!(hidden.token, None);
        let said = |pairs| settings(pairs).err().unwrap().to_string();
        assert!(
            said(&[("HF_ENDPOINT", "huggingface.co")])
                .contains("HF_ENDPOINT is not a URL; expected a URL such as https://")
        );
        assert!(said(&[("GRADSCOPE_TORCHVISION_URL", "file:///x")]).contains("GRADSCOPE_TORCHVISION_URL"));
        let secret = said(&[("HF_TOKEN", "hf_secret\u{1b}")]);
        assert!(secret.contains("HF_TOKEN") && !secret.contains("secret"), "{secret}");
    }

    #[test]
    fn the_token_is_also_read_from_the_file_that_hf_login_writes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let home = folder.path().to_str().unwrap();
        assert_eq!(settings(&[("HF_HOME", home)]).unwrap().token.as_deref(), Some("hf_file"));
        assert_eq!(settings(&[("HF_HOME", home), ("HF_TOKEN", "hf_x")]).unwrap().token.as_deref(), Some("hf_x"));
    }
}

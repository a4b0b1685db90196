//! Networks named on a hub, tested against a server that speaks the Hugging Face hub's protocol.

use crate::common::file_server::{FileServer, Reply, Request};
use crate::common::shared::shared_file;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const CONFIG: &str = r#"{"architecture": "shapes", "pretrained_cfg": {"mean": [0.4, 0.5, 0.6]}}"#;

/// The files of a repository.
type Files = BTreeMap<String, Vec<u8>>;

/// The weights of the built-in network.
fn weights() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/small/shapes.safetensors")).unwrap()
}

fn files(files: &[(&str, &[u8])]) -> Files {
    files.iter().map(|(name, bytes)| (name.to_string(), bytes.to_vec())).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hub with the repository `timm/shapes.a1`, whose large files are on another host, and whose small files are at another path.
fn hub(files: Files) -> FileServer {
    hub_with(files, |_, reply| reply)
}

/// Like [`hub`], with responses modified by a function.
fn hub_with(files: Files, change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static) -> FileServer {
    FileServer::new(move |request, port| change(request, answer(&files, request, port)))
}

fn answer(files: &Files, request: &Request, port: u16) -> Reply {
    let refused =
        |status, code: &str| Reply { status, headers: vec![("X-Error-Code".into(), code.into())], ..Reply::default() };
    if let Some(hash) = request.path.strip_prefix("/cdn/") {
        let body = files.values().find(|bytes| sha256(bytes) == hash).unwrap().clone();
        return Reply { status: 200, body, ..Reply::default() };
    }
    if let Some(file) = request.path.strip_prefix("/api/resolve-cache/") {
        return Reply { status: 200, body: files[file].clone(), ..Reply::default() };
    }
    let Some(rest) = request.path.strip_prefix("/timm/shapes.a1/resolve/") else {
        return refused(404, "RepoNotFound");
    };
    let (revision, file) = rest.split_once('/').unwrap();
    if !["main", "refs%2Fpr%2F1", COMMIT].contains(&revision) {
        return refused(404, "RevisionNotFound");
    }
    let commit = ("X-Repo-Commit".to_string(), COMMIT.to_string());
    match files.get(file) {
        None => refused(404, "EntryNotFound"),
        Some(bytes) if bytes.len() > 1000 => {
            let hash = sha256(bytes);
            let headers = [
                ("X-Linked-Etag".into(), format!("\"{hash}\"")),
                ("X-Linked-Size".into(), bytes.len().to_string()),
                ("Location".into(), format!("http://localhost:{port}/cdn/{hash}")),
            ];
            Reply { status: 302, headers: headers.into_iter().chain([commit]).collect(), ..Reply::default() }
        }
        Some(bytes) => {
            let etag = ("X-Linked-Etag".to_string(), format!("\"{}\"", &sha256(bytes)[..40]));
            let location = ("Location".into(), format!("/api/resolve-cache/{file}"));
            Reply { status: 307, headers: vec![commit, etag, location], ..Reply::default() }
        }
    }
}

/// A user's home folder.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn command(&self, endpoint: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
        command.args(args).current_dir(self.0.path()).env("HOME", self.0.path()).env("XDG_CONFIG_HOME", self.0.path());
        for (name, _) in std::env::vars().filter(|(name, _)| {
            ["HF_", "HUGGING", "TORCH_", "TRANSFORMERS_", "XDG_CACHE"].iter().any(|own| name.starts_with(own))
        }) {
            command.env_remove(name);
        }
        command.env("HF_ENDPOINT", endpoint).env("GRADSCOPE_TORCHVISION_URL", endpoint).env("NO_PROXY", "*");
        command.env_remove("SSL_CERT_FILE").env_remove("REQUESTS_CA_BUNDLE");
        command.env("HF_HUB_DOWNLOAD_TIMEOUT", "2").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, endpoint: &str, args: &[&str]) -> Output {
        self.command(endpoint, args).output().unwrap()
    }

    /// The output of a run that succeeds.
    fn printed(&self, endpoint: &str, args: &[&str]) -> String {
        let out = self.run(endpoint, args);
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
        text(&out.stdout)
    }

    /// The message of a run that fails with this exit code.
    fn wrong(&self, endpoint: &str, args: &[&str], code: i32) -> String {
        failed(&self.run(endpoint, args), code)
    }

    fn repository(&self) -> PathBuf {
        self.0.path().join(".cache/huggingface/hub/models--timm--shapes.a1")
    }
}

fn failed(out: &Output, code: i32) -> String {
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{said}");
    assert!(said.starts_with("error: ") && !said.contains("panicked"), "{said}");
    said
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
}

/// The method and path of each request.
fn asked(server: &FileServer) -> Vec<String> {
    server.requests().into_iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

/// An address at which no server listens.
const NOBODY: &str = "http://127.0.0.1:9";

#[test]
fn a_network_is_downloaded_once_into_the_hubs_cache_and_then_opened_without_the_hub() {
    let home = Home::new();
    let server = hub(files(&[("model.safetensors", &weights()), ("config.json", CONFIG.as_bytes())]));
    let run = ["run", "saliency", "-m", "hf:timm/shapes.a1", "--json"];
    let out = home.command(&server.address(), &run).env("HF_TOKEN", "hf_secret").output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let result: Value = serde_json::from_slice(&out.stdout).unwrap();
    let pinned = format!("hf:timm/shapes.a1@{COMMIT}");
    assert_eq!((&result["weights"]["hub"], &result["model"]), (&pinned.clone().into(), &"shapes".into()));
    assert_eq!(result["card"]["sources"]["mean"], "config.json: pretrained_cfg.mean");

    // The token goes to the hub, but not to the host with the large files.
    let hash = sha256(&weights());
    let (hubs, cdn): (Vec<_>, Vec<_>) =
        server.requests().into_iter().partition(|request| !request.path.starts_with("/cdn/"));
    assert!(hubs.iter().all(|request| request.authorization.as_deref() == Some("Bearer hf_secret")), "{hubs:?}");
    let cdn: Vec<_> = cdn.into_iter().map(|request| (request.method, request.path, request.authorization)).collect();
    assert_eq!(cdn, [("GET".to_string(), format!("/cdn/{hash}"), None)]);

    let repository = home.repository();
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), COMMIT);
    let file = repository.join("snapshots").join(COMMIT).join("model.safetensors");
    assert_eq!(fs::read(&file).unwrap(), weights());
    assert_eq!(fs::read_dir(repository.join("blobs")).unwrap().count(), 2);
    #[cfg(unix)]
    assert_eq!(fs::read_link(&file).unwrap(), Path::new("../../blobs").join(&hash));

    for name in ["hf:timm/shapes.a1", "timm:shapes.a1", "timm:shapes", &pinned] {
        let document: Value =
            serde_json::from_str(&home.printed(&server.address(), &["card", name, "--json"])).unwrap();
        assert_eq!(document["hub"], pinned);
        assert_eq!(asked(&server), [] as [&str; 0], "{name}");
    }
    drop(server);
    assert_says(&home.printed(NOBODY, &["card", "-w", "timm:shapes.a1"]), &["0.4, 0.5, 0.6", &pinned]);
    assert_says(&home.printed(NOBODY, &["layers", "-m", "shapes", "-w", "hf:timm/shapes.a1"]), &["conv"]);
    let said = home.wrong(NOBODY, &["card", "hf:timm/shapes.a1", "--write"], 1);
    assert_says(&said, &["cannot save a card in a hub's cache"]);
}

#[test]
fn shards_and_other_weight_files_are_found_in_the_order_of_the_hub() {
    let bytes = weights();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors();
    let shard = |i: usize| format!("x-0000{i}-of-00002.safetensors");
    let half = |i: usize| {
        let part = tensors.iter().enumerate().filter(|(at, _)| at % 2 + 1 == i).map(|(_, tensor)| tensor.clone());
        safetensors::serialize(part, None).unwrap()
    };
    let map: BTreeMap<_, _> = tensors.iter().enumerate().map(|(at, (name, _))| (name, shard(at % 2 + 1))).collect();
    let index = serde_json::json!({ "weight_map": map }).to_string();
    let server = hub(files(&[
        ("model.safetensors.index.json", index.as_bytes()),
        (&shard(1), &half(1)),
        (&shard(2), &half(2)),
        ("pytorch_model.bin", b"not this one"),
    ]));
    let home = Home::new();
    assert_says(&home.printed(&server.address(), &["layers", "-m", "hf:timm/shapes.a1@refs/pr/1"]), &["conv"]);
    let got: Vec<_> = asked(&server).into_iter().filter(|request| request.starts_with("HEAD")).collect();
    let got: Vec<_> = got.into_iter().filter(|request| request.contains("/timm/")).collect();
    let heads = [
        "model.safetensors",
        "model.safetensors.index.json",
        &shard(1),
        &shard(2),
        "config.json",
        "preprocessor_config.json",
    ];
    let ends: Vec<_> = got.iter().map(|request| request.rsplit('/').next().unwrap()).collect();
    assert_eq!(ends, heads);
    // The absence of card files in the repository is cached.
    home.printed(&server.address(), &["layers", "-m", "hf:timm/shapes.a1@refs/pr/1"]);
    assert_eq!(asked(&server), [] as [&str; 0]);

    let (home, server) = (Home::new(), hub(files(&[("pytorch_model.bin", &weights())])));
    assert_says(&home.printed(&server.address(), &["layers", "-m", "timm:shapes.a1"]), &["conv"]);
    let server = hub(files(&[("best.safetensors", &weights())]));
    let said = home.wrong(&server.address(), &["layers", "-m", &format!("hf:timm/shapes.a1/other.pth@{COMMIT}")], 1);
    assert_says(&said, &["has none of other.pth"]);
    let home = Home::new();
    let said = home.wrong(&server.address(), &["layers", "-m", "hf:timm/shapes.a1"], 1);
    assert_says(&said, &["none of model.safetensors,", "pytorch_model.bin", "-m hf:timm/shapes.a1/FILE"]);
    assert_says(&home.printed(&server.address(), &["layers", "-m", "hf:timm/shapes.a1/best.safetensors"]), &["conv"]);
}

#[test]
fn refusals_say_what_to_check() {
    let refusing = |status: u16, code: &'static str| {
        hub_with(files(&[]), move |_, _| Reply {
            status,
            headers: vec![("X-Error-Code".into(), code.into())],
            ..Reply::default()
        })
    };
    let said = |server: &FileServer, name: &str, token: &str| {
        let home = Home::new();
        let out = home.command(&server.address(), &["card", name]).env("HF_TOKEN", token).output().unwrap();
        let said = failed(&out, 1);
        assert!(!said.contains("hf_secret") && !said.contains('\x1b'), "{said}");
        said
    };
    let server = hub(files(&[]));
    assert_says(
        &said(&server, "hf:timm/nothing.a1", ""),
        &["no repository", "/timm/nothing.a1 (404)", "check the owner, name and tag"],
    );
    assert_says(&said(&server, "hf:timm/shapes.a1@v2", ""), &["no revision \"v2\"", "omit @v2"]);
    let (private, gated) = (refusing(401, "RepoNotFound"), refusing(403, "GatedRepo"));
    assert_says(&said(&private, "hf:a/b", ""), &["/a/b (401)", "private", "set HF_TOKEN"]);
    assert_says(&said(&private, "hf:a/b", "hf_secret"), &["use a token that has access", "the token from HF_TOKEN"]);
    assert_says(&said(&gated, "hf:a/b", ""), &["/a/b is restricted (403)", "request access", "set HF_TOKEN"]);
    assert_says(
        &said(&refusing(503, ""), "hf:a/b", ""),
        &["status 503", "try again later", "-m FOLDER/model.safetensors"],
    );
    assert_says(&said(&refusing(429, ""), "hf:a/b", ""), &["429", "wait"]);
    assert_says(&said(&refusing(200, ""), "hf:a/b", ""), &["no X-Repo-Commit", "HF_ENDPOINT"]);
    for headers in [[("X-Repo-Commit", "../../x"), ("ETag", "x")], [("X-Repo-Commit", COMMIT), ("ETag", "\"../../x\"")]]
    {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let odd = hub_with(files(&[]), move |_, _| Reply { status: 200, headers: headers.clone(), ..Reply::default() });
        assert_says(&said(&odd, "hf:a/b", ""), &["does not respond like the Hugging Face hub"]);
    }
    let home = Home::new();
    let mut command = home.command(NOBODY, &["card", "hf:a/b"]);
    let out = command.env("SSL_CERT_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).output().unwrap();
    assert_says(&failed(&out, 1), &["README.md", "SSL_CERT_FILE", "no certificate"]);
    let wrong = Home::new().wrong("huggingface.co", &["card", "hf:a/b"], 1);
    assert_says(&wrong, &["HF_ENDPOINT is not a URL; expected a URL such as https://huggingface.co"]);
}

#[test]
fn without_a_network_the_message_says_which_file_to_copy_where() {
    let home = Home::new();
    let cache = home.repository().to_string_lossy().into_owned();
    let parts = ["model.safetensors and config.json", "-m FOLDER/model.safetensors", cache.as_str()];
    assert_says(
        &home.wrong(NOBODY, &["card", "hf:timm/shapes.a1"], 1),
        &[&parts[..], &["cannot reach http://127.0.0.1:9"]].concat(),
    );
    let server = hub(files(&[("model.safetensors", &weights())]));
    let out =
        home.command(&server.address(), &["card", "hf:timm/shapes.a1"]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert_says(&failed(&out, 1), &[&parts[..], &["HF_HUB_OFFLINE forbids downloads"]].concat());
    let torch = home.0.path().join("torch");
    let out = home.command(NOBODY, &["card", "torchvision:resnet50"]).env("TORCH_HOME", &torch).output().unwrap();
    let file = torch.join("hub/checkpoints/resnet50-11ad3fa6.pth");
    assert_says(
        &failed(&out, 1),
        &["http://127.0.0.1:9/resnet50-11ad3fa6.pth", file.to_str().unwrap(), "-m resnet50-11ad3fa6.pth"],
    );
    let out =
        home.command(&server.address(), &["card", "torchvision:resnet50"]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert_says(&failed(&out, 1), &["HF_HUB_OFFLINE forbids downloads"]);
    assert_eq!(asked(&server), [] as [&str; 0]);
}

#[test]
fn weights_in_the_cache_open_if_the_hub_cannot_be_asked_for_card_files() {
    let home = Home::new();
    let snapshot = home.repository().join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(snapshot.join("model.safetensors"), weights()).unwrap();
    fs::create_dir_all(home.repository().join("refs")).unwrap();
    fs::write(home.repository().join("refs/main"), COMMIT).unwrap();
    let out = home.run(NOBODY, &["layers", "-m", "hf:timm/shapes.a1"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_says(&text(&out.stderr), &["cannot look for card files", "HF_HUB_OFFLINE=1"]);
    let out = home.command(NOBODY, &["layers", "-m", "hf:timm/shapes.a1"]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert_eq!((out.status.code(), text(&out.stderr).as_str()), (Some(0), ""));
    let private = hub_with(files(&[]), |_, _| Reply { status: 401, ..Reply::default() });
    let out = home.run(&private.address(), &["layers", "-m", "hf:timm/shapes.a1"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_says(&text(&out.stderr), &["cannot look for card files", "401"]);
}

#[test]
fn names_that_are_not_on_a_hub_are_usage_errors() {
    let home = Home::new();
    for name in ["hf:../../x", "hf:a", "hf:a/b@../c", "timm:a/b", "torchvision:../x", "hf:a/\x1b[31mb"] {
        let said = home.wrong(NOBODY, &["run", "gradcam", "-m", name], 2);
        assert!(
            (said.contains("is not a ") || said.contains("is not the name of")) && !said.contains('\x1b'),
            "{said}"
        );
    }
    assert_says(&home.wrong(NOBODY, &["card", "torchvision:resnet5O"], 1), &["did you mean torchvision:resnet50?"]);
    assert_says(&home.wrong(NOBODY, &["card", "timm:resnet50"], 1), &["timm's default is timm:resnet50.a1_in1k;"]);
    assert_says(&home.wrong(NOBODY, &["card", "timm:resnet5O"], 1), &["add the tag", "did you mean timm:resnet50"]);
    assert_says(&home.wrong(NOBODY, &["card", "hf:a/b", "-w", "x.pth"], 1), &["omit -w"]);
}

#[test]
fn a_name_of_timm_without_a_tag_must_be_unambiguous_in_the_cache() {
    let home = Home::new();
    let server = hub(files(&[("model.safetensors", &weights()), ("config.json", CONFIG.as_bytes())]));
    home.printed(&server.address(), &["layers", "-m", "timm:shapes.a1"]);
    let other = home.repository().with_file_name("models--timm--shapes.b2");
    assert!(Command::new("cp").arg("-r").arg(home.repository()).arg(other).status().unwrap().success());
    let said = home.wrong(&server.address(), &["layers", "-m", "timm:shapes"], 1);
    assert_says(&said, &["timm:shapes.a1, timm:shapes.b2", "add the tag"]);
}

#[test]
fn scripts_open_what_is_in_the_cache_and_download_nothing() {
    let home = Home::new();
    let server = hub(files(&[("model.safetensors", &weights()), ("config.json", CONFIG.as_bytes())]));
    fs::write(home.0.path().join("p.rhai"), "print(model(\"hf:timm/shapes.a1\").layers.len() > 3);").unwrap();
    let said = home.wrong(&server.address(), &["exec", "p.rhai"], 1);
    assert_says(&said, &["scripts cannot download files", "gradscope card hf:timm/shapes.a1"]);
    assert_eq!(asked(&server), [] as [&str; 0]);
    home.printed(&server.address(), &["card", "hf:timm/shapes.a1"]);
    assert_eq!(home.printed(NOBODY, &["exec", "p.rhai"]), "true\n");
}

#[test]
#[cfg(unix)]
fn an_interrupted_download_is_never_opened_and_is_resumed() {
    use rustix::process::{Pid, Signal, kill_process};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};
    let (stalls, all) = (Arc::new(AtomicBool::new(true)), files(&[("model.safetensors", &weights())]));
    let stall = stalls.clone();
    let server = hub_with(all, move |request, reply| {
        let stalls = request.path.starts_with("/cdn/") && stall.load(Ordering::SeqCst);
        Reply { broken_after: if stalls { 20_000 } else { 0 }, stalls, ..reply }
    });
    for command in [&["run", "gradcam", "-m", "timm:shapes.a1"][..], &["card", "timm:shapes.a1"]] {
        let home = Home::new();
        stalls.store(true, Ordering::SeqCst);
        let mut child = home.command(&server.address(), command);
        let child = child.env("HF_HUB_DOWNLOAD_TIMEOUT", "30").spawn().unwrap();
        let blobs = home.repository().join("blobs");
        let part = blobs.join(format!("{}.gradscope.incomplete", sha256(&weights())));
        let end = Instant::now() + Duration::from_secs(60);
        while fs::metadata(&part).map_or(0, |facts| facts.len()) < 20_000 {
            assert!(Instant::now() < end, "nothing arrives");
            std::thread::sleep(Duration::from_millis(20));
        }
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert!(!child.wait_with_output().unwrap().status.success());
        assert!(!home.repository().join("snapshots").exists() && !home.repository().join("refs").exists());
        assert_eq!(fs::metadata(&part).unwrap().len(), 20_000);
        server.requests();
        stalls.store(false, Ordering::SeqCst);
        home.printed(&server.address(), &["card", "timm:shapes.a1"]);
        let resumed = server.requests().into_iter().find(|request| request.path.starts_with("/cdn/")).unwrap();
        assert_eq!(resumed.from, Some(20_000));
        assert_eq!(fs::read_dir(&blobs).unwrap().count(), 1);
    }
}

#[test]
#[cfg(unix)]
fn a_large_download_shows_its_progress_and_the_time_left_on_stderr() {
    use crate::common::pty::terminal;
    use std::io::Read;
    let noise: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let server = hub_with(files(&[("model.safetensors", &noise)]), |request, reply| {
        let broken_after = if request.path.starts_with("/cdn/") { 1_000_000 } else { 0 };
        Reply { broken_after, ..reply }
    });
    let (mut master, slave) = terminal(160, 24);
    let home = Home::new();
    let mut child = home.command(&server.address(), &["card", "timm:shapes.a1"]);
    let status = child.stderr(slave.try_clone().unwrap()).status().unwrap();
    drop((child, slave));
    assert_eq!(status.code(), Some(1));
    let (mut said, mut chunk) = (vec![], [0; 4096]);
    // Reading from a terminal whose other end is closed fails.
    while let Ok(count @ 1..) = master.read(&mut chunk) {
        said.extend(&chunk[..count]);
    }
    let said = text(&said);
    let line = format!("downloading {}/timm/shapes.a1/resolve/{COMMIT}/model.safetensors (2 MiB)", server.address());
    assert_says(&said, &[&line, "model.safetensors", "MiB/2.86 MiB", "left"]);

    let out = Home::new().run(&server.address(), &["card", "timm:shapes.a1"]);
    let said = text(&out.stderr);
    assert!(said.starts_with(&line) && !said.contains('\x1b') && said.lines().count() == 2, "{said}");
}

#[test]
fn torchvisions_weights_are_taken_from_torchs_cache_with_their_card() {
    let Some(squeezenet) = shared_file("models/squeezenet1_0_imagenet.safetensors") else { return };
    let home = Home::new();
    let checkpoints = home.0.path().join("torch/hub/checkpoints");
    fs::create_dir_all(&checkpoints).unwrap();
    fs::copy(squeezenet, checkpoints.join("squeezenet1_0-b66bff10.pth")).unwrap();
    let mut command = home.command(NOBODY, &["card", "torchvision:squeezenet1_0"]);
    let out = command.env("TORCH_HOME", home.0.path().join("torch")).output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let card = [
        "torchvision:squeezenet1_0@IMAGENET1K_V1",
        "shorter side 256",
        "torchvision: IMAGENET1K_V1",
        "tench to toilet tissue",
    ];
    assert_says(&text(&out.stdout), &card);
}

//! Finds torchvision's pretrained classifiers: in torch's cache, else by download.

use super::access::{Access, Found};
use super::download::{Remote, download, failed};
use super::http::Client;
use super::name::TorchvisionName;
use super::reply::Refusal;
use super::settings::Settings;
use crate::data::{Interpolation, notes};
use crate::words;
use anyhow::{Error, Result, anyhow};

/// Written by `scripts/reference/torchvision_weights.py`.
const TABLE: &str = include_str!("torchvision.tsv");

/// Pretrained weights of torchvision, and how pictures are prepared for them.
#[derive(Clone, Debug, PartialEq)]
pub struct TorchvisionWeights {
    /// Name of the network.
    pub network: &'static str,
    /// Name of the weights, such as `IMAGENET1K_V2`.
    pub name: &'static str,
    /// Name of their file, which contains the first digits of its SHA-256.
    pub file: &'static str,
    /// Height and width of the input.
    pub size: usize,
    /// Length of the shorter side before the center crop.
    pub resize: usize,
    /// How pictures are scaled.
    pub interpolation: Interpolation,
    /// Mean for normalization.
    pub mean: Vec<f64>,
    /// Standard deviation for normalization.
    pub std: Vec<f64>,
}

/// All pretrained weights of torchvision's classifiers; the first of each network are its default.
pub fn torchvision_weights() -> impl Iterator<Item = TorchvisionWeights> {
    TABLE.lines().filter_map(row)
}

fn row(line: &'static str) -> Option<TorchvisionWeights> {
    let mut cells = line.split('\t');
    let mut next = || cells.next();
    let numbers = |text: &str| text.split(',').map(|n| n.parse().ok()).collect::<Option<Vec<f64>>>();
    Some(TorchvisionWeights {
        network: next()?,
        name: next()?,
        file: next()?,
        size: next()?.parse().ok()?,
        resize: next()?.parse().ok()?,
        interpolation: next()?.parse().ok()?,
        mean: numbers(next()?)?,
        std: numbers(next()?)?,
    })
}

/// Finds weights: those asked for, or else the default ones if they are in the cache, other ones of the network that are there, or
/// the default ones from torchvision's server.
pub fn find(name: &TorchvisionName, settings: &Settings, access: &Access) -> Result<Found> {
    let known: Vec<_> = torchvision_weights().filter(|weights| weights.network == name.name).collect();
    let wanted = match &name.weights {
        None => known.first(),
        Some(at) => known.iter().find(|weights| weights.name == *at || hash(weights.file) == at),
    };
    let at = |file: &str| match known.iter().find(|weights| weights.file == file) {
        Some(weights) => weights.name.to_string(),
        None => hash(file).to_string(),
    };
    let found = |file: &str| {
        let title = name.name.clone();
        Found { file: settings.checkpoints.join(file), name: format!("torchvision:{title}@{}", at(file)), title }
    };
    if let Some(weights) = wanted.filter(|weights| settings.checkpoints.join(weights.file).is_file()) {
        return Ok(found(weights.file));
    }
    if let Some(file) = cached(name, &known, settings) {
        let found = found(&file);
        if let Some(default) = wanted {
            notes::add(format!(
                "torchvision:{} is {} from the cache, not the default {}, which torchvision:{0}@{2} downloads",
                name.name,
                at(&file),
                default.name
            ));
        }
        return Ok(found);
    }
    let weights = wanted.ok_or_else(|| unknown(name, &known))?;
    fetch(name, weights, settings, access)?;
    Ok(found(weights.file))
}

/// The name of a file in the cache with other weights of the network than the default ones; the last one if there are several.
fn cached(name: &TorchvisionName, known: &[TorchvisionWeights], settings: &Settings) -> Option<String> {
    let fits = |file: &str| {
        let digits = file.strip_prefix(&*name.name).and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".pth"));
        let by_name = digits.is_some_and(|digits| digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match &name.weights {
            None => by_name || known.iter().any(|weights| weights.file == file),
            Some(at) => by_name && hash(file) == at,
        }
    };
    let files = std::fs::read_dir(&settings.checkpoints).into_iter().flatten().flatten();
    let names = files.filter(|file| file.path().is_file()).filter_map(|file| file.file_name().into_string().ok());
    names.filter(|file| fits(file)).max()
}

/// Downloads weights into the cache.
fn fetch(name: &TorchvisionName, weights: &TorchvisionWeights, settings: &Settings, access: &Access) -> Result<()> {
    let (url, file) = (format!("{}/{}", settings.torchvision, weights.file), settings.checkpoints.join(weights.file));
    let by_hand = format!(
        "on a machine with a network, download {url} and copy it to \"{}\", or open it with -m {}",
        words::path(&file),
        weights.file
    );
    let missing = |why: String| anyhow!("torchvision:{} is not in the cache: {why}", name.name);
    let watch = match (access, settings.offline) {
        (Access::CacheOnly, _) => {
            let once = format!("run \"gradscope card torchvision:{}\" once, which does", name.name);
            return Err(missing(format!("scripts download nothing; {once}; or {by_hand}")));
        }
        (Access::Download(_), Some(variable)) => {
            return Err(missing(format!("{variable} forbids downloads; {by_hand}")));
        }
        (Access::Download(watch), None) => watch,
    };
    let remote = Remote { url: &url, token: None, name: weights.file, size: None, sha256: hash(weights.file) };
    let refused =
        |error: Error| match (failed(&error, &settings.torchvision, &by_hand), error.downcast_ref::<Refusal>()) {
            (Some(error), _) => error,
            (None, Some(Refusal::Status { status, .. })) => anyhow!(
                "{url} is refused with status {status}; is GRADSCOPE_TORCHVISION_URL right? Otherwise, {by_hand}"
            ),
            (None, _) => error,
        };
    let client = Client::new(settings.timeout, settings.certificates.as_deref())?;
    download(&client, &remote, &file, watch).map_err(refused)
}

/// The first digits of the SHA-256 of a file, from its name: `11ad3fa6` of `resnet50-11ad3fa6.pth`.
fn hash(file: &str) -> &str {
    let stem = file.strip_suffix(".pth").unwrap_or(file);
    stem.rsplit_once('-').map_or("", |(_, hash)| hash)
}

fn unknown(name: &TorchvisionName, known: &[TorchvisionWeights]) -> Error {
    let TorchvisionName { name, weights } = name;
    let names = || torchvision_weights().map(|weights| weights.network);
    match (weights, known) {
        (Some(at), [_, ..]) => {
            let all: Vec<_> = known.iter().map(|weights| weights.name).collect();
            anyhow!("torchvision's {name} has no weights \"{at}\"; expected {}", all.join(" or "))
        }
        _ => {
            let similar = words::closest(name, names()).map(|near| format!("; did you mean torchvision:{near}?"));
            anyhow!("torchvision has no classifier \"{name}\"{}", similar.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_read_and_every_file_has_a_hash() {
        let all: Vec<_> = torchvision_weights().collect();
        assert_eq!(all.len(), TABLE.lines().count());
        for weights in &all {
            let hash = hash(weights.file);
            assert!((8..=10).contains(&hash.len()) && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{}", weights.file);
            assert!(weights.resize >= weights.size && weights.mean.len() == 3 && weights.std.len() == 3);
        }
        let default = all.iter().find(|weights| weights.network == "resnet50").unwrap();
        assert_eq!((default.name, default.file, default.resize), ("IMAGENET1K_V2", "resnet50-11ad3fa6.pth", 232));
    }
    fn settings(folder: &std::path::Path, server: &str) -> Settings {
        Settings {
            endpoint: String::new(),
            cache: folder.join("hub"),
            token: Some("secret".into()),
            offline: None,
            checkpoints: folder.join("checkpoints"),
            torchvision: server.into(),
            timeout: std::time::Duration::from_secs(2),
            certificates: None,
        }
    }

    fn name(weights: Option<&str>) -> TorchvisionName {
        TorchvisionName { name: "resnet50".into(), weights: weights.map(Into::into) }
    }

    #[test]
    fn weights_in_the_cache_are_used_and_the_default_ones_are_preferred() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), "http://127.0.0.1:9");
        let find = |weights| find(&name(weights), &settings, &Access::CacheOnly).map(|found| found.name);
        std::fs::create_dir_all(&settings.checkpoints).unwrap();
        let add = |file: &str| std::fs::write(settings.checkpoints.join(file), "").unwrap();
        let error = find(None).unwrap_err().to_string();
        assert!(error.contains("resnet50-11ad3fa6.pth") && error.contains("gradscope card"), "{error}");
        for other in
            ["resnet50-11ad3fa6.pth.partial", "resnet50-12.pth", "resnet50.pth", "wide_resnet50_2-95faca4d.pth"]
        {
            add(other);
        }
        assert!(find(None).is_err());
        add("resnet50-0badcafe.pth");
        assert_eq!(find(None).unwrap(), "torchvision:resnet50@0badcafe");
        add("resnet50-0676ba61.pth");
        assert_eq!(find(Some("0676ba61")).unwrap(), "torchvision:resnet50@IMAGENET1K_V1");
        assert_eq!(find(Some("0badcafe")).unwrap(), "torchvision:resnet50@0badcafe");
        assert!(find(Some("IMAGENET1K_V2")).is_err());
        add("resnet50-11ad3fa6.pth");
        assert_eq!(find(None).unwrap(), "torchvision:resnet50@IMAGENET1K_V2");
        assert_eq!(find(Some("IMAGENET1K_V1")).unwrap(), "torchvision:resnet50@IMAGENET1K_V1");
        let error = find(Some("V3")).unwrap_err().to_string();
        assert_eq!(error, "torchvision's resnet50 has no weights \"V3\"; expected IMAGENET1K_V2 or IMAGENET1K_V1");
    }

    #[test]
    #[cfg(feature = "hub")]
    fn a_download_is_checked_against_the_hash_in_the_file_name() {
        use super::super::file_server::{FileServer, Reply};
        let folder = tempfile::tempdir().unwrap();
        let server = FileServer::new(|_, _| Reply { status: 200, body: b"weights".to_vec(), ..Reply::default() });
        let settings = settings(folder.path(), &server.address());
        let of = |file: &'static str| TorchvisionWeights { file, ..torchvision_weights().next().unwrap() };
        let access = Access::Download(std::sync::Arc::new(|_| Ok(())));
        // SHA-256 of "weights".
        let right = of("net-9a129038.pth");
        fetch(&name(None), &right, &settings, &access).unwrap();
        assert_eq!(std::fs::read(settings.checkpoints.join(right.file)).unwrap(), b"weights");
        let request = server.requests().remove(0);
        assert_eq!((&*request.path, request.authorization), ("/net-9a129038.pth", None));
        let error = fetch(&name(None), &of("net-00000000.pth"), &settings, &access).unwrap_err();
        assert!(format!("{error:#}").contains("expected 00000000"), "{error:#}");
        assert_eq!(std::fs::read_dir(&settings.checkpoints).unwrap().count(), 1);
    }
}

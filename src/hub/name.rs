//! The syntax of hub names.

use crate::words;
use anyhow::{Error, Result, bail, ensure};
use std::fmt;
use std::str::FromStr;

/// Maximum length of each part of a name, as on the Hugging Face hub.
const LONGEST: usize = 96;

/// The default revision of a repository.
pub(super) const MAIN: &str = "main";

/// A network on a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubName {
    /// `hf:OWNER/NAME`, also `timm:NAME.TAG` for `hf:timm/NAME.TAG`.
    HuggingFace(HuggingFaceName),
    /// `timm:NAME` without a tag.
    Timm(TimmName),
    /// `torchvision:NAME`.
    Torchvision(TorchvisionName),
}

/// A repository on the Hugging Face hub: `hf:OWNER/NAME@REVISION`, or one file in it: `hf:OWNER/NAME/FILE@REVISION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HuggingFaceName {
    /// The owner and name of the repository, separated by a slash.
    pub repository: String,
    /// The path of a file in the repository; `None` selects the repository's weights.
    pub file: Option<String>,
    /// A branch, tag or commit.
    pub revision: String,
}

/// A timm network without the tag of its weights: `timm:resnet50`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimmName {
    /// The name of the architecture.
    pub name: String,
    /// A branch, tag or commit.
    pub revision: String,
}

/// A torchvision classifier: `torchvision:resnet50`, or `torchvision:resnet50@IMAGENET1K_V1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorchvisionName {
    /// The name of the network.
    pub name: String,
    /// The name of the weights in torchvision, or the hash in the name of the weight file; `None` for the default weights.
    pub weights: Option<String>,
}

/// Whether `text` starts with the prefix of a hub, such as `hf:`.
pub fn is_hub_name(text: &str) -> bool {
    ["hf:", "hf-hub:", "timm:", "torchvision:"].iter().any(|prefix| text.starts_with(prefix))
}

impl FromStr for HubName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (hub, rest) = text.split_once(':').unwrap_or_default();
        let (name, at) = match rest.split_once('@') {
            Some((name, at)) => (name, Some(at)),
            None => (rest, None),
        };
        let parts: Vec<_> = name.split('/').collect();
        let expected = match (hub, &parts[..]) {
            ("hf" | "hf-hub", [owner, name, file @ ..]) if is_id(owner) && is_id(name) && file.iter().all(is_part) => {
                let file = (!file.is_empty()).then(|| file.join("/"));
                let name = HuggingFaceName { repository: format!("{owner}/{name}"), file, revision: revision(at)? };
                return Ok(Self::HuggingFace(name));
            }
            ("timm", [name]) if is_id(name) => {
                let revision = revision(at)?;
                return Ok(match name.contains('.') {
                    true => {
                        Self::HuggingFace(HuggingFaceName { repository: format!("timm/{name}"), file: None, revision })
                    }
                    false => Self::Timm(TimmName { name: (*name).into(), revision }),
                });
            }
            ("torchvision", [name]) if is_part(name) && at.is_none_or(|at| is_part(&at)) => {
                return Ok(Self::Torchvision(TorchvisionName { name: (*name).into(), weights: at.map(String::from) }));
            }
            ("timm", _) => "timm:NAME.TAG, such as timm:resnet50.a1_in1k",
            ("torchvision", _) => "torchvision:NAME or torchvision:NAME@WEIGHTS, such as torchvision:resnet50",
            _ => "hf:OWNER/NAME or hf:OWNER/NAME@REVISION, such as hf:timm/resnet50.a1_in1k",
        };
        bail!("\"{}\" is not the name of a network on a hub; expected {expected}", words::name(text))
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HuggingFace(name) => name.fmt(f),
            Self::Timm(TimmName { name, revision }) => write!(f, "timm:{name}{}", after_at(revision)),
            Self::Torchvision(TorchvisionName { name, weights }) => {
                write!(f, "torchvision:{name}{}", weights.iter().map(|at| format!("@{at}")).collect::<String>())
            }
        }
    }
}

impl fmt::Display for HuggingFaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, file, revision } = self;
        let file = file.iter().map(|file| format!("/{file}")).collect::<String>();
        write!(f, "hf:{repository}{file}{}", after_at(revision))
    }
}

fn after_at(revision: &str) -> String {
    if revision == MAIN { String::new() } else { format!("@{revision}") }
}

fn revision(at: Option<&str>) -> Result<String> {
    let revision = at.unwrap_or(MAIN);
    ensure!(
        revision.split('/').all(|part| is_part(&part)),
        "\"{}\" is not a revision; expected a branch, a tag or a commit, such as main",
        words::name(revision)
    );
    Ok(revision.into())
}

/// Whether `text` can be the owner or the name of a repository.
fn is_id(text: &&str) -> bool {
    is_part(text) && !text.contains("--") && !text.starts_with('-') && !text.ends_with(['-', '.'])
}

/// Whether `text` is a single path segment that stays within its folder and needs no escaping in a URL.
pub(super) fn is_part(text: &&str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=LONGEST).contains(&text.len()) && text.chars().all(plain) && !text.starts_with('.') && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hf(repository: &str, file: Option<&str>, revision: &str) -> HubName {
        let (repository, file, revision) = (repository.into(), file.map(String::from), revision.into());
        HubName::HuggingFace(HuggingFaceName { repository, file, revision })
    }

    #[test]
    fn names_have_a_hub_a_name_and_a_revision() {
        let torchvision =
            |name: &str, weights: Option<&str>| TorchvisionName { name: name.into(), weights: weights.map(Into::into) };
        for (text, name) in [
            ("hf:timm/resnet50.a1_in1k", hf("timm/resnet50.a1_in1k", None, "main")),
            ("hf-hub:timm/resnet50.a1_in1k", hf("timm/resnet50.a1_in1k", None, "main")),
            ("timm:resnet50.a1_in1k@v1", hf("timm/resnet50.a1_in1k", None, "v1")),
            ("hf:a/b/onnx/model.onnx@refs/pr/1", hf("a/b", Some("onnx/model.onnx"), "refs/pr/1")),
            ("timm:resnet50", HubName::Timm(TimmName { name: "resnet50".into(), revision: "main".into() })),
            ("torchvision:resnet50", HubName::Torchvision(torchvision("resnet50", None))),
            (
                "torchvision:vit_b_16@IMAGENET1K_V1",
                HubName::Torchvision(torchvision("vit_b_16", Some("IMAGENET1K_V1"))),
            ),
        ] {
            assert_eq!(text.parse::<HubName>().unwrap(), name);
            assert!(is_hub_name(text));
            assert_eq!(name.to_string().parse::<HubName>().unwrap(), name);
        }
        assert!(!is_hub_name("resnet50") && !is_hub_name("models/hf:x") && !is_hub_name("C:\\net.pth"));
    }

    #[test]
    fn names_that_would_leave_their_folder_are_refused() {
        for text in [
            "hf:",
            "hf:a",
            "hf:/a",
            "hf:a/",
            "hf:../../x",
            "hf:a/..",
            "hf:a/b/../c",
            "hf:a/.git",
            "hf:a/b\\c",
            "hf:a//b",
            "hf:a/b c",
            "hf:a--b/c",
            "hf:a/b?x",
            "hf:a/b%2e",
            "hf:a/\u{202e}b",
            "hf:a/b/\x1b[31m",
            "timm:a/b",
            "timm:",
            "timm:..",
            "torchvision:a/b",
            "torchvision:../a",
            "torchvision:a@../b",
            "torchvision:a@",
            "hf:a/b/..",
            "hf:a/b/./c",
        ] {
            let said = text.parse::<HubName>().unwrap_err().to_string();
            assert!(said.contains("is not the name of a network on a hub; expected"), "{text}: {said}");
            assert!(!said.contains(['\x1b', '\u{202e}']), "{said:?}");
        }
        for text in ["hf:a/b@", "hf:a/b@../c", "hf:a/b@/etc", "timm:a.b@x y"] {
            let said = text.parse::<HubName>().unwrap_err().to_string();
            assert!(said.contains("is not a revision"), "{text}: {said}");
        }
    }
}

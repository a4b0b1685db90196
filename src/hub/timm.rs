//! Networks of timm without a tag: which of their weights are in the cache.

use super::name::{HuggingFaceName, TimmName, is_part};
use super::repository::Repository;
use super::settings::Settings;
use crate::words;
use anyhow::{Result, bail};

/// Written by `scripts/reference/timm_tags.py`: per line, a tag, then the networks whose default weights have it.
const TAGS: &str = include_str!("timm.txt");

/// The repository of the only weights of a network that are in the cache. Errors if there are none or several.
pub fn cached(name: &TimmName, settings: &Settings) -> Result<HuggingFaceName> {
    let TimmName { name, revision } = name;
    let prefix = format!("models--timm--{name}.");
    let folders = std::fs::read_dir(&settings.cache).into_iter().flatten().flatten();
    let tag = |folder: std::fs::DirEntry| folder.file_name().to_str()?.strip_prefix(&prefix).map(String::from);
    let has_weights = |tag: &String| {
        let repository = Repository::new(&settings.cache, &format!("timm/{name}.{tag}"));
        repository.commit(revision).is_some_and(|commit| repository.weights(&commit, None).is_some())
    };
    let mut tags: Vec<_> = folders.filter_map(tag).filter(|tag| is_part(&tag.as_str())).filter(has_weights).collect();
    tags.sort();
    let listed = || tags.iter().map(|tag| format!("timm:{name}.{tag}")).collect::<Vec<_>>().join(", ");
    match &tags[..] {
        [tag] => {
            Ok(HuggingFaceName { repository: format!("timm/{name}.{tag}"), file: None, revision: revision.clone() })
        }
        [] => bail!(
            "timm:{name} does not say which weights, and none of timm/{name}.* are in the cache; {}",
            advice(name, settings)
        ),
        _ => bail!("timm:{name} is ambiguous: {} are in the cache; add the tag", listed()),
    }
}

/// Which name would work.
fn advice(name: &str, settings: &Settings) -> String {
    let list = format!("{}/timm lists them, as does timm.list_pretrained(\"{name}.*\")", settings.endpoint);
    match default_tag(name) {
        Some(tag) => format!("timm's default is timm:{name}.{tag}; {list}"),
        None => {
            let names = TAGS.lines().flat_map(|line| line.split(' ').skip(1));
            let similar = words::closest(name, names).map(|near| format!("; did you mean timm:{near}?"));
            format!("add the tag, as in timm:resnet50.a1_in1k; {list}{}", similar.unwrap_or_default())
        }
    }
}

/// The tag of a network's default weights.
fn default_tag(name: &str) -> Option<&'static str> {
    let tags = TAGS.lines().filter_map(|line| line.split_once(' '));
    tags.filter(|(_, names)| names.split(' ').any(|known| known == name)).map(|(tag, _)| tag).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_network_has_one_default_tag() {
        let names: Vec<_> = TAGS.lines().flat_map(|line| line.split(' ').skip(1)).collect();
        assert!(names.len() > 1000);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert_eq!(default_tag("resnet50"), Some("a1_in1k"));
        assert_eq!((default_tag("a1_in1k"), default_tag("resnet5")), (None, None));
    }
}

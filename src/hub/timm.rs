//! Networks of timm without a tag: which of their weights are in the cache.

use super::name::{HuggingFaceName, TimmName};
use super::repository::Repository;
use super::settings::Settings;
use anyhow::{Result, bail};

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
    let mut tags: Vec<_> = folders.filter_map(tag).filter(has_weights).collect();
    tags.sort();
    let listed = || tags.iter().map(|tag| format!("timm:{name}.{tag}")).collect::<Vec<_>>().join(", ");
    match &tags[..] {
        [tag] => {
            Ok(HuggingFaceName { repository: format!("timm/{name}.{tag}"), file: None, revision: revision.clone() })
        }
        [] => bail!(
            "timm:{name} does not say which weights, and none of timm/{name}.* are in the cache; add the tag, as in timm:{name}.a1_in1k; \
             {}/timm lists them, as does timm.list_pretrained(\"{name}.*\")",
            settings.endpoint
        ),
        _ => bail!("timm:{name} is ambiguous: {} are in the cache; add the tag", listed()),
    }
}

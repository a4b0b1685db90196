//! The data set of a question, opened when a method first asks for it.

use crate::data::{Dataset, source};
use anyhow::{Result, anyhow, bail};
use std::sync::{Arc, OnceLock};

/// A data set by name, or none yet.
#[derive(Debug, Default)]
pub struct Data {
    spec: Option<String>,
    set: OnceLock<Result<Arc<Dataset>, String>>,
}

impl Data {
    /// What `--data` names.
    pub fn named(spec: &str) -> Self {
        Self { spec: Some(spec.into()), set: OnceLock::new() }
    }

    /// The made pictures that a network of this name, or of its first word, learnt from, if there are any.
    pub fn of_model(name: &str) -> Self {
        let name = name.split('_').next().unwrap_or(name);
        let made = crate::data::synthetic::NAMES.contains(&name).then(|| format!("made:{name}"));
        Self { spec: made, set: OnceLock::new() }
    }

    /// This one.
    pub fn of(set: Dataset) -> Self {
        Self { spec: Some(set.name.clone()), set: OnceLock::from(Ok(Arc::new(set))) }
    }

    /// What it is called; none: there is no data set.
    pub fn name(&self) -> Option<&str> {
        self.spec.as_deref()
    }

    /// The pictures, where something asked for them already.
    pub fn opened(&self) -> Option<&Dataset> {
        self.set.get()?.as_deref().ok()
    }

    /// The number of the picture of this name in it, if it is one of its pictures: by name, not by looks.
    pub fn number_of(&self, picture: &str) -> Option<usize> {
        self.get().ok()?.number_of(picture)
    }

    /// The pictures.
    ///
    /// Errors where no data set was named, or it cannot be read.
    pub fn get(&self) -> Result<Arc<Dataset>> {
        let Some(spec) = &self.spec else {
            bail!("this method asks a data set: name one with --data, for example --data mnist:DIR or made:shapes");
        };
        let open = || source::open(spec).map(Arc::new).map_err(|e| format!("{e:#}"));
        self.set.get_or_init(open).clone().map_err(|e| anyhow!(e))
    }
}

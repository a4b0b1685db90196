//! The data set of a session, opened on first use.

use crate::data::{Dataset, source};
use anyhow::{Result, anyhow, bail};
use std::sync::{Arc, OnceLock};

/// The data set of a session, if any, opened lazily.
#[derive(Debug, Default)]
pub struct Data {
    spec: Option<String>,
    set: OnceLock<Result<Arc<Dataset>, String>>,
}

impl Data {
    /// The data set specified by `spec`, in `--data` syntax.
    pub fn named(spec: &str) -> Self {
        Self { spec: Some(spec.into()), set: OnceLock::new() }
    }

    /// The synthetic data set on which the network `name` was trained, if any, determined by the part of `name` before the first `_`.
    pub fn of_model(name: &str) -> Self {
        let name = name.split('_').next().unwrap_or(name);
        let made = crate::data::synthetic::NAMES.contains(&name).then(|| format!("made:{name}"));
        Self { spec: made, set: OnceLock::new() }
    }

    /// An already opened data set.
    pub fn of(set: Dataset) -> Self {
        Self { spec: Some(set.name.clone()), set: OnceLock::from(Ok(Arc::new(set))) }
    }

    /// Name of the data set, if any.
    pub fn name(&self) -> Option<&str> {
        self.spec.as_deref()
    }

    /// The data set, if it has been opened.
    pub fn opened(&self) -> Option<&Dataset> {
        self.set.get()?.as_deref().ok()
    }

    /// The index of the picture named `picture` in the data set, if there is one. Compares only names, not pixels.
    pub fn number_of(&self, picture: &str) -> Option<usize> {
        self.get().ok()?.number_of(picture)
    }

    /// The data set, opened on first use.
    ///
    /// Errors if no data set was specified or it cannot be read.
    pub fn get(&self) -> Result<Arc<Dataset>> {
        let Some(spec) = &self.spec else {
            bail!(
                "this method needs a data set; specify one with --data, such as --data mnist:DIR or --data made:shapes"
            );
        };
        let open = || source::open(spec).map(Arc::new).map_err(|e| format!("{e:#}"));
        self.set.get_or_init(open).clone().map_err(|e| anyhow!(e))
    }
}

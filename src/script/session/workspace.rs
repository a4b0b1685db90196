//! The session file: a small JSON file from which the app restores the previous session. The displayed step is stored in a second
//! file next to it.

use super::{Session, Target};
use crate::data::{create_folder, disk, read_text, read_whole, write_whole};
use crate::hub::is_hub_name;
use crate::model::card::own_json;
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The version of the session file format. Other versions are not supported.
const FORM: u32 = 1;

/// Maximum sizes in bytes of a session file and its step file.
const FILE_BYTES: u64 = 64 << 20;
const STEP_BYTES: u64 = 8 << 30;

/// Maximum length in bytes of a name in a session file. Parameter values may be sixteen times as long.
const LONGEST: usize = 4096;

/// Everything that the user has opened or set, as stored in a session file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    form: u32,
    /// Name of the architecture, or hub name of the network.
    pub model: String,
    /// Weight file; `None` for the architecture's bundled weights.
    pub weights: Option<PathBuf>,
    /// Card values set by flags, as in a card file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Box<Value>>,
    /// The name by which the picture was opened: a file, or a picture of a data set such as `made:shapes[3]`.
    pub picture: String,
    /// Whether pictures keep their original size instead of being resized for the model.
    pub no_resize: bool,
    /// Name of the method.
    pub method: String,
    /// Target selected by the user, a class or an expression; `None` for the predicted class.
    pub target: Option<Target>,
    /// The units of the network that are set to zero, such as `features.12:channel=7`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ablated: Vec<String>,
    /// Names and values of non-default parameters, in `--set` syntax.
    pub set: Vec<(String, String)>,
    /// The random seed.
    pub seed: u64,
    /// Name of the data set, if any.
    pub data: Option<String>,
    /// Whether the steps were computed with different parameters.
    #[serde(default)]
    pub mixed: bool,
    /// Whether the result was still being computed when the file was written. That computation may have crashed the program, and
    /// could do so again.
    #[serde(default)]
    pub under_way: bool,
}

impl Workspace {
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self { form: FORM, ..Self::default() }
    }

    /// Describes what is open in `session`, given the name of the picture and the weight file; `None` if no method is open.
    pub fn of(session: &Session, picture: &str, weights: Option<&Path>, no_resize: bool) -> Option<Self> {
        let flags = session.model().card.flags();
        Some(Self {
            form: FORM,
            model: session.model().card.opened_by(weights).into(),
            weights: weights.map(absolute),
            card: (!flags.is_empty()).then(|| Box::new(own_json(&flags))),
            picture: if Path::new(picture).exists() {
                absolute(Path::new(picture)).to_string_lossy().into_owned()
            } else {
                picture.into()
            },
            no_resize,
            method: session.method()?.name.clone(),
            target: session.chosen(),
            ablated: session.ablated(),
            set: session.params().changed(),
            seed: session.seed(),
            data: session.data().name().map(String::from),
            mixed: session.mixed(),
            under_way: false,
        })
    }

    /// Returns a copy with the given value of `under_way`.
    pub(crate) fn under_way(self, under_way: bool) -> Self {
        Self { under_way, ..self }
    }

    /// Writes the session file atomically, creating its folder if necessary.
    pub fn write(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            create_folder(folder)?;
        }
        write_whole(file, words::json(&serde_json::to_value(self)?).as_bytes())
    }

    /// Reads a session file; `None` if it does not exist. Errors if the file is damaged or has a different format version.
    pub fn read(file: &Path) -> Result<Option<Self>> {
        if !file.exists() {
            return Ok(None);
        }
        let reading = || format!("reading the session \"{}\"", words::path(&file));
        let text = read_text(file, FILE_BYTES).with_context(reading)?;
        let opened: Self = decoding("JSON", || serde_json::from_str(&text)).with_context(reading)?;
        ensure!(
            opened.form == FORM,
            "the session \"{}\" was written by a different version of gradscope",
            words::path(&file)
        );
        ensure!(
            opened.has_short_names(),
            "the session \"{}\" is damaged: a name in it is too long",
            words::path(&file)
        );
        Ok(Some(opened))
    }

    fn has_short_names(&self) -> bool {
        let paths = self.weights.iter().map(|path| path.as_os_str().len());
        let names = [&self.model, &self.picture, &self.method].into_iter().chain(&self.data).map(String::len);
        let set = self.set.iter().flat_map(|(name, value)| [name.len(), value.len() / 16]);
        names.chain(paths).chain(set).all(|length| length <= LONGEST)
    }
}

/// A snapshot of the current step; `None` if there are no steps or the step cannot be saved.
pub fn step(session: &Session) -> Option<Vec<u8>> {
    session.method().filter(|m| m.stepped && session.started())?;
    session.snapshot().ok()
}

/// Writes the snapshot `step` next to the session file `file`. If `step` is `None`, removes the existing snapshot.
pub fn write_step(file: &Path, step: Option<&[u8]>) -> Result<()> {
    match step {
        Some(bytes) => write_whole(&step_file(file), bytes),
        None => disk::remove(&step_file(file)),
    }
}

/// Restores the step saved next to the session file `file`. Returns false if there is none.
pub fn go_on(file: &Path, session: &mut Session) -> Result<bool> {
    let step = step_file(file);
    if !step.exists() {
        return Ok(false);
    }
    let bytes = read_whole(&step, STEP_BYTES)?;
    session.restore(&bytes).with_context(|| format!("resuming from \"{}\"", words::path(&step)))?;
    Ok(true)
}

fn step_file(file: &Path) -> PathBuf {
    file.with_extension("step.safetensors")
}

fn absolute(path: &Path) -> PathBuf {
    match path.to_str().is_some_and(is_hub_name) {
        true => path.into(),
        false => std::path::absolute(path).unwrap_or_else(|_| path.into()),
    }
}

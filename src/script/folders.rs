//! Where scripts are found: the user's folders first, then those in the binary; the first of a name wins.

use crate::data::{create_folder, read_text, read_whole, write_whole};
use anyhow::{Context, Result, ensure};
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

static PLUGINS: Dir = include_dir!("$CARGO_MANIFEST_DIR/plugins");
static MODELS: Dir = include_dir!("$CARGO_MANIFEST_DIR/models");

/// The group of methods that name none.
pub(super) const GROUP: &str = "attribution";

/// The largest script that is read, and the largest other file beside them.
const SCRIPT_BYTES: u64 = 64 << 20;
const FILE_BYTES: u64 = 4 << 30;

/// One kind of script: where its files may be.
#[derive(Clone, Debug)]
pub struct Folders {
    folders: Vec<PathBuf>,
    embedded: &'static Dir<'static>,
}

/// A script's text and the file it came from; none: from the binary.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its name: `gradcam`, `lib/attack`.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its file.
    pub path: Option<PathBuf>,
}

impl Folders {
    /// Methods: `first` (when given), `./plugins`, the user's configuration folder, the binary.
    pub fn plugins(first: Option<&Path>) -> Self {
        Self::new(first, "plugins", &PLUGINS)
    }

    /// Architectures, likewise in folders named `models`.
    pub fn models(first: Option<&Path>) -> Self {
        Self::new(first, "models", &MODELS)
    }

    fn new(first: Option<&Path>, name: &str, embedded: &'static Dir<'static>) -> Self {
        let user = directories::ProjectDirs::from("", "", "gradscope").map(|d| d.config_dir().join(name));
        let folders = first.map(Path::to_path_buf).into_iter().chain([PathBuf::from(name)]).chain(user).collect();
        Self { folders, embedded }
    }

    /// Only the files in the binary.
    pub fn embedded_only(mut self) -> Self {
        self.folders.clear();
        self
    }

    /// The folders that exist, for watching.
    pub fn existing(&self) -> Vec<PathBuf> {
        self.folders.iter().filter(|f| f.is_dir()).cloned().collect()
    }

    /// The names of all scripts, sorted, those in `lib/` left out.
    pub fn names(&self) -> Vec<String> {
        let mut names = BTreeMap::new();
        for folder in &self.folders {
            let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
            names.extend(files.filter_map(|f| script_name(&f.path())).map(|n| (n, ())));
        }
        names.extend(self.embedded.files().filter_map(|f| script_name(f.path())).map(|n| (n, ())));
        names.into_keys().collect()
    }

    /// The names of the methods whose `PLUGIN` says this group, sorted; read from their texts, they are not compiled.
    pub(super) fn of_group(&self, wanted: &str) -> Vec<String> {
        let is = |name: &String| self.find(name).ok().flatten().is_some_and(|s| group(&s.text) == Some(wanted));
        self.names().into_iter().filter(is).collect()
    }

    /// The script of this name; segments of letters, digits, `-` and `_` only, joined by `/`.
    pub fn find(&self, name: &str) -> Result<Option<Source>> {
        let plain = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "-_+".contains(c));
        ensure!(name.split('/').all(plain), "\"{name}\" is no script name: letters, digits, - and _ only");
        let file = format!("{name}.rhai");
        if let Some(path) = self.folders.iter().map(|f| f.join(&file)).find(|p| p.is_file()) {
            return Source::read(&path).map(|s| Some(Source { name: name.into(), ..s }));
        }
        let text = self.embedded.get_file(&file).and_then(|f| f.contents_utf8());
        Ok(text.map(|text| Source { name: name.into(), text: text.into(), path: None }))
    }

    /// The file of a script, to edit it; one of the binary is first written into the user's folder.
    pub fn to_edit(&self, name: &str) -> Result<PathBuf> {
        let source = self.find(name)?.with_context(|| format!("no script named \"{name}\""))?;
        if let Some(path) = source.path {
            return Ok(path);
        }
        let folder = self.folders.last().context("there is no folder for scripts of your own")?;
        create_folder(folder)?;
        let path = folder.join(format!("{name}.rhai"));
        write_whole(&path, source.text.as_bytes())?;
        Ok(path)
    }

    /// Another file beside the scripts in the binary: labels, weights.
    pub fn embedded_file(&self, name: &str) -> Option<&'static [u8]> {
        self.embedded.get_file(name).map(|f| f.contents())
    }

    /// Another file beside the scripts: from the first folder that has it, else from the binary.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self.folders.iter().map(|f| f.join(name)).find(|p| p.is_file()) {
            Some(path) => read_whole(&path, FILE_BYTES).map(Some),
            None => Ok(self.embedded_file(name).map(<[u8]>::to_vec)),
        }
    }
}

impl Source {
    /// Reads a script file; its name is the file's without `.rhai`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, SCRIPT_BYTES).context("reading a script")?;
        let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name, text, path: Some(path.to_path_buf()) })
    }

    /// The same script as its file is now; one of the binary may have a file by now.
    pub(super) fn again(&self, folders: &Folders) -> Result<Self> {
        match &self.path {
            Some(path) => Ok(Self { name: self.name.clone(), ..Self::read(path)? }),
            None => folders.find(&self.name)?.with_context(|| format!("the script \"{}\" is gone", self.name)),
        }
    }
}

/// The group that a method's declaration gives.
fn group(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("const PLUGIN")?;
    let declaration = rest.split("\nfn ").next().unwrap_or_default();
    let Some((_, rest)) = declaration.split_once("group:") else { return Some(GROUP) };
    rest.trim_start().strip_prefix('"')?.split('"').next()
}

fn script_name(path: &Path) -> Option<String> {
    (path.extension()? == "rhai").then(|| path.file_stem().map(|s| s.to_string_lossy().into_owned()))?
}

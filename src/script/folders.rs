//! Finds scripts, first in the user's folders, then among the embedded scripts. The first match wins.

use super::group_folders;
use crate::data::{create_folder, read_text, read_whole, write_whole};
use crate::words;
use anyhow::{Context, Result, ensure};
use include_dir::{Dir, File, include_dir};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

static PLUGINS: Dir = include_dir!("$CARGO_MANIFEST_DIR/plugins");
static MODELS: Dir = include_dir!("$CARGO_MANIFEST_DIR/models");

/// The default group, for methods that neither declare a group in `PLUGIN` nor are in a group's folder.
pub(super) const GROUP: &str = "attribution";

/// Maximum sizes in bytes of a script, and of other files next to scripts.
const SCRIPT_BYTES: u64 = 64 << 20;
const FILE_BYTES: u64 = 4 << 30;

/// The search path for one kind of script. Subfolders are groups. Scripts in a group are referred to by name, without the folder.
#[derive(Clone, Debug)]
pub struct Folders {
    folders: Vec<PathBuf>,
    embedded: &'static Dir<'static>,
}

/// A script's source code and origin.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptSource {
    /// Name of the script, such as `gradcam` or `lib/attack`.
    pub name: String,
    /// The group whose folder contains the script; `None` if it is not in a group's folder or has no file.
    pub group: Option<String>,
    /// Source code of the script.
    pub text: String,
    /// The script's file; `None` if it is embedded.
    pub path: Option<PathBuf>,
}

impl Folders {
    /// The folders searched for methods: `first` if given, `./plugins`, `plugins` in the user's configuration folder, then the
    /// embedded methods.
    pub fn plugins(first: Option<&Path>) -> Self {
        Self::new(first, "plugins", &PLUGINS)
    }

    /// The folders searched for architectures: `first` if given, `./models`, `models` in the user's configuration folder, then
    /// the embedded architectures.
    pub fn models(first: Option<&Path>) -> Self {
        Self::new(first, "models", &MODELS)
    }

    fn new(first: Option<&Path>, name: &str, embedded: &'static Dir<'static>) -> Self {
        let user = directories::ProjectDirs::from("", "", "gradscope").map(|d| d.config_dir().join(name));
        let folders = first.map(Path::to_path_buf).into_iter().chain([PathBuf::from(name)]).chain(user).collect();
        Self { folders, embedded }
    }

    /// Whether a script is the user's own: not embedded, or a changed copy of an embedded one.
    pub fn is_own(&self, source: &ScriptSource) -> bool {
        source.path.is_some() && self.embedded_script(&source.name).is_none_or(|built_in| built_in.text != source.text)
    }

    /// Restricts the search to the files embedded in the binary.
    pub fn embedded_only(mut self) -> Self {
        self.folders.clear();
        self
    }

    /// The folders that exist on disk, for watching.
    pub fn existing(&self) -> Vec<PathBuf> {
        self.folders.iter().filter(|f| f.is_dir()).cloned().collect()
    }

    /// The sorted names of all scripts, excluding those in `lib/`.
    pub fn names(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        for root in &self.folders {
            names.extend(group_folders::names(root));
            names.extend(group_folders::folders(root).iter().flat_map(|folder| group_folders::names(folder)));
        }
        let embedded = std::iter::once(self.embedded).chain(self.embedded_groups()).flat_map(Dir::files);
        names.extend(embedded.filter_map(|f| group_folders::script_name(f.path())));
        names.into_iter().collect()
    }

    fn embedded_groups(&self) -> impl Iterator<Item = &'static Dir<'static>> {
        self.embedded.dirs().filter(|dir| group_of(dir.path()).is_some())
    }

    /// The sorted names of the methods in the group `wanted`. Groups are determined from source code and folder names, without
    /// compiling.
    pub(super) fn of_group(&self, wanted: &str) -> Vec<String> {
        let is = |s: ScriptSource| declared_group(&s.text).or(s.group.as_deref()).unwrap_or(GROUP) == wanted;
        self.names().into_iter().filter(|name| self.find(name).ok().flatten().is_some_and(is)).collect()
    }

    /// Finds a script by name; `None` if it does not exist. A name consists of segments of letters, digits, `-`, `_` and `+`,
    /// separated by `/`.
    ///
    /// Errors if the name contains other characters or two files in one folder match it.
    pub fn find(&self, name: &str) -> Result<Option<ScriptSource>> {
        let plain = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "-_+".contains(c));
        ensure!(name.split('/').all(plain), "\"{name}\" is not a valid script name; use letters, digits, - and _");
        for root in &self.folders {
            if let Some(path) = group_folders::file(root, name)? {
                let group = path.parent().filter(|folder| folder != root).and_then(group_of);
                return Ok(Some(ScriptSource { name: name.into(), group, ..ScriptSource::read(&path)? }));
            }
        }
        Ok(self.embedded_script(name))
    }

    fn embedded_script(&self, name: &str) -> Option<ScriptSource> {
        let named = |file: &&File| group_folders::script_name(file.path()).as_deref() == Some(name);
        let in_groups = || self.embedded_groups().flat_map(Dir::files).find(named);
        let file = self.embedded.get_file(format!("{name}.rhai")).or_else(in_groups)?;
        let group = file.path().parent().and_then(group_of);
        Some(ScriptSource { name: name.into(), group, text: file.contents_utf8()?.into(), path: None })
    }

    /// Reads a script file. A script in a group's folder belongs to that group.
    pub(super) fn read(&self, path: &Path) -> Result<ScriptSource> {
        Ok(ScriptSource { group: self.group(path), ..ScriptSource::read(path)? })
    }

    fn group(&self, path: &Path) -> Option<String> {
        let path = std::path::absolute(path).ok()?;
        let folder = path.parent()?;
        let above = folder.parent()?.canonicalize().ok()?;
        let is_root = |root: &PathBuf| root.canonicalize().is_ok_and(|root| root == above);
        self.folders.iter().any(is_root).then(|| group_of(folder)).flatten()
    }

    /// The path of a script's file, for editing. An embedded script is first copied to its group's folder in the user's
    /// configuration folder.
    pub fn to_edit(&self, name: &str) -> Result<PathBuf> {
        let source = self.find(name)?.with_context(|| format!("no script named \"{name}\""))?;
        if let Some(path) = source.path {
            return Ok(path);
        }
        let root = self.folders.last().context("there is no folder for user scripts")?;
        let folder = source.group.map_or(root.clone(), |group| root.join(group.replace(' ', "_")));
        create_folder(&folder)?;
        let path = folder.join(format!("{name}.rhai"));
        write_whole(&path, source.text.as_bytes())?;
        Ok(path)
    }

    /// Deletes the user's copy of an embedded script if it was not changed. Returns its path if it was deleted.
    pub fn remove_unchanged(&self, name: &str) -> Result<Option<PathBuf>> {
        match self.copy_of_embedded(name)? {
            Some((path, true)) => {
                std::fs::remove_file(&path).with_context(|| format!("removing \"{}\"", words::path(&path)))?;
                Ok(Some(path))
            }
            _ => Ok(None),
        }
    }

    /// Replaces the user's changed copy of an embedded script by the embedded script. The copy is renamed to `NAME.rhai.old`, whose
    /// path is returned. Errors if there is no copy.
    pub fn revert(&self, name: &str) -> Result<PathBuf> {
        let copy = self.copy_of_embedded(name)?;
        let (path, _) = copy.with_context(|| format!("\"{name}\" is not a copy of a built-in method"))?;
        let old = path.with_extension("rhai.old");
        std::fs::rename(&path, &old).with_context(|| format!("renaming \"{}\"", words::path(&path)))?;
        Ok(old)
    }

    /// The file in the user's configuration folder that replaces an embedded script, and whether it has the same content.
    fn copy_of_embedded(&self, name: &str) -> Result<Option<(PathBuf, bool)>> {
        let (Some(source), Some(built_in)) = (self.find(name)?, self.embedded_script(name)) else { return Ok(None) };
        let users = self.folders.last().filter(|root| source.path.as_ref().is_some_and(|path| path.starts_with(root)));
        Ok(source.path.filter(|_| users.is_some()).map(|path| (path, source.text == built_in.text)))
    }

    /// The contents of an embedded non-script file, such as labels or weights; `None` if it does not exist.
    pub fn embedded_file(&self, name: &str) -> Option<&'static [u8]> {
        let in_groups = || self.embedded_groups().find_map(|group| group.get_file(group.path().join(name)));
        self.embedded.get_file(name).or_else(in_groups).map(File::contents)
    }

    /// The contents of a non-script file, such as labels or weights, from the first folder that contains it (directly or in a
    /// group), otherwise from the embedded files.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let groups = |root: &PathBuf| std::iter::once(root.clone()).chain(group_folders::folders(root));
        match self.folders.iter().flat_map(groups).map(|f| f.join(name)).find(|p| p.is_file()) {
            Some(path) => read_whole(&path, FILE_BYTES).map(Some),
            None => Ok(self.embedded_file(name).map(<[u8]>::to_vec)),
        }
    }
}

impl ScriptSource {
    /// Reads a script file. The script's name is the file name without `.rhai`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, SCRIPT_BYTES).context("reading a script")?;
        let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name, group: None, text, path: Some(path.to_path_buf()) })
    }

    /// A script from source code, without a file.
    pub fn of_text(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.into(), group: None, text: text.into(), path: None }
    }

    /// Rereads this script from its file. An embedded script may have been copied to a file in the meantime, and a copy removed.
    pub(crate) fn again(&self, folders: &Folders) -> Result<Self> {
        match &self.path {
            Some(path) if path.exists() => {
                Ok(Self { name: self.name.clone(), group: self.group.clone(), ..Self::read(path)? })
            }
            _ => folders.find(&self.name)?.with_context(|| format!("the script \"{}\" no longer exists", self.name)),
        }
    }
}

/// The group of a folder; `None` if it is not a group folder.
fn group_of(folder: &Path) -> Option<String> {
    folder.file_name().and_then(|name| group_folders::group(&name.to_string_lossy()))
}

/// The group declared by `group:` in a method's `PLUGIN`, found without compiling; `None` if there is none.
fn declared_group(text: &str) -> Option<&str> {
    let (_, declared) = text.split_once("const PLUGIN")?;
    let mut behind = declared.split("};").next()?.split("group").skip(1);
    behind.find_map(|rest| rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_method_is_edited_as_a_copy_in_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders { folders: vec![folder.path().into()], ..Folders::plugins(None) };
        let path = folders.to_edit("tcav").unwrap();
        assert_eq!(path, folder.path().join("data_set/tcav.rhai"));
        let copy = folders.find("tcav").unwrap().unwrap();
        assert_eq!((copy.path, copy.group.as_deref()), (Some(path), Some("data set")));
    }

    #[test]
    fn an_unchanged_copy_is_removed_and_a_changed_one_can_be_reverted() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders { folders: vec![folder.path().into()], ..Folders::plugins(None) };
        let path = folders.to_edit("tcav").unwrap();
        assert!(!folders.is_own(&folders.find("tcav").unwrap().unwrap()), "a copy alone is not one's own work");
        assert_eq!(folders.remove_unchanged("tcav").unwrap(), Some(path.clone()));
        assert!(!path.exists() && folders.remove_unchanged("tcav").unwrap().is_none());
        assert!(folders.revert("tcav").is_err(), "there is no copy");
        folders.to_edit("tcav").unwrap();
        std::fs::write(&path, "// mine").unwrap();
        assert!(folders.remove_unchanged("tcav").unwrap().is_none() && path.exists());
        assert!(folders.is_own(&folders.find("tcav").unwrap().unwrap()));
        let old = folders.revert("tcav").unwrap();
        assert_eq!(std::fs::read_to_string(old).unwrap(), "// mine");
        assert!(folders.find("tcav").unwrap().unwrap().path.is_none(), "the built-in method is back");
    }

    #[test]
    fn a_group_is_read_from_the_declaration_alone() {
        let group = |declared: &str| declared_group(declared).map(String::from);
        assert_eq!(group("const PLUGIN = #{ group: \"attack\", params: [] };").as_deref(), Some("attack"));
        let params = "const PLUGIN = #{ params: [param(\"n\", 3, \"groups of layers\")], group : \"fidelity\" };";
        assert_eq!(group(params).as_deref(), Some("fidelity"));
        assert_eq!(group("const PLUGIN = #{};\nlet look = #{ group: \"attack\" };"), None);
    }
}

//! Python code, appended to error messages, that exports a network from a file without a graph.

use crate::words;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

/// How a file without a graph was saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Saved {
    /// A dict of named tensors, saved with `torch.save`.
    #[default]
    StateDict,
    /// Named tensors in a safetensors file.
    Safetensors,
    /// Named tensors in several files with an index, saved with Hugging Face's transformers.
    Shards,
    /// A whole module of this class, saved with `torch.save`.
    Module(String),
    /// A whole module of this class, saved with Python's `pickle`.
    Pickle(String),
    /// A TorchScript program.
    TorchScript,
    /// Anything else from which PyTorch cannot create a network by itself.
    Other,
}

/// The network in a file without a graph.
#[derive(Clone, Debug, Default)]
pub struct WithoutGraph {
    /// How the file was saved.
    pub saved: Saved,
    /// Path of the network within a checkpoint, such as `state_dict`; empty at the root.
    pub key: String,
    /// Wrapper segments before the names of all tensors, such as `module.`.
    pub prefix: String,
    /// Number of input channels of the network; `None` if unknown.
    pub channels: Option<usize>,
}

/// The error for a file with neither a graph nor tensors to compare with architectures. Converted to [`NoGraph`] once the path of the file
/// is known.
#[derive(Debug)]
pub struct NoTensors {
    /// The error message, which describes the file.
    pub what: String,
    /// How the file was saved.
    pub saved: Saved,
}

/// The error for a file without a graph whose network matches no architecture.
#[derive(Debug)]
pub struct NoGraph {
    message: String,
    /// Lines of Python that write the network's graph. They run unmodified once the class of the network is defined: they need only PyTorch
    /// (and, for sharded weights, transformers), and file names are Python literals.
    pub lines: Vec<String>,
}

impl NoTensors {
    /// Converts to the error for the file `path`, with lines of Python.
    pub fn of_file(self, path: &Path) -> NoGraph {
        WithoutGraph { saved: self.saved, ..WithoutGraph::default() }.error(&self.what, path)
    }
}

impl fmt::Display for NoTensors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl fmt::Display for NoGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NoTensors {}

impl std::error::Error for NoGraph {}

impl WithoutGraph {
    /// The error with the message `what` for the file `path`, with the lines of Python that write the network's graph.
    pub fn error(&self, what: &str, path: &Path) -> NoGraph {
        let to = self.exported(path);
        let message = format!("{what}; to open the network, write its graph to \"{}\" in Python", words::path(&to));
        NoGraph { message, lines: self.lines(path, &to).lines().map(String::from).collect() }
    }

    fn lines(&self, path: &Path, to: &Path) -> String {
        let (file, to) = (literal(path), literal(to));
        let channels = self.channels.unwrap_or(3);
        let load = match &self.saved {
            Saved::StateDict => format!("{YOURS}\n{}", self.fill(&format!("torch.load({file}, map_location=\"cpu\")"))),
            Saved::Safetensors => {
                format!(
                    "import safetensors.torch\n{YOURS}\n{}",
                    self.fill(&format!("safetensors.torch.load_file({file})"))
                )
            }
            Saved::Shards => {
                let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
                let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                let folder = literal(folder);
                format!(
                    "import transformers\nmodel = transformers.AutoModelForImageClassification.from_pretrained({folder})"
                )
            }
            Saved::Module(class) => {
                let inner = if class.ends_with("DataParallel") { ".module" } else { "" };
                let keys = subscripts(&self.key);
                format!(
                    "model = torch.load({file}, map_location=\"cpu\", weights_only=False){keys}{inner}.float()  # {}",
                    needs(class)
                )
            }
            Saved::Pickle(class) => {
                format!("import pickle\nmodel = pickle.load(open({file}, \"rb\")).float()  # {}", needs(class))
            }
            Saved::TorchScript => format!(
                "from torch._export.converter import TS2EPConverter\nmodel = torch.jit.load({file}, map_location=\"cpu\")"
            ),
            Saved::Other => YOURS_WITH_WEIGHTS.into(),
        };
        let graph = match self.saved {
            Saved::TorchScript => "TS2EPConverter(model.eval(), (picture,)).convert().module()",
            _ => "model.eval()",
        };
        [
            "import torch".to_string(),
            load,
            format!("picture = torch.rand(1, {channels}, 224, 224)  # the size of your pictures"),
            format!("torch.export.save(torch.export.export({graph}, (picture,)), {to})"),
            format!("# or, with gradscope's Python package: gradscope.export(model, picture, {to}, labels=[\"cat\", \"dog\"])"),
        ]
        .join("\n")
    }

    /// The line of Python that loads the tensors of the Python expression `file` into the network.
    fn fill(&self, file: &str) -> String {
        let weights = format!("{file}{}", subscripts(&self.key));
        match self.prefix.as_str() {
            "" => format!("model.load_state_dict({weights})"),
            prefix => {
                let prefix = quoted(prefix);
                format!("model.load_state_dict({{name.removeprefix({prefix}): t for name, t in {weights}.items()}})")
            }
        }
    }

    /// The file that the lines of Python write: next to `path`, with the extension `.pt2`.
    fn exported(&self, path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default();
        let plain = Path::new(
            name.to_str().and_then(|name| name.strip_suffix(".index.json")).map_or(name, |name| name.as_ref()),
        );
        let to = path.with_file_name(plain).with_extension("pt2");
        match to == path {
            true => path.with_extension("graph.pt2"),
            false => to,
        }
    }
}

const YOURS: &str = "model = MyNet()  # your class, with the arguments used for training";
const YOURS_WITH_WEIGHTS: &str = "model = MyNet()  # your network, with its weights";

fn needs(class: &str) -> String {
    match class.starts_with("torch.") {
        true => "runs the code in the file".into(),
        false => format!("needs the class {class}, and runs the code in the file"),
    }
}

/// Prefixes of the lines of [`NoGraph`].
const BEGINNINGS: [&str; 7] =
    ["import ", "from torch", "model = ", "model.load_state_dict(", "picture = ", "torch.", "# or, "];

/// Whether a line of an error message is Python code, which must not be indented.
pub fn is_code(line: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

/// The subscripts that follow a path in a checkpoint: `["models"][0]` for `models.0`.
fn subscripts(key: &str) -> String {
    let one = |part: &str| match part.bytes().all(|b| b.is_ascii_digit()) {
        true => format!("[{part}]"),
        false => format!("[{}]", quoted(part)),
    };
    key.split('.').filter(|part| !part.is_empty()).map(one).collect()
}

/// Formats a path as a Python string literal. Invalid UTF-8 bytes become the surrogates that Python uses in paths.
fn literal(path: &Path) -> String {
    let mut inner = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        inner.push_str(&escaped(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(inner, "\\udc{byte:02x}");
        }
    }
    format!("\"{inner}\"")
}

/// Formats a string as a Python string literal.
fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// The contents of a double-quoted Python string literal, with special characters escaped.
fn escaped(text: &str) -> String {
    let mut all = String::new();
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(all, "\\{c}"),
            _ if words::is_plain(c) => write!(all, "{c}"),
            '\0'..='\u{ff}' => write!(all, "\\x{:02x}", c as u32),
            '\u{100}'..='\u{ffff}' => write!(all, "\\u{:04x}", c as u32),
            _ => write!(all, "\\U{:08x}", c as u32),
        };
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(saved: Saved, path: &str) -> Vec<String> {
        WithoutGraph { saved, ..WithoutGraph::default() }.error("no", Path::new(path)).lines
    }

    #[test]
    fn every_kind_of_file_gets_lines_with_its_name() {
        let class = || "nets.Net".to_string();
        for (saved, load) in [
            (Saved::StateDict, "model.load_state_dict(torch.load(\"a/net.pth\", map_location=\"cpu\"))"),
            (Saved::Safetensors, "model.load_state_dict(safetensors.torch.load_file(\"a/net.pth\"))"),
            (Saved::Shards, "model = transformers.AutoModelForImageClassification.from_pretrained(\"a\")"),
            (
                Saved::Module(class()),
                "model = torch.load(\"a/net.pth\", map_location=\"cpu\", weights_only=False).float()",
            ),
            (Saved::Pickle(class()), "model = pickle.load(open(\"a/net.pth\", \"rb\")).float()"),
            (Saved::TorchScript, "model = torch.jit.load(\"a/net.pth\", map_location=\"cpu\")"),
            (Saved::Other, YOURS_WITH_WEIGHTS),
        ] {
            let lines = lines(saved, "a/net.pth");
            assert!(lines.iter().any(|line| line.starts_with(load)), "{load}: {lines:?}");
            assert!(lines.iter().rev().take(2).all(|line| line.contains("\"a/net.pt2\"")), "{lines:?}");
            assert!(lines.iter().all(|line| is_code(line)), "{lines:?}");
        }
    }

    #[test]
    fn file_names_are_python_literals_without_control_characters() {
        for (name, written) in [
            ("my net.pth", r#""my net.pth""#),
            (r#"a"b'c.pth"#, r#""a\"b'c.pth""#),
            (r"c:\nets\n.pth", r#""c:\\nets\\n.pth""#),
            ("a\nb\t\u{1b}[31m\u{9b}.pth", r#""a\x0ab\x09\x1b[31m\x9b.pth""#),
            ("\u{202e}\u{e0001}é.pth", r#""\u202e\U000e0001é.pth""#),
        ] {
            assert_eq!(literal(Path::new(name)), written);
            let lines = lines(Saved::StateDict, name);
            assert!(lines[2].contains(written), "{lines:?}");
            assert_eq!(lines.len(), 6, "{lines:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_utf8_become_pythons_surrogates() {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"a\xffb.pth");
        assert_eq!(literal(Path::new(name)), r#""a\udcffb.pth""#);
    }

    #[test]
    fn checkpoints_are_entered_by_their_keys_and_wrappers_left_out() {
        let network = WithoutGraph { key: "models.0".into(), prefix: "module.".into(), ..WithoutGraph::default() };
        let advice = network.error("no", Path::new("net.pth")).lines.join("\n");
        let line = r#"model.load_state_dict({name.removeprefix("module."): t for name, t in torch.load("net.pth", map_location="cpu")["models"][0].items()})"#;
        assert!(advice.contains(line), "{advice}");
        let saved = Saved::Module("torch.nn.parallel.data_parallel.DataParallel".into());
        let advice = WithoutGraph { saved, key: "net".into(), channels: Some(1), ..network };
        let advice = advice.error("no", Path::new("net.pth")).lines.join("\n");
        assert!(
            advice.contains("weights_only=False)[\"net\"].module.float()") && advice.contains("rand(1, 1, "),
            "{advice}"
        );
    }

    #[test]
    fn the_graph_never_replaces_the_file() {
        let to = |saved: Saved, path: &str| WithoutGraph { saved, ..WithoutGraph::default() }.exported(Path::new(path));
        assert_eq!(to(Saved::Module("N".into()), "a/net.pt2"), Path::new("a/net.graph.pt2"));
        assert_eq!(to(Saved::StateDict, "a/net.v2.pth"), Path::new("a/net.v2.pt2"));
        assert_eq!(to(Saved::Shards, "a/model.safetensors.index.json"), Path::new("a/model.pt2"));
    }
}

//! Untrusted names, wherever the program prints one: they are escaped, cannot forge a line of output, and are shortened.
//!
//! One row per place: the files that contain the name, and the command that prints it.

use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// A name with one of each: title and color sequences, C0 and C1 controls, text direction marks, invisible characters, and lines that
/// look like the program's own.
const NAME: &str = "n\u{1b}]0;T\u{7}\u{1b}[31m\u{8}\u{7f}\u{85}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}\r\nerror: f\nwarning: f";

/// The maximum length of any output.
const BOUND: usize = 200_000;

/// Lines that the name tries to forge.
const FORGED: [&str; 2] = ["error: f", "warning: f"];

/// A place where a name is printed.
struct Row {
    place: &'static str,
    files: Vec<(String, Vec<u8>)>,
    args: Vec<String>,
    /// Whether the escaped name must be visible.
    seen: bool,
    /// Whether the command must succeed.
    works: bool,
}

fn row(place: &'static str, files: &[(&str, Vec<u8>)], args: &[&str]) -> Row {
    let files = files.iter().map(|(path, bytes)| (path.to_string(), bytes.clone())).collect();
    Row { place, files, args: args.iter().map(ToString::to_string).collect(), seen: true, works: false }
}

fn works(row: Row) -> Row {
    Row { works: true, ..row }
}

fn hidden(row: Row) -> Row {
    Row { seen: false, ..row }
}

/// A text as a quoted rhai string.
fn quoted(text: &str) -> String {
    let letter = |c: char| match c {
        '\n' => "\\n".into(),
        '"' | '\\' => format!("\\{c}"),
        c if (' '..='~').contains(&c) => c.to_string(),
        c => format!("\\U{:08x}", c as u32),
    };
    format!("\"{}\"", text.chars().map(letter).collect::<String>())
}

/// The same for a comment, on a single line.
fn in_comment(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn method(body: &str) -> Vec<u8> {
    let doc = in_comment(NAME);
    format!("//! {doc}\n//! {doc}\nconst PLUGIN = #{{ group: \"attribution\" }};\nfn run(cx) {{ {body} }}\n")
        .into_bytes()
}

fn stepper(name: &str) -> Vec<u8> {
    let name = quoted(name);
    format!(
        "//! x\nconst PLUGIN = #{{ group: \"attack\", params: [param(\"p\", 1.0, 0.0..=2.0, {name}), param(\"layer\", layer(), {name})] }};\n\
         fn start(cx) {{ let s = #{{ scalars: #{{}} }}; s.scalars[{name}] = 1.0; s }}\n\
         fn step(cx, s) {{ cx.progress({name}, 1, 2); cx.note({name}); s.done = {name}; s }}\n\
         fn view(cx, s) {{ [text({name}, {name}), badge({name}, true)] }}\n"
    )
    .into_bytes()
}

fn architecture(name: &str) -> Vec<u8> {
    let (doc, name) = (in_comment(name), quoted(name));
    format!(
        "//! {doc}\nconst MODEL = #{{ names: [{name}], input: [1, 8, 8], labels: [{name}, \"b\"] }};\n\
         fn build(x) {{ x.flatten(\"flat\").linear({name}, 2) }}\n"
    )
    .into_bytes()
}

/// A safetensors file with this header and one number.
fn safetensors(header: &Value) -> Vec<u8> {
    let header = header.to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes()[..], &header, &[0; 4]].concat()
}

fn tensor_named(name: &str) -> Vec<u8> {
    safetensors(&json!({ name: { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] } }))
}

/// Zero weights for the built-in digits network, with class names in the metadata.
fn weights(label: &str) -> Vec<u8> {
    let architectures = Architectures::new(Folders::models(None).embedded_only(), &Arc::default());
    let (_, graph) = architectures.build("digits").unwrap();
    let tensor =
        |shape: &[usize]| candle_core::Tensor::zeros(shape, candle_core::DType::F32, &candle_core::Device::Cpu);
    let tensors: Vec<_> = graph.parameters().iter().map(|p| (p.name.clone(), tensor(&p.shape).unwrap())).collect();
    let labels: Vec<_> = (0..10).map(|i| format!("{label}{i}")).collect();
    let metadata = HashMap::from([("gradscope.labels".to_string(), serde_json::to_string(&labels).unwrap())]);
    safetensors::serialize(tensors, Some(metadata)).unwrap()
}

/// A file in PyTorch's format before 1.6 with a tensor of this name, whose storage "0" is missing.
fn pickled(name: &str) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    bytes.extend(b"\x80\x02}X\x0d\0\0\0little_endian\x88s.\x80\x02}X");
    bytes.extend((name.len() as u32).to_le_bytes());
    bytes.extend(name.as_bytes());
    bytes.extend(b"ctorch._utils\n_rebuild_tensor\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuL1L\ntQ");
    bytes.extend(b"L0L\n(L1L\nt(L1L\nttRs.\x80\x02]X\x01\0\0\x000a.");
    bytes.extend([&1i64.to_le_bytes()[..], &[0; 4]].concat());
    bytes
}

/// A zip archive whose members are in a folder of this name, without storages.
fn zipped(name: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(vec![]));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file(format!("{name}/data.pkl"), stored).unwrap();
    let whole = pickled("w");
    let start = whole.windows(4).position(|w| w == b"\x02}X\x01").unwrap() - 1;
    let end = start + whole[start..].windows(3).position(|w| w == b"Rs.").unwrap() + 3;
    archive.write_all(&whole[start..end]).unwrap();
    archive.finish().unwrap().into_inner()
}

fn npy(descr: &str) -> Vec<u8> {
    let head = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}\n");
    [b"\x93NUMPY\x01\x00", &(head.len() as u16).to_le_bytes()[..], head.as_bytes(), &[0; 8]].concat()
}

/// A NumPy archive with an empty array of this name.
fn arrays(name: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(vec![]));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file(format!("{name}.npy"), stored).unwrap();
    archive.finish().unwrap().into_inner()
}

/// A tar archive with a file of this name that is no picture, labeled.
fn tar(name: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(vec![]);
    for (name, bytes) in [(name, &b"text"[..]), (&name.replace(".png", ".cls"), b"3")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

/// A pickle of a dictionary with this key.
fn batch(key: &str) -> Vec<u8> {
    [&b"\x80\x02}X"[..], &(key.len() as u32).to_le_bytes(), key.as_bytes(), b"K\x00s."].concat()
}

/// A line of a CSV file with this text in each of two cells.
fn quoted_cells(text: &str) -> Vec<u8> {
    format!("\"{text}\",\"{text}\"\n").into_bytes()
}

fn png() -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    image::GrayImage::new(8, 8).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Names of tensors, types and members in weight files.
fn of_weights() -> Vec<Row> {
    let run = |file| ["run", "saliency", "-m", "digits", "-w", file];
    let bad_type = safetensors(&json!({ "w": { "dtype": NAME, "shape": [1], "data_offsets": [0, 4] } }));
    let index = json!({ "weight_map": { NAME: NAME } }).to_string().into_bytes();
    let shards = json!({ "weight_map": { NAME: "a.safetensors" } }).to_string().into_bytes();
    vec![
        row("a tensor", &[("w.safetensors", tensor_named(NAME))], &run("w.safetensors")),
        row(
            "a tensor that tells the network",
            &[("w.safetensors", tensor_named(NAME))],
            &["layers", "-w", "w.safetensors"],
        ),
        row("a type", &[("w.safetensors", bad_type)], &run("w.safetensors")),
        row("a pickled tensor", &[("w.pth", pickled(NAME))], &run("w.pth")),
        row("a member of a zip archive", &[("w.pth", zipped(NAME))], &run("w.pth")),
        row("an index's shard", &[("m.index.json", index)], &run("m.index.json")),
        row(
            "an index's tensor",
            &[("m.index.json", shards), ("a.safetensors", tensor_named("b"))],
            &run("m.index.json"),
        ),
        row("a weight file", &[], &run(NAME)),
        row("a key of a weight file", &[("w.pth", pickled("a"))], &run(&format!("w.pth:{NAME}"))),
        works(row(
            "labels of weights",
            &[("w.safetensors", weights(NAME))],
            &["classes", "-m", "digits", "-w", "w.safetensors"],
        )),
        works(row(
            "labels as JSON",
            &[("w.safetensors", weights(NAME))],
            &["classes", "-m", "digits", "-w", "w.safetensors", "--json"],
        )),
        works(row("labels of a run", &[("w.safetensors", weights(NAME))], &run("w.safetensors"))),
        works(row(
            "labels in a result",
            &[("w.safetensors", weights(NAME))],
            &[&run("w.safetensors")[..], &["--out", "o"]].concat(),
        )),
    ]
}

/// Names of pictures, folders and data sets.
fn of_data() -> Vec<Row> {
    let (file, folder) = (&format!("{NAME}.png"), &format!("folder:{NAME}"));
    let run = |picture| ["run", "saliency", "-m", "digits", "-i", picture];
    let eval = |spec| ["eval", "-m", "digits", "--data", spec];
    let classes = [(&format!("set/{NAME}/a.png")[..], png()), ("set/b/a.png", png())];
    let list = format!("a.png {}\n", in_comment(NAME)).into_bytes();
    let train = ["train", "-m", "digits", "--data", "folder:set", "--epochs", "1", "--out", "w.safetensors"];
    vec![
        row("a picture that is none", &[(file, b"text".to_vec())], &run(file)),
        row("a picture that is missing", &[], &run(file)),
        works(row("a picture", &[(file, png())], &run(file))),
        works(row("a picture in a result", &[(file, png())], &[&run(file)[..], &["--out", "o"]].concat())),
        works(row("a picture as JSON", &[(file, png())], &[&run(file)[..], &["--json"]].concat())),
        row("a type of numbers", &[("a.npy", npy(&in_comment(NAME)))], &run("a.npy")),
        row("a folder of pictures", &[(&format!("{NAME}/a.png"), png())], &eval(folder)),
        row("classes by folder", &classes, &eval("folder:set")),
        hidden(row("classes that are learned", &classes, &train)),
        row("classes by list", &[("set/labels.txt", list), ("set/a.png", png())], &eval("folder:set")),
        row("a data set", &[], &eval(NAME)),
        row("a made data set", &[], &eval(&format!("made:{NAME}"))),
        row("digits", &[], &eval(&format!("mnist:{NAME}"))),
        row("records", &[], &eval(&format!("cifar10:{NAME}"))),
        row("arrays", &[("a.npz", arrays(NAME))], &eval("npz:a.npz")),
        row("a picture in a shard", &[("a.tar", tar(&format!("{NAME}.png")))], &eval("webdataset:a.tar")),
        row("keys of a batch", &[("test_batch", batch(NAME))], &eval("cifar10:test_batch")),
        row("columns of a list", &[("a.csv", quoted_cells(NAME))], &eval("csv:a.csv")),
        row(
            "a picture in a list",
            &[("a.csv", [b"file,label\n", &quoted_cells(NAME)[..]].concat())],
            &eval("csv:a.csv"),
        ),
        row("a pattern of shards", &[], &eval(&format!("webdataset:{NAME}-{{0..1}}.tar"))),
        row("a split of arrays", &[("a.npz", arrays("x"))], &eval(&format!("npz:a.npz#{NAME}"))),
        works(row("a sheet", &[], &["run", "saliency", "-m", "digits", "--sheet", file])),
        works(row("a folder of results", &[], &["run", "saliency", "-m", "digits", "--out", NAME])),
    ]
}

/// Output of methods, architectures and programs.
fn of_scripts() -> Vec<Row> {
    let name = quoted(NAME);
    let figures = format!(
        "let m = #{{}}; m[{name}] = [1.0, 2.0]; [text({name}, {name}), badge({name}, true), table([{name}, \"b\"], [[{name}, 1]], {name}), bars([{name}, \"b\"], [1.0, 2.0], {name}), \
         heatmap(cx.input, {name}, #{{ note: {name} }}), line(m, {name})]"
    );
    let shows = method(&figures);
    let throws = method(&format!("throw {name}; []"));
    let notes = method(&format!("cx.note({name}); []"));
    let broken = format!(
        "//! x\nconst PLUGIN = #{{ group: \"attribution\" }};\nfn run(cx) {{ let = 1; }} // {}\n",
        in_comment(NAME)
    );
    let run = ["run", "a.rhai", "-m", "digits"];
    let models = |command: &'static str| [command, "--models", ".", "-m", NAME];
    let program = |body: &str| vec![("p.rhai", body.as_bytes().to_vec())];
    let script = &format!("{NAME}.rhai");
    vec![
        works(row("figures", &[("a.rhai", shows.clone())], &run)),
        works(row("figures as files", &[("a.rhai", shows.clone())], &[&run[..], &["--out", "o"]].concat())),
        works(row("figures as JSON", &[("a.rhai", shows.clone())], &[&run[..], &["--json"]].concat())),
        hidden(row("figures that are checked", &[("a.rhai", shows.clone())], &["check", "a.rhai"])),
        works(row("the doc of a method", &[("a.rhai", shows.clone())], &["methods", "--plugins", "."])),
        works(row("the doc of a method as JSON", &[("a.rhai", shows)], &["methods", "--plugins", ".", "--json"])),
        row("a thrown text", &[("a.rhai", throws.clone())], &run),
        row("a thrown text that is checked", &[("a.rhai", throws)], &["check", "a.rhai"]),
        works(row("a note", &[("a.rhai", notes.clone())], &run)),
        works(row("a note that is checked", &[("a.rhai", notes)], &["check", "a.rhai"])),
        row("the lines around an error", &[("a.rhai", broken.clone().into_bytes())], &run),
        row("the same of a broken method", &[("a.rhai", broken.into_bytes())], &["check", "a.rhai"]),
        works(row("a stepper", &[("a.rhai", stepper(NAME))], &run)),
        works(row("a stepper's result", &[("a.rhai", stepper(NAME))], &[&run[..], &["--out", "o"]].concat())),
        works(row("parameters", &[("a.rhai", stepper(NAME))], &["methods", "--plugins", ".", "--json"])),
        row("a script's name", &[(script, method("[heat()]"))], &["run", script]),
        row("a program's name", &[(script, b"heat()".to_vec())], &["exec", script]),
        row("a missing script", &[], &["run", script]),
        works(row("architectures", &[("a.rhai", architecture(NAME))], &["models", "--models", "."])),
        works(row("architectures as JSON", &[("a.rhai", architecture(NAME))], &["models", "--models", ".", "--json"])),
        works(row("layers", &[("a.rhai", architecture(NAME))], &models("layers"))),
        works(row("layers as JSON", &[("a.rhai", architecture(NAME))], &[&models("layers")[..], &["--json"]].concat())),
        works(row("classes", &[("a.rhai", architecture(NAME))], &models("classes"))),
        row(
            "parameters that are missing",
            &[("a.rhai", architecture(NAME)), ("w.safetensors", tensor_named("b"))],
            &[&models("layers")[..], &["-w", "w.safetensors"]].concat(),
        ),
        works(row(
            "a printed line",
            &program(&format!("print({});", quoted(&NAME.replace("\nerror", "error")))),
            &["exec", "p.rhai"],
        )),
        row("a program that throws", &program(&format!("throw {name};")), &["exec", "p.rhai"]),
        works(row("a program's figures", &program(&format!("show([badge({name}, true)]);")), &["exec", "p.rhai"])),
        row("a program's argument", &program("run(args[0], #{});"), &["exec", "p.rhai", NAME]),
    ]
}

/// Arguments, and files of other kinds.
fn of_arguments() -> Vec<Row> {
    let case =
        |method: &str| json!({ "cases": [{ "id": NAME, "method": method, "source": NAME }] }).to_string().into_bytes();
    let run = |option, value: &'static str| ["run", "fgsm", "-m", "digits", option, value];
    let option: &'static str = Box::leak(format!("--{NAME}").into_boxed_str());
    let set: &'static str = Box::leak(format!("{NAME}=1").into_boxed_str());
    let epsilon: &'static str = Box::leak(format!("epsilon={NAME}").into_boxed_str());
    let state = safetensors(&json!({
        "__metadata__": { "gradscope.run": json!({ "question": { NAME: NAME, "method": NAME } }).to_string() },
        "w": { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] }
    }));
    let checkpoint = safetensors(&json!({
        "__metadata__": { "gradscope.training": json!({ "model": NAME }).to_string() },
        "w": { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] }
    }));
    vec![
        row("a command", &[], &[NAME]),
        row("an option", &[], &[option]),
        row("an option of a command", &[], &run(option, "1")),
        row("a surplus argument", &[], &["methods", NAME]),
        row("a method", &[], &["run", NAME]),
        row("a model", &[], &["layers", "-m", NAME]),
        row("a class", &[], &run("-t", NAME)),
        row("a parameter", &[], &run("--set", set)),
        row("a value", &[], &run("--set", epsilon)),
        row("a setting without a value", &[], &run("--set", NAME)),
        row("a number", &[], &run("--seed", NAME)),
        row("a way of drawing", &[], &run("--graphics", NAME)),
        row("a device", &[], &run("--device", NAME)),
        row("a folder of scripts", &[], &["methods", "--plugins", NAME]),
        hidden(row("a session", &[], &["--session", NAME])),
        row("a new method", &[], &["new", NAME]),
        row("a word of the reference", &[], &["api", NAME]),
        row("a checked method", &[], &["check", NAME]),
        row("a program", &[], &["exec", NAME]),
        row("an optimizer", &[], &["train", "-m", "digits", "--data", "made:digits", "--optimizer", NAME]),
        row("a schedule", &[], &["train", "-m", "digits", "--data", "made:digits", "--schedule", NAME]),
        row("a file of cases", &[], &["selftest", "--cases", NAME]),
        hidden(row(
            "a method of cases",
            &[("c.json", case("gradcam"))],
            &["selftest", "--cases", "c.json", "--method", NAME],
        )),
        row("cases", &[("c.json", case("gradcam"))], &["selftest", "--cases", "c.json"]),
        row("cases of a method", &[("c.json", case(NAME))], &["selftest", "--cases", "c.json"]),
        row("cases as JSON", &[("c.json", case(NAME))], &["selftest", "--cases", "c.json", "--json"]),
        hidden(row(
            "a kept run",
            &[("o/state.safetensors", state)],
            &["run", "pgd", "-m", "digits", "--out", "o", "--resume"],
        )),
        hidden(row(
            "a checkpoint",
            &[("w.checkpoint", checkpoint)],
            &["train", "-m", "digits", "--data", "made:digits", "--out", "w.safetensors", "--resume"],
        )),
    ]
}

/// Names one megabyte long.
fn at_length() -> Vec<Row> {
    let long = &"long ".repeat(200_000);
    let arg: &str = &long[..100_000];
    let name = quoted(long);
    let run = ["run", "a.rhai", "-m", "digits"];
    let rows = vec![
        row(
            "a long tensor",
            &[("w.safetensors", tensor_named(long))],
            &["run", "saliency", "-m", "digits", "-w", "w.safetensors"],
        ),
        row(
            "a long type",
            &[("w.safetensors", safetensors(&json!({ "w": { "dtype": long } })))],
            &["layers", "-w", "w.safetensors"],
        ),
        row("a long pickled tensor", &[("w.pth", pickled(long))], &["run", "saliency", "-m", "digits", "-w", "w.pth"]),
        row(
            "a long label",
            &[("w.safetensors", weights(&long[..90_000]))],
            &["run", "saliency", "-m", "digits", "-w", "w.safetensors"],
        ),
        row(
            "long labels",
            &[("w.safetensors", weights(&long[..90_000]))],
            &["classes", "-m", "digits", "-w", "w.safetensors"],
        ),
        row("a long title", &[("a.rhai", method(&format!("[badge({name}, true)]")))], &run),
        row("a long text", &[("a.rhai", method(&format!("[text({name}, {name})]")))], &run),
        row("a long throw", &[("a.rhai", method(&format!("throw {name}; []")))], &run),
        row("a long note", &[("a.rhai", method(&format!("cx.note({name}); []")))], &run),
        row("a long layer", &[("a.rhai", architecture(long))], &["layers", "-m", "a.rhai"]),
        row("a long command", &[], &[arg]),
        row("a long method", &[], &["run", arg]),
        row("a long class", &[], &["run", "fgsm", "-t", arg]),
        row("a long value", &[], &["run", "fgsm", "--set", &format!("epsilon={arg}")]),
        row("a long data set", &[], &["eval", "--data", arg]),
        row("a long picture", &[], &["run", "fgsm", "-i", arg]),
        row("a long word", &[], &["api", arg]),
    ];
    rows.into_iter().map(hidden).collect()
}

fn run(row: &Row, folder: &Path) -> Output {
    for (path, bytes) in &row.files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.args(&row.args).current_dir(folder).env("HOME", folder).env("XDG_CONFIG_HOME", folder);
    command.env("GRADSCOPE_CACHE", "").env_remove("RUST_BACKTRACE").stdin(Stdio::null()).output().unwrap()
}

/// Whether a character may be printed.
fn is_harmless(c: char) -> bool {
    let hidden = matches!(c as u32, 0xad | 0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff);
    c == '\n' || c == '\t' || !(c.is_control() || hidden)
}

/// The text files written by the command, without those given to it.
fn written(folder: &Path, given: &[(String, Vec<u8>)]) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let ending = entry.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        if entry.is_dir() {
            all += &written(&entry, given);
        } else if ["json", "txt", "csv", "tsv", "log"].contains(&&ending[..])
            && !given.iter().any(|(name, _)| entry.ends_with(name))
        {
            all += &fs::read_to_string(&entry).unwrap();
        }
    }
    all
}

fn check(rows: Vec<Row>) {
    for row in rows {
        let folder = TempDir::new().unwrap();
        let out = run(&row, folder.path());
        let [stdout, stderr] = [&out.stdout, &out.stderr].map(|bytes| String::from_utf8(bytes.clone()).unwrap());
        let files = written(folder.path(), &row.files);
        let place = row.place;
        for text in [&stdout, &stderr, &files] {
            let bad: Vec<_> = text.chars().filter(|c| !is_harmless(*c)).collect();
            assert!(bad.is_empty(), "{place}: {bad:?} in {text:?}");
            assert!(
                text.len() < BOUND,
                "{place}: {} bytes: {}",
                text.len(),
                text.chars().take(3000).collect::<String>()
            );
        }
        assert!(matches!(out.status.code(), Some(0..=2)), "{place}: {:?} {stderr}", out.status);
        assert!(!row.works || out.status.success(), "{place}: {stderr}");
        let own = |line: &&str| line.starts_with("error") || line.starts_with("warning");
        let errors: Vec<_> = stderr.lines().filter(own).collect();
        assert!(errors.len() <= 1 && !errors.iter().any(|line| FORGED.contains(line)), "{place}: {stderr}");
        assert!(
            !stdout.lines().any(|line| line.starts_with("error: f"))
                || place.contains("figures")
                || place.contains("stepper"),
            "{place}: {stdout}"
        );
        let all = format!("{stdout}{stderr}{files}");
        // As plain text, within JSON, and in a sentence within JSON.
        let escaped = ["n\\x1b]0;T\\x07", "n\\u001b]0;T\\u0007", "n\\\\x1b]0;T\\\\x07"];
        assert!(!row.seen || escaped.iter().any(|name| all.contains(name)), "{place}: {all}");
    }
}

#[test]
fn names_in_weight_files_are_shown_escaped() {
    check(of_weights());
}

#[test]
fn names_of_pictures_and_data_sets_are_shown_escaped() {
    check(of_data());
}

#[test]
fn output_of_scripts_is_shown_escaped() {
    check(of_scripts());
}

#[test]
fn arguments_and_other_files_are_shown_escaped() {
    check(of_arguments());
}

#[test]
fn long_names_are_shortened() {
    check(at_length());
}

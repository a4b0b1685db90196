//! Fuzz targets: one function for each kind of external file or text. `fuzz/` runs the same functions under libFuzzer.

use candle_core::{DType, Device, Tensor};
use gradscope::cli::config;
use gradscope::data::formats::npy;
use gradscope::data::{Dataset, Picture, source};
use gradscope::graph::{Builder, op};
use gradscope::model::{Card, Model, onnx, pt2, weights};
use gradscope::script::folders::{Folders, ScriptSource};
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use gradscope::script::session::workspace::Workspace;
use gradscope::selftest::Selftest;
use gradscope::train;
use gradscope::tui::terminal::{caps, input};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Time limit after which a script is cancelled.
const PATIENCE: Duration = Duration::from_millis(400);

/// A fuzz target.
pub struct Target {
    /// Its name, and that of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Parses arbitrary bytes.
    pub run: fn(&[u8]),
}

/// All targets, one per parser.
pub const TARGETS: [Target; 22] = [
    Target { name: "weights", run: weights },
    Target { name: "index", run: index },
    Target { name: "checkpoint", run: checkpoint },
    Target { name: "onnx", run: onnx },
    Target { name: "pt2", run: pt2 },
    Target { name: "pictures", run: pictures },
    Target { name: "npy", run: arrays },
    Target { name: "mnist", run: mnist },
    Target { name: "cifar", run: cifar },
    Target { name: "pickle", run: pickle },
    Target { name: "npz", run: archive },
    Target { name: "webdataset", run: shards },
    Target { name: "parquet", run: tables },
    Target { name: "list", run: lists },
    Target { name: "cases", run: cases },
    Target { name: "session", run: session },
    Target { name: "state", run: state },
    Target { name: "config", run: configuration },
    Target { name: "script", run: script },
    Target { name: "architecture", run: architecture },
    Target { name: "terminal", run: terminal },
    Target { name: "input", run: keys },
];

/// The target with this name.
#[allow(dead_code, reason = "used by the libFuzzer programs")]
pub fn run(name: &str, bytes: &[u8]) {
    TARGETS.iter().filter(|target| target.name == name).for_each(|target| (target.run)(bytes));
}

fn weights(bytes: &[u8]) {
    let Ok(weights) = weights::parse(bytes) else { return };
    let held: usize = weights.tensors.values().map(|t| t.elem_count() * t.dtype().size_in_bytes()).sum();
    assert!(held <= 64 * bytes.len() + (1 << 20), "{} bytes became {held}", bytes.len());
}

/// An index of shards, next to valid shards.
fn index(bytes: &[u8]) {
    let shards = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints/shards");
    for name in ["model.safetensors.index.json", "pytorch_model.bin.index.json"] {
        on_disk(name, bytes, |folder| {
            for file in std::fs::read_dir(&shards).into_iter().flatten().flatten() {
                let to = folder.join(file.file_name());
                if !to.exists() {
                    std::fs::copy(file.path(), to).expect("a shard");
                }
            }
            if let Ok(archive) = weights::open(&folder.join(name)) {
                let _ = archive.all();
            }
        });
    }
}

/// Four pictures.
fn few() -> Dataset {
    let pixels = (0..4 * 48).map(|i| (i * 31 % 256) as u8).collect();
    Dataset::of_bytes("made", vec![], [3, 4, 4], pixels, vec![0, 1, 2, 1]).expect("a data set")
}

/// A trainer at the start of training.
pub fn training() -> train::Trainer {
    let session = stepped(&host());
    let options = train::TrainingOptions { epochs: 2, batch: 2, ..train::TrainingOptions::default() };
    let model = session.model();
    train::Trainer::new(&model.graph, &model.card, few(), options).expect("a trainer")
}

/// A checkpoint from which training resumes.
fn checkpoint(bytes: &[u8]) {
    let fresh = training();
    let session = stepped(&host());
    let model = session.model();
    on_disk("training.safetensors", bytes, |folder| {
        let file = folder.join("training.safetensors");
        if let Ok(mut on) = train::Trainer::resume(&file, &model.graph, &model.card, few()) {
            let _ = on.step();
        }
        let _ = fresh.wrote(&file);
    });
}

/// A graph, which also runs if it is small.
fn graph(read: impl FnOnce() -> anyhow::Result<onnx::Network>) {
    let Ok(network) = read() else { return };
    let shape = network.graph.nodes[0].shape.clone();
    let elements: usize = network.graph.nodes.iter().map(|n| n.shape.iter().product::<usize>()).sum();
    if elements < 1 << 20 {
        let x = Tensor::zeros(shape, DType::F32, &Device::Cpu).expect("a picture");
        let graph = Arc::new(network.graph);
        let _ = graph.forward_until(&x, &|_| Ok(()));
    }
}

fn onnx(bytes: &[u8]) {
    graph(|| onnx::read(bytes.to_vec(), None, &onnx::ReadOptions::default()));
}

fn pt2(bytes: &[u8]) {
    on_disk("net.pt2", bytes, |folder| graph(|| pt2::read(&folder.join("net.pt2"), &onnx::ReadOptions::default())));
}

fn pictures(bytes: &[u8]) {
    if let Ok(picture) = Picture::parse(bytes) {
        let _ = picture.thumbnail(32);
        let _ = picture.shape();
    }
}

fn arrays(bytes: &[u8]) {
    let _ = npy::parse_npy(bytes);
}

/// Writes the bytes to a file of this name in a temporary folder.
fn on_disk(name: &str, bytes: &[u8], read: impl Fn(&Path)) {
    let folder = tempfile::tempdir().expect("a folder for files");
    std::fs::write(folder.path().join(name), bytes).expect("writing a file");
    read(folder.path());
}

fn all_of(spec: &str) {
    if let Ok(set) = source::open(spec) {
        (0..set.len().min(3)).for_each(|i| drop(set.picture(i)));
    }
}

fn mnist(bytes: &[u8]) {
    // Pictures and labels in one input, split at a fixed distance from the end.
    let cut = bytes.len().saturating_sub(12);
    on_disk("train-images-idx3-ubyte", &bytes[..cut], |folder| {
        for (name, part) in [("train-labels-idx1-ubyte", &bytes[cut..]), ("t10k-images-idx3-ubyte", &bytes[..cut])] {
            std::fs::write(folder.join(name), part).expect("writing a file");
        }
        std::fs::write(folder.join("t10k-labels-idx1-ubyte"), &bytes[cut..]).expect("writing a file");
        all_of(&format!("mnist:{}", folder.display()));
    });
}

fn cifar(bytes: &[u8]) {
    on_disk("a.bin", bytes, |folder| all_of(&format!("cifar10:{}", folder.join("a.bin").display())));
}

/// A batch of CIFAR's Python version, and the names of CIFAR-100's classes.
fn pickle(bytes: &[u8]) {
    on_disk("test", bytes, |folder| {
        all_of(&format!("cifar10:{}", folder.join("test").display()));
        std::fs::write(folder.join("meta"), bytes).expect("writing a file");
        all_of(&folder.display().to_string());
    });
}

fn archive(bytes: &[u8]) {
    on_disk("a.npz", bytes, |folder| {
        let file = folder.join("a.npz").display().to_string();
        all_of(&file);
        all_of(&source::to_learn_from(&file));
    });
}

fn shards(bytes: &[u8]) {
    on_disk("a.tar", bytes, |folder| all_of(&folder.display().to_string()));
}

fn tables(bytes: &[u8]) {
    on_disk("test-0.parquet", bytes, |folder| all_of(&folder.display().to_string()));
}

/// Lists of classes, which name two pictures and ImageNet's classes.
fn lists(bytes: &[u8]) {
    for name in ["labels.csv", "a.tsv", "labels.txt", "val_annotations.txt", "ILSVRC2012_validation_ground_truth.txt"] {
        on_disk(name, bytes, |folder| {
            for picture in ["a.png", "b c.png"] {
                image::GrayImage::new(2, 2).save(folder.join(picture)).expect("writing a picture");
            }
            all_of(&format!("folder:{}", folder.display()));
            all_of(&format!("csv:{}", folder.join(name).display()));
        });
    }
}

fn cases(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Selftest::default().run_text(text, None);
    }
}

fn session(bytes: &[u8]) {
    on_disk("last.json", bytes, |folder| drop(Workspace::read(&folder.join("last.json"))));
}

/// A method whose state contains everything that a snapshot can store.
pub const STEPPED: &str = "const PLUGIN = #{ group: \"x\" };
fn start(cx) { #{ x: cx.input, n: 1, list: [1, 2.5, \"three\", true, ()], map: #{ a: #{ b: [] } } } }
fn step(cx, s) { s.n += 1; s.x *= 0.5; s }
fn view(cx, s) { [heatmap(s.x.mean(1, true), \"x\")] }
";

/// A session on a network with one layer.
pub fn stepped(host: &Host) -> Session {
    let mut b = Builder::new(&[3, 4, 4]);
    let x = b.add("flatten", op::Flatten, &[0]).expect("a layer");
    let x = b.add("fc", op::Linear { input: 48, output: 3, bias: true }, &[x]).expect("a layer");
    let graph = b.finish(x).expect("a graph");
    let weight = |count: usize| (0..count).map(|i| (i * 37 % 101) as f32 / 101.0 - 0.5).collect::<Vec<_>>();
    let tensor = |shape: Vec<usize>| Tensor::from_vec(weight(shape.iter().product()), shape, &Device::Cpu);
    let weights = graph.parameters().into_iter().map(|p| (p.name, tensor(p.shape).expect("a weight")));
    let graph = graph.with_weights(weights.collect()).expect("weights");
    let card = Card {
        mean: vec![0.5; 3],
        std: vec![0.25; 3],
        labels: ["ant", "bee", "cat"].map(String::from).into(),
        ..Card::plain("tiny", [3, 4, 4])
    };
    let model = Model { card: Arc::new(card), graph: Arc::new(graph), hash: "tiny".into(), taken: "".into() };
    let picture = Tensor::full(0.25f32, (1, 3, 4, 4), &Device::Cpu).expect("a picture");
    Session::new(host, model, "picture", picture.to_dtype(DType::F32).expect("a picture")).expect("a session")
}

fn host() -> Host {
    Host::new(Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only())
}

fn state(bytes: &[u8]) {
    let host = host();
    let mut session = stepped(&host);
    session.open(host.compile(text(STEPPED)).expect("a method"));
    if session.restore(bytes).is_ok() {
        let _ = session.view(&host);
        let _ = session.step(&host);
    }
    on_disk("w.safetensors", bytes, |folder| drop(train::labels(&folder.join("w.safetensors"))));
}

fn configuration(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = config::parse(text);
    }
}

fn text(text: &str) -> ScriptSource {
    ScriptSource::of_text("probe", text)
}

/// Compiles a script and runs it briefly.
fn script(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    let host = host();
    let guard = host.guard().clone();
    let (ended, watch) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if watch.recv_timeout(PATIENCE).is_err() {
            guard.cancel();
        }
    });
    if let Ok(method) = host.compile(text(source)) {
        let mut session = stepped(&host);
        session.open(method);
        if session.view(&host).is_ok() {
            let _ = session.step(&host);
            let _ = session.snapshot();
        }
    }
    let _ = ended.send(());
    watch.join().expect("the watch ends");
}

fn architecture(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("net.rhai"), source).expect("writing a file");
    let host = Host::new(Folders::plugins(None).embedded_only(), Folders::models(Some(folder.path())));
    let architectures = gradscope::script::architecture::Architectures::new(host.models().clone(), host.guard());
    let _ = architectures.build(&folder.path().join("net.rhai").display().to_string());
}

fn terminal(bytes: &[u8]) {
    let caps = caps::parse(bytes);
    assert!(caps.name.len() < 200 && caps.cell.is_none_or(|(w, h)| (1..=128).contains(&w) && (1..=256).contains(&h)));
}

/// Terminal input: keys, mouse wheel events and responses.
fn keys(bytes: &[u8]) {
    use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let mut filter = input::Filter::default();
    let mut now = std::time::Instant::now();
    for piece in bytes.chunks(4) {
        let byte = |i: usize| piece.get(i).copied().unwrap_or_default();
        let place = |i: usize| u16::from_le_bytes([byte(i), byte(i + 1)]);
        let code = char::from_u32(u32::from(place(2))).unwrap_or('\u{1b}');
        let modifiers = KeyModifiers::from_bits_truncate(byte(1));
        let mouse = |kind| Event::Mouse(MouseEvent { kind, column: place(1), row: place(2), modifiers });
        let event = match byte(0) % 8 {
            0..=2 => Event::Key(KeyEvent::new(KeyCode::Char(code), modifiers)),
            3 => Event::Key(KeyEvent::new(KeyCode::Enter, modifiers)),
            4 => Event::Paste(String::from_utf8_lossy(piece).into_owned()),
            5 => Event::Resize(place(1), place(2)),
            6 => mouse(MouseEventKind::ScrollDown),
            _ => mouse(MouseEventKind::Down(MouseButton::Left)),
        };
        let _ = filter.take(event, now);
        now += Duration::from_millis(u64::from(byte(3)));
    }
}

//! Fuzzing: mutated files, scripts and terminal responses for every parser. No panics, no wrong results, no endless runs.
//!
//! The ordinary tests run a few mutants per target; `GRADSCOPE_FUZZ_SECONDS=600 cargo test --release --test fuzz` (`just fuzz`)
//! runs that long, with a new seed each time. Failing inputs are written to `fuzz/corpus` and run first from then on.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod mutate;
mod targets;

use common::random::Random;
use gradscope::data::{Picture, write_npy};
use gradscope::memory;
use gradscope::script::folders::{Folders, ScriptSource};
use gradscope::script::host::Host;
use image::{DynamicImage, ImageFormat};
use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use targets::{TARGETS, Target};

/// Counts allocations, as in the program, so that scripts that hoard memory end with an error.
#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// Mutants per target in the ordinary tests; fewer for scripts and cases, which are slower.
const FEW: usize = 150;
/// Time limit per input.
const LONG: Duration = Duration::from_secs(20);
/// Memory limit of the program, as counted by itself.
const BUDGET: usize = 2 << 30;
/// Memory limit of the entire test process, as counted by the system.
const MEMORY: usize = 3 << 30;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(|path| fs::read(path).unwrap()).collect()
}

/// The subfolders of a folder.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Valid inputs, which are mutated.
fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let fixtures = root().join("tests/fixtures");
    match target.name {
        "weights" => [files(&fixtures.join("formats")), files(&fixtures.join("checkpoints"))].concat(),
        "index" => files(&fixtures.join("checkpoints/shards")).into_iter().filter(|bytes| bytes.starts_with(b"{")).collect(),
        "checkpoint" => {
            let folder = tempfile::tempdir().unwrap();
            let (file, mut training) = (folder.path().join("a.safetensors"), targets::training());
            let mut written = || {
                training.step().unwrap();
                training.save(&file).unwrap();
                fs::read(&file).unwrap()
            };
            vec![written(), written()]
        }
        "pictures" => [files(&fixtures.join("jpeg")), drawn()].concat(),
        "onnx" | "pt2" => graphs(target.name),
        "npy" => arrays(),
        "mnist" => {
            let head = [0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 28, 0, 0, 0, 28];
            vec![[&head[..], &[7; 4 * 784], &[0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 4]].concat()]
        }
        "cifar" => vec![(0..4 * 3073).map(|i| (i % 10) as u8).collect()],
        "pickle" => data_sets(&["test_batch", "cifar100.pkl", "cifar100_5.pkl", "fortran.pkl"]),
        "npz" => data_sets(&["keras.npz", "medmnist.npz", "floats.npz", "unnamed.npz"]),
        "webdataset" => data_sets(&["shard-000000.tar"]),
        "parquet" => data_sets(&["test-00000-of-00001.parquet", "plain.parquet", "datasets.parquet", "paths.parquet", "delta.parquet"]),
        "list" => ["file,label\na.png,1\n\"b c.png\",2\n", "a.png tabby\nb c.png n02111889", "ImageId\tPredictionString\na\tn02111889 1 2 3 4\n", "490\n361\n"]
            .map(|text| text.as_bytes().to_vec())
            .into(),
        "cases" => vec![small_cases()],
        "session" => vec![
            br#"{"form":1,"model":"shapes","weights":null,"picture":"made:shapes[3]","no_resize":false,"method":"gradcam","target":3,"set":[["layer","a"]],"seed":0,"data":null}"#
                .to_vec(),
        ],
        "state" => {
            let host = Host::new(Folders::plugins(None), Folders::models(None));
            let mut session = targets::stepped(&host);
            let source = ScriptSource::of_text("probe", targets::STEPPED);
            session.open(host.compile(source).unwrap());
            session.view(&host).unwrap();
            session.step(&host).unwrap();
            vec![session.snapshot().unwrap()]
        }
        "config" => vec![br##"#{ colors: "viridis", graphics: "half", keys: #{ "x": "play", "ctrl-s": "save" }, theme: #{ title: "bold #ff8800" } }"##.to_vec()],
        "script" => folders(&root().join("plugins")).iter().flat_map(|folder| files(folder)).collect(),
        "architecture" => {
            folders(&root().join("models")).iter().flat_map(|folder| files(folder)).filter(|bytes| bytes.starts_with(b"//!")).collect()
        }
        "terminal" => vec![b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.41.1)\x1b\\\x1b[6;18;9t\x1b[?62;4;22c".to_vec()],
        "input" => vec![(0..=255).collect()],
        other => panic!("no seeds for {other}"),
    }
}

/// Files of tests/fixtures/data_sets.
fn data_sets(names: &[&str]) -> Vec<Vec<u8>> {
    let folder = root().join("tests/fixtures/data_sets");
    names.iter().map(|name| fs::read(folder.join(name)).unwrap()).collect()
}

/// A picture in each supported format.
fn drawn() -> Vec<Vec<u8>> {
    let pixels = image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, (x * y) as u8]));
    let picture = DynamicImage::from(pixels);
    let kinds = [ImageFormat::Png, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::WebP];
    let encode = |picture: &DynamicImage, kind| {
        let mut bytes = Cursor::new(vec![]);
        picture.write_to(&mut bytes, kind).unwrap();
        bytes.into_inner()
    };
    let mut all: Vec<_> = kinds.into_iter().map(|kind| encode(&picture, kind)).collect();
    all.extend(
        [DynamicImage::from(picture.to_luma8()), picture.to_rgba16().into()]
            .iter()
            .map(|p| encode(p, ImageFormat::Png)),
    );
    all.iter().for_each(|bytes| drop(Picture::parse(bytes).unwrap()));
    all
}

fn arrays() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.npy");
    let shapes: [&[usize]; 4] = [&[], &[3], &[3, 4, 5], &[1, 3, 4, 4]];
    let written = |shape: &&[usize]| {
        let numbers: Vec<f32> = (0..shape.iter().product::<usize>()).map(|i| i as f32 / 10.0).collect();
        write_npy(&file, shape, &numbers).unwrap();
        fs::read(&file).unwrap()
    };
    shapes.iter().map(written).collect()
}

/// The exported networks of this format.
fn graphs(ending: &str) -> Vec<Vec<u8>> {
    let folder = root().join("tests/fixtures/graphs");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == ending)).map(|path| fs::read(path).unwrap()).collect()
}

/// A few of the repository's test cases.
fn small_cases() -> Vec<u8> {
    let text = fs::read_to_string(root().join("tests/fixtures/cases.json")).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array_mut().unwrap();
    cases.sort_by_key(|case| case.to_string().len());
    cases.truncate(4);
    serde_json::to_vec(&file).unwrap()
}

/// Runs one input; returns the reason if it fails.
fn failure(target: &Target, input: &[u8]) -> Option<String> {
    let begun = Instant::now();
    let went = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    match went {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Some(text.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default())
        }
        Ok(()) if begun.elapsed() > LONG => Some(format!("it took {:?}", begun.elapsed())),
        Ok(()) => None,
    }
}

/// Saves an input that failed; it is run first from now on.
fn keep(target: &Target, input: &[u8]) -> PathBuf {
    let folder = root().join("fuzz/corpus").join(target.name);
    fs::create_dir_all(&folder).unwrap();
    let name =
        input.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    let file = folder.join(format!("{name:016x}"));
    fs::write(&file, input).unwrap();
    file
}

fn mutant(target: &Target, seeds: &[Vec<u8>], dice: &mut Random) -> Vec<u8> {
    let (of, other) = (dice.one_of(seeds).clone(), dice.one_of(seeds).clone());
    let is_script = ["script", "architecture", "config"].contains(&target.name);
    match (is_script, std::str::from_utf8(&of), std::str::from_utf8(&other)) {
        (true, Ok(of), Ok(other)) => mutate::script(of, other, dice).into_bytes(),
        _ => mutate::bytes(&of, &other, dice),
    }
}

/// Peak memory of this process in bytes.
fn most_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or_default() << 10
}

fn attack(target: &Target, seed: u64, go_on: impl Fn(usize) -> bool) -> usize {
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{} has no valid inputs to mutate", target.name);
    let corpus = files(&root().join("fuzz/corpus").join(target.name));
    for input in seeds.iter().filter(|_| target.name != "script").chain(&corpus) {
        if let Some(why) = failure(target, input) {
            panic!("{} fails on a known input of {} bytes: {why}", target.name, input.len());
        }
    }
    let mut dice = Random(seed);
    let mut count = 0;
    while go_on(count) {
        let input = mutant(target, &seeds, &mut dice);
        if let Some(why) = failure(target, &input) {
            panic!("{}: {why}; the input is {}", target.name, keep(target, &input).display());
        }
        count += 1;
    }
    assert!(most_memory() < MEMORY, "{} took {} MiB", target.name, most_memory() >> 20);
    count
}

#[test]
fn mutants_of_every_kind_of_input_are_rejected_or_read() {
    memory::limit_to(memory::MemorySize(BUDGET));
    let seconds = std::env::var("GRADSCOPE_FUZZ_SECONDS").ok().and_then(|text| text.parse::<f64>().ok());
    let only = std::env::var("GRADSCOPE_FUZZ_TARGET").ok();
    let chosen: Vec<_> = TARGETS.iter().filter(|t| only.as_ref().is_none_or(|name| *name == t.name)).collect();
    let seed = match seconds {
        Some(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64,
        None => 1,
    };
    for target in &chosen {
        let begun = Instant::now();
        let slow = ["script", "cases", "architecture", "state", "index", "checkpoint"].contains(&target.name);
        let count = match seconds.map(|all| Duration::from_secs_f64(all / chosen.len() as f64)) {
            Some(limit) => attack(target, seed, |_| begun.elapsed() < limit),
            None => attack(target, seed, |count| count < if slow { FEW / 5 } else { FEW }),
        };
        println!("{:13} {count} mutants in {:.1} s, seed {seed}", target.name, begun.elapsed().as_secs_f64());
    }
    println!("at most {} MiB", most_memory() >> 20);
}

//! Reproducibility: results are bit-identical for any number of threads, and for any batch size if sums are direct; otherwise
//! the difference is bounded.

use candle_core::Tensor;
use gradscope::backend;
use gradscope::data::source;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use tempfile::TempDir;

/// The arrays and weights that a command writes when run on this many threads.
fn written(args: &[&str], threads: usize) -> BTreeMap<String, Vec<u8>> {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.args(args).current_dir(folder.path()).env("HOME", folder.path());
    let out = command.env("RAYON_NUM_THREADS", threads.to_string()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let files = fs::read_dir(folder.path().join("out")).unwrap().flatten();
    let kept = files.filter(|e| e.path().extension().is_some_and(|e| e == "npy" || e == "safetensors"));
    kept.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let commands: [&[&str]; 5] = [
        &["run", "saliency", "--out", "out"],
        &["run", "lrp", "--out", "out"],
        &["run", "occlusion", "--set", "stride=8", "--out", "out"],
        &["run", "smoothgrad", "--out", "out"],
        &["run", "pgd", "--steps", "5", "--set", "stop=false", "--out", "out"],
    ];
    for args in &commands {
        let one = written(args, 1);
        assert!(!one.is_empty());
        for threads in [2, 3, 7] {
            assert!(written(args, threads) == one, "{args:?} on {threads} threads");
        }
    }
    let train: &[&str] =
        &["train", "-m", "moons", "--data", "made:moons", "--epochs", "2", "--batch", "48", "-o", "out/w.safetensors"];
    let trained = |threads| {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
        command.args(train).current_dir(folder.path()).env("HOME", folder.path());
        assert!(command.env("RAYON_NUM_THREADS", format!("{threads}")).output().unwrap().status.success());
        fs::read(folder.path().join("out/w.safetensors")).unwrap()
    };
    let one = trained(1);
    assert!([2, 3, 7].into_iter().all(|threads| trained(threads) == one), "training");
}

/// Logits of the embedded network for its own pictures, in one batch and one by one.
fn logits(count: usize, exact: bool) -> (Vec<f32>, Vec<f32>) {
    let host = Host::new(Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
    let model = Architectures::new(host.models().clone(), host.guard()).open("shapes", None).unwrap();
    let set = source::open("made:shapes").unwrap();
    let batch = set.batch(&(0..count).collect::<Vec<_>>(), &model.card.preprocess()).unwrap();
    let numbers = |x: &Tensor| {
        let logits = backend::with_direct_sums(exact, || model.graph.logits(x)).unwrap();
        logits.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let alone = (0..count).flat_map(|i| numbers(&batch.narrow(0, i, 1).unwrap())).collect();
    (numbers(&batch), alone)
}

#[test]
fn a_picture_has_the_same_bits_in_any_batch_where_sums_are_direct_and_nearly_the_same_elsewhere() {
    for count in [2, 3, 8, 17] {
        let (together, alone) = logits(count, true);
        assert!(together == alone, "{count} pictures, direct sums");
        let (together, alone) = logits(count, false);
        let most = alone.iter().fold(0f32, |most, v| most.max(v.abs()));
        let apart = together.iter().zip(&alone).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(apart <= 1e-5 * most, "{count} pictures: {apart} of {most}");
    }
}

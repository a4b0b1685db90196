//! Reproducibility: results are bit-identical for any number of threads, and for any batch size if sums are direct; otherwise
//! the difference is bounded.

use candle_core::Tensor;
use gradscope::backend::Accumulation;
use gradscope::data::source;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;
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
}

/// A network whose weight gradients use Winograd transforms of both sizes, with batch norms.
const CONVOLUTIONS: &str = r#"
const MODEL = #{ names: ["net"], input: [1, 28, 28], mean: [0.5], std: [0.5],
                 labels: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] };
fn build(x) {
    x.conv("conv1", 16, 3, #{ padding: 1 }).batch_norm("bn1").relu("relu1").max_pool("pool1", 2)
     .conv("conv2", 20, 5, #{ padding: 2 }).batch_norm("bn2").relu("relu2").max_pool("pool2", 2)
     .conv("conv3", 24, 3, #{ padding: 1 }).relu("relu3").flatten("flatten").linear("fc", 10)
}
"#;

#[test]
fn training_gives_the_same_bits_on_any_number_of_threads() {
    let trained = |args: &[&str], threads: usize| {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("net.rhai"), CONVOLUTIONS).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
        command.arg("train").args(args).args(["-o", "w.safetensors"]);
        command.current_dir(folder.path()).env("HOME", folder.path()).env("RAYON_NUM_THREADS", threads.to_string());
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        fs::read(folder.path().join("w.safetensors")).unwrap()
    };
    let moons = ["-m", "moons", "--data", "made:moons", "--epochs", "2", "--batch", "48"];
    let convolutions = ["-m", "net.rhai", "--data", "made:digits", "--epochs", "1", "--batch", "200"];
    for args in [&moons[..], &convolutions] {
        let one = trained(args, 1);
        assert!([2, 3, 7].into_iter().all(|threads| trained(args, threads) == one), "{args:?}");
    }
}

/// Logits of the embedded network for its own pictures, in one batch and one by one.
fn logits(count: usize, exact: bool) -> (Vec<f32>, Vec<f32>) {
    let host = Host::new(Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
    let model = Architectures::new(host.models().clone(), host.guard()).open("shapes", None).unwrap();
    let accumulation = if exact { Accumulation::Direct } else { Accumulation::Winograd };
    let graph = Arc::new(model.graph.with_accumulation(accumulation));
    let set = source::open("made:shapes").unwrap();
    let batch = set.batch(&(0..count).collect::<Vec<_>>(), &model.card.preprocess()).unwrap();
    let numbers = |x: &Tensor| graph.logits(x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let alone = (0..count).flat_map(|i| numbers(&batch.narrow(0, i, 1).unwrap())).collect();
    (numbers(&batch), alone)
}

#[test]
fn results_are_bit_identical_in_any_batch_with_direct_sums_and_close_otherwise() {
    for count in [2, 3, 8, 17] {
        let (together, alone) = logits(count, true);
        assert!(together == alone, "{count} pictures, direct convolution");
        let (together, alone) = logits(count, false);
        let most = alone.iter().fold(0f32, |most, v| most.max(v.abs()));
        let apart = together.iter().zip(&alone).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(apart <= 1e-5 * most, "{count} pictures: {apart} of {most}");
    }
}

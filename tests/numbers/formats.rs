//! Weight files written by safetensors and PyTorch, and error messages for files that do not fit.
//!
//! The files in `tests/fixtures/formats` were made by `scripts/reference/formats.py`.

use crate::common::shared::shared_file;
use candle_core::{DType, Device, Tensor};
use gradscope::model::Model;
use gradscope::model::weights::{self, Tensors};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats").join(name)
}

fn read(name: &str) -> Tensors {
    weights::read(&fixture(name)).unwrap_or_else(|e| panic!("{e:#}")).tensors
}

fn error(name: &str) -> String {
    format!("{:#}", weights::read(&fixture(name)).unwrap_err())
}

/// The value i/4 - 1 at index i, as in all fixtures.
fn values(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|i| i as f32 / 4.0 - 1.0).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

fn assert_same(what: &str, ours: &Tensor, theirs: &Tensor) {
    assert_eq!((what, ours.dims()), (what, theirs.dims()));
    assert_eq!((what, flat(ours)), (what, flat(theirs)));
}

fn assert_state_dict(file: &str) {
    let tensors = read(file);
    assert_eq!(tensors.keys().collect::<Vec<_>>(), ["bn.num_batches_tracked", "conv.bias", "conv.weight", "fc.weight"]);
    assert_same(file, &tensors["conv.weight"], &values(&[2, 3, 2, 2]));
    assert_same(file, &tensors["conv.bias"], &values(&[2]));
    assert_same(file, &tensors["fc.weight"], &values(&[3, 4]));
    assert_eq!(tensors["bn.num_batches_tracked"].to_scalar::<i64>().unwrap(), 7);
}

#[test]
fn state_dicts_are_the_same_in_the_zip_and_legacy_formats() {
    ["zip.pt", "legacy.pt", "little_endian.pt"].into_iter().for_each(assert_state_dict);
}

#[test]
fn newer_pickle_protocols_give_the_same_tensors() {
    ["protocol3.pt", "protocol4.pt", "protocol5.pt"].into_iter().for_each(assert_state_dict);
}

#[test]
fn the_data_parallel_prefix_of_a_checkpoint_is_removed() {
    ["checkpoint.pt", "checkpoint_legacy.pt"].into_iter().for_each(assert_state_dict);
}

#[test]
fn tensors_saved_on_a_gpu_are_read_on_any_machine() {
    ["cuda.pt", "cuda_legacy.pt"].into_iter().for_each(assert_state_dict);
}

#[test]
fn views_of_one_storage_have_pytorchs_values() {
    for file in ["views.pt", "views_legacy.pt"] {
        let tensors = read(file);
        let base = values(&[4, 5]);
        let every_second = base.index_select(&Tensor::new(&[0u32, 2, 4], &Device::Cpu).unwrap(), 1).unwrap();
        let expected = [
            ("base", base.clone()),
            ("tied", base.clone()),
            ("transposed", base.t().unwrap()),
            ("part", base.narrow(0, 1, 2).unwrap().narrow(1, 2, 3).unwrap()),
            ("every_second", every_second),
            ("permuted", values(&[2, 3, 4]).permute((2, 0, 1)).unwrap()),
            ("expanded", values(&[3, 1]).broadcast_as((3, 2)).unwrap()),
            ("channels_last", values(&[1, 2, 2, 3])),
            ("scalar", values(&[])),
            ("empty", Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap()),
        ];
        assert_eq!(tensors.len(), expected.len());
        expected.iter().for_each(|(name, t)| assert_same(&format!("{file} {name}"), &tensors[*name], t));
    }
}

#[test]
fn every_dtype_keeps_its_values() {
    for file in ["types.pt", "types_legacy.pt"] {
        let tensors = read(file);
        let reals =
            [("float64", DType::F64), ("float32", DType::F32), ("float16", DType::F16), ("bfloat16", DType::BF16)];
        for (name, dtype) in reals {
            assert_eq!(tensors[name].dtype(), dtype);
            assert_same(name, &tensors[name], &values(&[2, 3]));
        }
        for name in ["int64", "int32", "int16", "uint8"] {
            assert_eq!((name, flat(&tensors[name])), (name, vec![0.0, 1.0, 2.0]));
        }
        assert_eq!(flat(&tensors["int8"]), [-128.0, 0.0, 127.0]);
        assert_eq!(flat(&tensors["bool"]), [0.0, 1.0, 1.0]);
    }
}

#[test]
fn parameter_wrappers_are_read_as_their_tensors() {
    assert_same("weight", &read("parameters.pt")["weight"], &values(&[2, 2]));
}

#[test]
fn code_in_a_pickle_is_never_run_and_weights_next_to_it_are_read() {
    let tensors = read("code.pt");
    assert_eq!(tensors.keys().collect::<Vec<_>>(), ["weight"]);
    assert_same("weight", &tensors["weight"], &values(&[2]));
    let error = error("code_legacy.pt");
    assert!(error.contains("code_legacy.pt") && error.contains("posix.system"), "{error}");
    assert!(error.contains("code in weight files is not run; save model.state_dict()"), "{error}");
}

#[test]
fn a_whole_module_gives_its_parameters_and_a_torchscript_program_is_refused() {
    assert_eq!(read("module.pt").keys().collect::<Vec<_>>(), ["bias", "weight"]);
    assert!(error("script.pt").contains("TorchScript"));
}

#[test]
fn files_without_named_tensors_are_errors_that_list_their_contents() {
    let nothing = error("nothing.pt");
    assert!(nothing.contains("contains no tensors, only \"epoch\", \"lr\"; save model.state_dict()"), "{nothing}");
    assert!(error("tensor.pt").contains("the tensors have no names"));
}

#[test]
fn big_endian_numbers_are_refused_and_not_misread() {
    assert!(error("big_endian.pt").contains("big-endian"));
    let mut legacy = std::fs::read(fixture("legacy.pt")).unwrap();
    let at = legacy.windows(13).position(|w| w == b"little_endian").unwrap();
    let answer = legacy[at..].iter().position(|&b| b == 0x88).unwrap() + at;
    legacy[answer] = 0x89;
    assert!(weights::parse(&legacy).unwrap_err().to_string().contains("big-endian"));
}

#[test]
fn missing_files_and_folders_are_named() {
    assert!(error("absent.pt").contains("opening \""));
    assert!(error("").contains("the folder has no index"));
}

#[test]
fn safetensors_of_every_type_are_read() {
    let tensors: Vec<_> = [DType::F64, DType::F32, DType::F16, DType::BF16, DType::I64, DType::U8]
        .map(|t| (t.as_str().to_string(), values(&[2, 3]).abs().unwrap().to_dtype(t).unwrap()))
        .into();
    let bytes = safetensors::serialize(tensors.iter().map(|(n, t)| (n, t)), None).unwrap();
    let weights = weights::parse(&bytes).unwrap();
    assert_eq!(weights.tensors.len(), 6);
    for (name, tensor) in &tensors {
        assert_eq!(weights.tensors[name].dtype(), tensor.dtype());
        assert_same(name, &weights.tensors[name], tensor);
    }
}

/// Each core reads blocks of 2^20 elements.
#[test]
fn large_tensors_are_read_in_parts_from_files_and_from_memory() {
    let counted = |count: u32| Tensor::arange(0u32, count, &Device::Cpu).unwrap();
    let tensors = [
        ("a_few", counted(3).to_dtype(DType::U8).unwrap()),
        ("large", counted((2 << 20) + 5).to_dtype(DType::F32).unwrap()),
        ("whole", counted(1 << 20).to_dtype(DType::I64).unwrap()),
    ];
    let bytes = safetensors::serialize(tensors.iter().map(|(n, t)| (n, t)), None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.safetensors");
    std::fs::write(&path, &bytes).unwrap();
    let (file, memory) = (weights::read(&path).unwrap(), weights::parse(&bytes).unwrap());
    assert_eq!(file.hash, memory.hash);
    for (name, tensor) in &tensors {
        for weights in [&file, &memory] {
            assert_eq!(flat(&weights.tensors[*name]), flat(tensor), "{name}");
        }
    }
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(format!("{:#}", weights::read(&path).unwrap_err()).contains("truncated"));
}

#[test]
fn a_safetensors_header_of_any_length_is_recognized() {
    for length in 0x60u64..0xA0 {
        let mut bytes = length.to_le_bytes().to_vec();
        let head = r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
        bytes.extend(format!("{head:<0$}", length as usize).bytes());
        bytes.push(5);
        assert_eq!(flat(&weights::parse(&bytes).unwrap().tensors["w"]), [5.0], "{length}");
    }
}

#[test]
fn unsupported_dtypes_are_named() {
    let header = br#"{"weight":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([0, 0]);
    let error = format!("{:#}", weights::parse(&bytes).unwrap_err());
    assert!(error.contains("tensor \"weight\"") && error.contains("F8_E4M3"), "{error}");
}

#[test]
fn the_hash_is_that_of_the_file() {
    let weights = weights::parse(b"\x08\0\0\0\0\0\0\0{}      ").unwrap_err();
    assert!(weights.to_string().contains("no tensors"), "{weights}");
    let Some(file) = shared_file("models/resnet20-12fca82f.th") else { return };
    let hash = weights::read(&file).unwrap().hash;
    assert_eq!(hash, "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8");
}

#[test]
fn real_pytorch_files_have_the_tensors_of_their_safetensors_twins() {
    let twins = [
        ("resnet20-12fca82f.th", "resnet20_cifar10.safetensors"),
        ("convnetjs_cifar10.pt", "convnetjs_cifar10.safetensors"),
    ];
    for (ours, twin) in twins {
        let (Some(ours), Some(twin)) = (shared_file(format!("models/{ours}")), shared_file(format!("models/{twin}")))
        else {
            return;
        };
        let (ours, twin) = (weights::read(&ours).unwrap().tensors, weights::read(&twin).unwrap().tensors);
        assert_eq!(ours.keys().collect::<Vec<_>>(), twin.keys().collect::<Vec<_>>());
        ours.iter().for_each(|(name, t)| assert_same(name, t, &twin[name]));
    }
    let lenet = weights::read(&shared_file("models/lenet_cifar10_captum.pt").unwrap()).unwrap().tensors;
    assert_eq!(lenet.values().map(Tensor::elem_count).sum::<usize>(), 62_006);
}

#[test]
fn the_architecture_of_a_pytorch_file_is_detected() {
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let files = [
        ("resnet20-12fca82f.th", "resnet20"),
        ("convnetjs_cifar10.pt", "convnetjs"),
        ("lenet_cifar10_captum.pt", "lenet"),
    ];
    for (file, name) in files {
        let Some(path) = shared_file(format!("models/{file}")) else { return };
        let model = architectures.open(path.to_str().unwrap(), None).unwrap_or_else(|e| panic!("{e:#}"));
        assert!(model.card.name.starts_with(name), "{file} is {}", model.card.name);
    }
}

#[test]
fn weights_that_do_not_fit_are_listed() {
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let error = format!("{:#}", architectures.open("convnetjs", Some(&fixture("zip.pt"))).unwrap_err());
    assert!(error.starts_with("loading \""), "{error}");
    assert!(error.contains("zip.pt\" into convnetjs: the weights do not fit the architecture: "), "{error}");
    assert!(error.contains("7 missing: conv1.weight, conv1.bias, "), "{error}");
    assert!(error.contains("; 1 of the wrong shape: fc.weight is [3, 4] instead of [10, 320]"), "{error}");
    assert!(error.contains("; 2 unexpected: conv.bias, conv.weight"), "{error}");
}

fn checkpoint(name: &str) -> PathBuf {
    fixture("../checkpoints").join(name)
}

/// The tiny network with the weights of a checkpoint.
fn tiny(name: impl AsRef<Path>) -> anyhow::Result<Model> {
    let path = checkpoint("").join(name);
    Architectures::new(Folders::models(None), &Arc::default())
        .open(checkpoint("tiny.rhai").to_str().unwrap(), Some(&path))
}

/// The scores of a network for the picture of `scripts/reference/checkpoints.py`.
fn scores(model: &Model) -> Vec<f64> {
    let pixels: Vec<f32> = (0..64).map(|i| (i % 11) as f32 / 10.0).collect();
    flat(&model.graph.logits(&Tensor::from_vec(pixels, (1, 1, 8, 8), &Device::Cpu).unwrap()).unwrap())
}

/// Compares the scores of a checkpoint's weights with PyTorch's; returns the note about how it was read.
fn assert_scores(name: &str, whose: &str) -> String {
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(checkpoint("scores.json")).unwrap()).unwrap();
    let model = tiny(name).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    let ours = scores(&model);
    for (ours, theirs) in ours.iter().zip(told[whose].as_array().unwrap()) {
        assert!((ours - theirs.as_f64().unwrap()).abs() < 2e-5, "{name}: {ours} instead of {theirs}");
    }
    model.taken.to_string()
}

fn misfit(name: &str) -> String {
    format!("{:#}", tiny(name).unwrap_err())
}

#[test]
fn weights_are_read_next_to_objects_of_any_class() {
    for protocol in [2, 4, 5] {
        assert_scores(&format!("everything{protocol}.pth"), "network");
    }
    for protocol in [1, 2, 4] {
        assert_scores(&format!("everything{protocol}_legacy.pth"), "network");
    }
    ["ordered.pth", "attribute.pth"].iter().for_each(|name| assert_eq!(assert_scores(name, "network"), ""));
}

#[test]
fn whole_modules_give_the_tensors_of_their_state_dict() {
    assert_eq!(assert_scores("module.pth", "network"), "");
    assert_eq!(assert_scores("module_legacy.pth", "network"), "");
    assert_eq!(assert_scores("parallel.pth", "network"), "without the prefix \"module.\"");
    assert_eq!(assert_scores("yolo.pt", "network"), "using \"model\"; \"ema\" fits too (select with FILE:KEY)");
    assert_scores("yolo.pt:ema", "half");
}

#[test]
fn a_prefix_shared_by_all_names_is_removed_and_reported() {
    let prefixes = ["model.", "module.model.", "net._orig_mod.module.", "a.b.c.", "backbone_", "_forward_module."];
    for (i, prefix) in prefixes.iter().enumerate() {
        let told = assert_scores(&format!("prefix{i}.pth"), "network");
        assert_eq!(told, format!("without the prefix \"{prefix}\""));
    }
    assert_eq!(assert_scores("prefix.safetensors", "network"), "without the prefix \"model.\"");
    assert_eq!(assert_scores("averaged.pth", "network"), "without the prefix \"module.\"");
}

#[test]
fn wrapper_segments_within_names_are_removed_and_reported() {
    assert_eq!(assert_scores("inner.pth", "network"), "without \"module.\" in names");
    let told = assert_scores("outer_and_inner.pth", "network");
    assert_eq!(told, "without the prefix \"model.\"; without \"module.\" and \"_orig_mod.\" in names");
}

#[test]
fn training_leftovers_are_ignored_and_reported() {
    let told = assert_scores("lightning.ckpt", "network");
    assert!(told.ends_with("ignored loss_fn.weight, teacher.conv.weight, train_acc.total"), "{told}");
    let told = assert_scores("beside.pth", "network");
    assert!(told.ends_with("ignored loss_fn.weight, teacher.conv.weight"), "{told}");
}

#[test]
fn the_network_is_preferred_to_its_averages_and_any_state_dict_can_be_chosen() {
    let cases = [
        ("ema_first.pth", "model", "model_ema"),
        ("ema_state_dict.pth", "state_dict.module", "ema_state_dict.module"),
        ("flat_ema.pth", "model", "ema_model.module"),
        ("list.pth", "models.0", "models.1"),
    ];
    for (name, taken, other) in cases {
        let told = assert_scores(name, "network");
        assert!(told.starts_with(&format!("using \"{taken}\"")), "{name}: {told}");
        assert!(told.contains(&format!("\"{other}\" fits too (select with FILE:KEY)")), "{name}: {told}");
        let told = assert_scores(&format!("{name}:{other}"), "average");
        assert!(told.starts_with(&format!("using \"{other}\"")), "{name}: {told}");
    }
    assert_scores("beside.pth:ema", "average");
    assert_scores("ema_state_dict.pth:ema_state_dict", "average");
    assert_eq!(assert_scores("generator.pth", "network"), "using \"generator\"");
    assert_eq!(assert_scores("only_ema.pth", "average"), "using \"ema\"");
    let error = misfit("ema_first.pth:generator");
    assert!(error.contains("the file has no state dict \"generator\"; there are \"model\", \"model_ema\""), "{error}");
}

#[test]
fn a_network_is_never_partially_loaded() {
    let missing = misfit("missing.pth");
    assert!(
        missing.contains("1 missing: features.1.running_var; the architecture has features.0.weight, "),
        "{missing}"
    );
    assert!(
        missing.contains("the state dict \"model\" has fc.bias, fc.weight, features.0.bias and 4 more"),
        "{missing}"
    );
    assert!(misfit("surplus.pth").contains("1 unexpected: aux.weight;"));
    assert_eq!(tiny("head.pth").unwrap().classes(), 5);
    assert!(misfit("surplus_below.pth").contains("1 unexpected: aux.weight under \"model.\";"));
    let sparse = misfit("sparse.pth");
    assert!(
        sparse.contains("1 missing: fc.weight") && sparse.contains("_rebuild_sparse_tensor, which is not supported"),
        "{sparse}"
    );
}

#[test]
fn shards_are_found_by_their_index_their_folder_and_one_of_them() {
    for name in ["", "model.safetensors.index.json", "model-00002-of-00003.safetensors", "pytorch_model.bin.index.json"]
    {
        assert_eq!(assert_scores(&format!("shards/{name}"), "network"), "");
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str| {
        std::fs::copy(checkpoint("shards").join(name), folder.path().join(name)).unwrap();
    };
    (1..=3).for_each(|i| copy(&format!("pytorch_model-0000{i}-of-00003.bin")));
    assert!(tiny(folder.path().join("pytorch_model-00001-of-00003.bin")).is_ok());
    std::fs::remove_file(folder.path().join("pytorch_model-00003-of-00003.bin")).unwrap();
    let error = format!("{:#}", tiny(folder.path().join("pytorch_model-00001-of-00003.bin")).unwrap_err());
    assert!(error.contains("pytorch_model-00003-of-00003.bin\", one of 3, is missing"), "{error}");
    let error = format!("{:#}", tiny(folder.path()).unwrap_err());
    assert!(error.contains("the folder has no index (*.index.json)"), "{error}");
    copy("model.safetensors.index.json");
    copy("model-00001-of-00003.safetensors");
    let error = format!("{:#}", tiny(folder.path()).unwrap_err());
    assert!(error.contains("model-00002-of-00003.safetensors\", one of 3, is missing"), "{error}");
}

#[test]
fn an_index_that_leaves_its_folder_or_is_wrong_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("model.safetensors.index.json");
    let says = |text: &str| {
        std::fs::write(&index, text).unwrap();
        format!("{:#}", tiny(&index).unwrap_err())
    };
    for file in ["../a.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", "a\\\\b", "C:a", "\u{1b}[2J/x"] {
        let error = says(&format!("{{\"weight_map\": {{\"fc.weight\": {}}}}}", serde_json::json!(file)));
        assert!(error.contains("shards must be in the same folder") && !error.contains('\u{1b}'), "{error}");
    }
    assert!(says("{\"weight_map\": {}}").contains("lists no tensors"));
    assert!(says("[1]").contains("reading the index"));
    std::fs::copy(checkpoint("prefix.safetensors"), folder.path().join("a.safetensors")).unwrap();
    let error = says("{\"weight_map\": {\"fc.weight\": \"a.safetensors\"}}");
    assert!(error.contains("\"a.safetensors\" has no tensor \"fc.weight\", which the index lists"), "{error}");
}

#[test]
fn weights_of_another_architecture_are_an_error_that_names_it_and_some_tensors() {
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let weights = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("models/small").join(name);
    let error = format!("{:#}", architectures.open("digits", Some(&weights("shapes.safetensors"))).unwrap_err());
    assert!(error.contains("; they match shapes (-m shapes)"), "{error}");
    assert!(error.contains("; the architecture has conv1.weight, conv1.bias, conv2.weight and "), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = weights::read(&weights("words.safetensors")).unwrap().tensors;
    tensors.insert("fc.bias".into(), values(&[3]));
    let path = folder.path().join("other.safetensors");
    candle_core::safetensors::save(&tensors.into_iter().collect(), &path).unwrap();
    let error = format!("{:#}", architectures.open("digits", Some(&path)).unwrap_err());
    assert!(error.contains("; the closest is words (-m words); number of tensors that differ: 1"), "{error}");
    let error = format!("{:#}", architectures.tell(&path).unwrap_err());
    assert!(
        error.contains("the closest are words (1 differ)") && error.contains("fc.bias is [3] instead of [10]"),
        "{error}"
    );
}

#[test]
fn the_architecture_of_a_checkpoint_is_detected_despite_prefixes() {
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/small/waves.safetensors");
    let tensors = weights::read(&weights).unwrap().tensors;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let wrapped = tensors.into_iter().map(|(name, tensor)| (format!("model.module.{name}"), tensor)).collect();
    candle_core::safetensors::save(&wrapped, &path).unwrap();
    let model = architectures.tell(&path).unwrap();
    assert_eq!((model.card.name.as_str(), &*model.taken), ("waves", "without the prefix \"model.module.\""));
}

//! Weight files as safetensors and PyTorch write them, and what is told of files that do not fit.
//!
//! `scripts/reference/formats.py` made the files of `tests/fixtures/formats`.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use gradscope::model::format::{self, Tensors};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats").join(name)
}

fn shared(name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("GRADSCOPE_SHARED")?).join(name))
}

fn read(name: &str) -> Tensors {
    format::read(&fixture(name)).unwrap_or_else(|e| panic!("{e:#}")).tensors
}

fn error(name: &str) -> String {
    format!("{:#}", format::read(&fixture(name)).unwrap_err())
}

/// The value i/4 - 1 at place i, as all fixtures have it.
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
fn state_dicts_read_alike_from_the_zip_format_and_the_one_before_it() {
    ["zip.pt", "legacy.pt", "little_endian.pt"].into_iter().for_each(assert_state_dict);
}

#[test]
fn newer_pickle_protocols_read_alike() {
    ["protocol3.pt", "protocol4.pt", "protocol5.pt"].into_iter().for_each(assert_state_dict);
}

#[test]
fn a_checkpoint_gives_its_state_dict_without_data_parallels_prefix() {
    ["checkpoint.pt", "checkpoint_legacy.pt"].into_iter().for_each(assert_state_dict);
}

#[test]
fn tensors_saved_on_a_gpu_are_read_on_any_machine() {
    ["cuda.pt", "cuda_legacy.pt"].into_iter().for_each(assert_state_dict);
}

#[test]
fn views_of_one_storage_have_the_values_that_pytorch_shows() {
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
fn every_type_of_number_keeps_its_values() {
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
fn parameters_are_read_as_their_tensors() {
    assert_same("weight", &read("parameters.pt")["weight"], &values(&[2, 2]));
}

#[test]
fn code_in_a_pickle_is_named_and_never_run() {
    for file in ["code.pt", "code_legacy.pt"] {
        let error = error(file);
        assert!(error.contains(file) && error.contains("calls posix.system, which is not run"), "{error}");
        assert!(error.contains("save model.state_dict()"), "{error}");
    }
    assert!(error("module.pt").contains("calls torch.nn.modules.linear.Linear, which is not run"));
    assert!(error("script.pt").contains("TorchScript"));
}

#[test]
fn files_without_named_tensors_say_what_they_have() {
    let nothing = error("nothing.pt");
    assert!(nothing.contains("no tensors in it, only \"epoch\", \"lr\"; save model.state_dict()"), "{nothing}");
    assert!(error("tensor.pt").contains("no names for its tensors"));
}

#[test]
fn big_endian_numbers_are_refused_and_not_misread() {
    assert!(error("big_endian.pt").contains("big-endian"));
    let mut legacy = std::fs::read(fixture("legacy.pt")).unwrap();
    let at = legacy.windows(13).position(|w| w == b"little_endian").unwrap();
    let answer = legacy[at..].iter().position(|&b| b == 0x88).unwrap() + at;
    legacy[answer] = 0x89;
    assert!(format::parse(&legacy).unwrap_err().to_string().contains("big-endian"));
}

#[test]
fn missing_files_and_folders_are_named() {
    assert!(error("absent.pt").contains("opening \""));
    assert!(error("").contains("it is a folder"));
}

#[test]
fn safetensors_of_every_type_are_read() {
    let tensors: Vec<_> = [DType::F64, DType::F32, DType::F16, DType::BF16, DType::I64, DType::U8]
        .map(|t| (t.as_str().to_string(), values(&[2, 3]).abs().unwrap().to_dtype(t).unwrap()))
        .into();
    let bytes = safetensors::serialize(tensors.iter().map(|(n, t)| (n, t)), None).unwrap();
    let weights = format::parse(&bytes).unwrap();
    assert_eq!(weights.tensors.len(), 6);
    for (name, tensor) in &tensors {
        assert_eq!(weights.tensors[name].dtype(), tensor.dtype());
        assert_same(name, &weights.tensors[name], tensor);
    }
}

/// A part that one core reads is 2^20 numbers.
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
    let (file, memory) = (format::read(&path).unwrap(), format::parse(&bytes).unwrap());
    assert_eq!(file.hash, memory.hash);
    for (name, tensor) in &tensors {
        for weights in [&file, &memory] {
            assert_eq!(flat(&weights.tensors[*name]), flat(tensor), "{name}");
        }
    }
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(format!("{:#}", format::read(&path).unwrap_err()).contains("cut short"));
}

#[test]
fn a_safetensors_head_of_any_length_is_not_taken_for_another_format() {
    for length in 0x60u64..0xA0 {
        let mut bytes = length.to_le_bytes().to_vec();
        let head = r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
        bytes.extend(format!("{head:<0$}", length as usize).bytes());
        bytes.push(5);
        assert_eq!(flat(&format::parse(&bytes).unwrap().tensors["w"]), [5.0], "{length}");
    }
}

#[test]
fn numbers_that_are_not_read_are_named() {
    let header = br#"{"weight":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([0, 0]);
    let error = format!("{:#}", format::parse(&bytes).unwrap_err());
    assert!(error.contains("tensor \"weight\"") && error.contains("F8_E4M3"), "{error}");
}

#[test]
fn the_hash_is_that_of_the_file() {
    let weights = format::parse(b"\x08\0\0\0\0\0\0\0{}      ").unwrap_err();
    assert!(weights.to_string().contains("no tensors"), "{weights}");
    let Some(file) = shared("models/resnet20-12fca82f.th") else { return };
    let hash = format::read(&file).unwrap().hash;
    assert_eq!(hash, "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8");
}

#[test]
fn real_pytorch_files_have_the_tensors_of_their_safetensors_twins() {
    let twins = [
        ("resnet20-12fca82f.th", "resnet20_cifar10.safetensors"),
        ("convnetjs_cifar10.pt", "convnetjs_cifar10.safetensors"),
    ];
    for (ours, twin) in twins {
        let (Some(ours), Some(twin)) = (shared(&format!("models/{ours}")), shared(&format!("models/{twin}"))) else {
            return;
        };
        let (ours, twin) = (format::read(&ours).unwrap().tensors, format::read(&twin).unwrap().tensors);
        assert_eq!(ours.keys().collect::<Vec<_>>(), twin.keys().collect::<Vec<_>>());
        ours.iter().for_each(|(name, t)| assert_same(name, t, &twin[name]));
    }
    let lenet = format::read(&shared("models/lenet_cifar10_captum.pt").unwrap()).unwrap().tensors;
    assert_eq!(lenet.values().map(Tensor::elem_count).sum::<usize>(), 62_006);
}

#[test]
fn a_pytorch_file_tells_its_architecture() {
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let files = [
        ("resnet20-12fca82f.th", "resnet20"),
        ("convnetjs_cifar10.pt", "convnetjs"),
        ("lenet_cifar10_captum.pt", "lenet"),
    ];
    for (file, name) in files {
        let Some(path) = shared(&format!("models/{file}")) else { return };
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
    assert!(error.contains("; 1 misshapen: fc.weight is [3, 4] instead of [10, 320]"), "{error}");
    assert!(error.contains("; 2 surplus: conv.bias, conv.weight"), "{error}");
}

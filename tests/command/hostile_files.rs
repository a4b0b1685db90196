//! Damaged and hostile files give errors: no panic, and no allocation out of proportion to the file.

use crate::common::random::Random;
use gradscope::data::source;
use gradscope::model::weights;
use std::io::Read;
use std::path::Path;

/// The small weight files, by name.
fn weight_files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_string(), std::fs::read(path).unwrap())
    };
    let mut files: Vec<_> = files.iter().map(read).collect();
    let tensors = weights::parse(&files.iter().find(|(name, _)| name == "zip.pt").unwrap().1).unwrap().tensors;
    files.push(("zip.safetensors".into(), safetensors::serialize(&tensors, None).unwrap()));
    files
}

/// Mutates bytes as in a damaged or malicious file: some changed, removed, duplicated or replaced by extreme numbers.
fn mutated(bytes: &[u8], dice: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        let end = (at + 1 + dice.below(8)).min(bytes.len());
        match dice.below(5) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = dice.below(256) as u8,
            2 => bytes[at..end].fill([0x00, 0x7F, 0xFF][dice.below(3)]),
            3 if end - at < bytes.len() => drop(bytes.drain(at..end)),
            _ => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
        }
    }
    bytes
}

/// Checkpoints with objects of many classes, and whole modules.
fn checkpoints() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints");
    let names = ["everything5.pth", "everything1_legacy.pth", "module.pth", "module_legacy.pth", "yolo.pt"];
    names.map(|name| (name.to_string(), std::fs::read(folder.join(name)).unwrap())).into()
}

/// The total size in bytes of a file's tensors.
fn size(weights: &weights::Weights) -> usize {
    weights.tensors.values().map(|t| t.elem_count() * t.dtype().size_in_bytes()).sum()
}

#[test]
fn a_weight_file_truncated_anywhere_is_an_error() {
    for (name, bytes) in weight_files() {
        for length in 0..bytes.len() {
            assert!(weights::parse(&bytes[..length]).is_err(), "{name} of {length} bytes");
        }
    }
}

#[test]
fn a_flipped_bit_in_a_zip_file_never_changes_a_value_silently() {
    let (_, bytes) = weight_files().into_iter().find(|(name, _)| name == "zip.pt").unwrap();
    let whole = weights::parse(&bytes).unwrap();
    let print = |weights: &weights::Weights| weights.tensors.iter().map(|(n, t)| format!("{n}{t}")).collect::<String>();
    let whole = print(&whole);
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(weights) = weights::parse(&bytes) {
            assert_eq!(print(&weights), whole, "bit {bit}");
        }
    }
}

#[test]
fn mutated_weight_files_never_panic_or_grow_in_memory() {
    let mut dice = Random(1);
    let files =
        weight_files().into_iter().map(|file| (file, 2000)).chain(checkpoints().into_iter().map(|file| (file, 300)));
    for ((name, bytes), rounds) in files {
        for round in 0..rounds {
            let bytes = mutated(&bytes, &mut dice);
            if let Ok(weights) = weights::parse(&bytes) {
                assert!(size(&weights) <= bytes.len() * 8, "{name}, round {round}");
            }
        }
    }
}

/// A file in the format before PyTorch 1.6 with this pickled object and one storage, "0", of `count` numbers.
fn legacy(object: &[u8], count: i64, numbers: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    bytes.extend(b"\x80\x02}X\x0d\0\0\0little_endian\x88s.\x80\x02");
    bytes.extend(object);
    bytes.extend(b".\x80\x02]X\x01\0\0\x000a.");
    bytes.extend(count.to_le_bytes());
    bytes.extend(numbers);
    bytes
}

/// `{"w": _rebuild_tensor(storage of `count` f32, offset, shape, stride)}`, numbers as decimal lines of protocol 0.
fn tensor(count: &str, offset: &str, shape: &[&str], stride: &[&str]) -> Vec<u8> {
    let tuple = |numbers: &[&str]| format!("({}t", numbers.iter().map(|n| format!("L{n}L\n")).collect::<String>());
    let mut object =
        b"}X\x01\0\0\0wctorch._utils\n_rebuild_tensor\n((X\x07\0\0\0storagectorch\nFloatStorage\n".to_vec();
    object.extend(
        format!("X\x01\0\0\x000X\x03\0\0\0cpuL{count}L\ntQL{offset}L\n{}{}tRs", tuple(shape), tuple(stride)).bytes(),
    );
    object
}

fn weights_error(bytes: &[u8]) -> String {
    format!("{:#}", weights::parse(bytes).unwrap_err())
}

#[test]
fn a_tensor_outside_its_storage_is_an_error() {
    let most = "9223372036854775807";
    let numbers = [0; 16];
    assert!(weights::parse(&legacy(&tensor("4", "0", &["2", "2"], &["2", "1"]), 4, &numbers)).is_ok());
    assert!(weights::parse(&legacy(&tensor("4", "3", &["1"], &[most]), 4, &numbers)).is_ok());
    let beyond: [(&str, &[&str], &[&str]); 9] = [
        ("1", &["2", "2"], &["2", "1"]),
        ("4", &["1"], &["1"]),
        ("0", &["2", "2"], &["3", "1"]),
        ("0", &["2", "2"], &[most, most]),
        ("0", &[most, most], &["0", "0"]),
        ("0", &["0", most, most], &["0", "0", "0"]),
        ("0", &["2"], &["2", "1"]),
        ("-1", &["2"], &["1"]),
        ("0", &["99999999999999999999"], &["1"]),
    ];
    for (offset, shape, stride) in beyond {
        let bytes = legacy(&tensor("4", offset, shape, stride), 4, &numbers);
        assert!(weights::parse(&bytes).is_err(), "{offset} {shape:?} {stride:?}");
    }
}

#[test]
fn a_few_bytes_do_not_become_a_large_tensor() {
    let repeated = legacy(&tensor("4", "0", &["1000000000000"], &["0"]), 4, &[0; 16]);
    assert!(weights_error(&repeated).contains("larger in total than the file"));
    let claimed = legacy(&tensor("1000000000000", "0", &["1000000000000"], &["1"]), 1_000_000_000_000, &[0; 16]);
    assert!(weights_error(&claimed).contains("truncated"), "{}", weights_error(&claimed));
    let text = legacy(b"X\xff\xff\xff\xffabc", 4, &[0; 16]);
    assert!(weights_error(&text).contains("truncated"));
}

#[test]
fn recursive_containers_are_errors() {
    let dict = legacy(b"}q\0X\x0a\0\0\0state_dicth\0s", 4, &[0; 16]);
    assert!(weights_error(&dict).contains("contains no tensors, only \"state_dict\""), "{}", weights_error(&dict));
    let list = legacy(b"]q\0h\0a", 4, &[0; 16]);
    assert!(weights_error(&list).contains("no names"));
    let marks = legacy(&vec![b'('; 1_000_000], 4, &[0; 16]);
    assert!(weights_error(&marks).contains("pops from an empty stack"));
    let endless = legacy(&vec![b'N'; 5_000_000], 4, &[0; 16]);
    assert!(weights_error(&endless).contains("more than 4000000 opcodes"));
}

#[test]
fn objects_of_every_opcode_become_placeholders_next_to_weights() {
    let objects: [&[u8]; 14] = [
        b"(I1\niargparse\nNamespace\n",
        b"(cargparse\nNamespace\nI1\no",
        b"cposix\nsystem\nX\x02\0\0\0ls\x85R0cposix\nsystem\nX\x02\0\0\0ls\x85R",
        b"ca\nB\n)\x81}X\x01\0\0\0xK\x01sb",
        b"ca\nB\n)}\x92",
        b"ccopy_reg\n_reconstructor\n(ca\nB\nc__builtin__\nobject\nNtR",
        b"cbuiltins\ngetattr\nca\nB\nX\x01\0\0\0f\x86R)R",
        b"\x82\x01)R",
        b"\x83\x01\0)\x81K\x01b",
        b"\x84\x01\0\0\0",
        b"Pa name\n",
        b"\x97\x98",
        b"\x8f(K\x01K\x02\x90(K\x01\x91\x86\x96\x02\0\0\0\0\0\0\0ab\x86",
        b"ccollections\ndeque\n)R(K\x01K\x02e(K\x01K\x02u",
    ];
    for object in objects {
        // The object, popped from the stack, then the dict of tensors with the object under another name.
        let mut pickled = [object, b"0"].concat();
        pickled.extend(tensor("4", "0", &["2"], &["1"]));
        pickled.extend([b"X\x01\0\0\0o", object, b"s"].concat());
        let file = legacy(&pickled, 4, &1f32.to_le_bytes().repeat(4));
        let text = String::from_utf8_lossy(object).into_owned();
        let weights = weights::parse(&file).unwrap_or_else(|e| panic!("{text}: {e:#}"));
        assert_eq!(weights.tensors.keys().collect::<Vec<_>>(), ["w"], "{text}");
        assert_eq!(weights.tensors["w"].to_vec1::<f32>().unwrap(), [1.0, 1.0], "{text}");
    }
}

#[test]
fn a_pickle_cannot_copy_containers_or_names_endlessly() {
    // A list of 5,000 pairs, converted to an OrderedDict 5,000 times.
    let pairs = b"X\x01\0\0\0aK\x01\x86".repeat(5000);
    let calls = b"ccollections\nOrderedDict\nh\0\x85R0".repeat(5000);
    let copies = [b"](".as_slice(), &pairs, b"eq\0", &calls].concat();
    assert!(weights_error(&legacy(&copies, 4, &[0; 16])).contains("copies more than"));
    // A module within itself, and a name of a million letters for each of 100 dicts.
    let module = b"ca\nM\n)\x81q\0}(X\x0b\0\0\0_parameters}X\x08\0\0\0_modules}(X\x01\0\0\0ah\0X\x01\0\0\0bh\0uub";
    let error = weights_error(&legacy(module, 4, &[0; 16]));
    assert!(error.contains("modules are nested") || error.contains("names take more"), "{error}");
    let name = [b"X\x40\x42\x0f\0".as_slice(), &b"n".repeat(1_000_000), b"q\x010"].concat();
    let tensor = [tensor("4", "0", &["2"], &["1"]).as_slice(), b"q\x020"].concat();
    // The only tensor is memoized first, and recalled by every dict.
    let dicts = b"}h\x01h\x03sa".repeat(100);
    let kept = String::from_utf8_lossy(&tensor).replace("tRs", "tRq\u{3}s").into_bytes();
    let all = [name.as_slice(), &kept, b"]", &dicts].concat();
    assert!(weights_error(&legacy(&all, 4, &[0; 16])).contains("names take more"));
}

#[test]
fn names_from_a_file_are_printed_without_control_characters() {
    let object = b"c\x1b[2Jos\nsystem\n)R";
    let error = weights_error(&legacy(object, 4, &[0; 16]));
    assert!(!error.contains('\x1b') && error.contains("os.system without tensors"), "{error}");
}

type Files = Vec<(&'static str, Vec<u8>)>;

/// Small data sets: their specs, with `DIR` for the folder, and their files.
fn data_sets() -> Vec<(&'static str, Files)> {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3][..], &[9; 18]].concat();
    let labels = vec![0, 0, 8, 1, 0, 0, 0, 2, 3, 4];
    let pack = |bytes: &[u8]| {
        let mut packed = Vec::new();
        flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut packed).unwrap();
        packed
    };
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(3, 2).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let packed = [("t10k-images-idx3-ubyte.gz", pack(&images)), ("t10k-labels-idx1-ubyte.gz", pack(&labels))];
    let fixture = |name: &str| {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data_sets").join(name)).unwrap()
    };
    vec![
        ("mnist:DIR", vec![("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)]),
        ("mnist:DIR", packed.into()),
        ("cifar10:DIR/a.bin", vec![("a.bin", vec![3; 2 * 3073])]),
        ("cifar10:DIR", vec![("test_batch", fixture("test_batch"))]),
        ("npz:DIR/a.npz", vec![("a.npz", fixture("medmnist.npz"))]),
        ("parquet:DIR/a.parquet", vec![("a.parquet", fixture("test-00000-of-00001.parquet"))]),
        ("webdataset:DIR/a.tar", vec![("a.tar", fixture("shard-000000.tar"))]),
        ("folder:DIR", vec![("labels.txt", b"a.png 1\n".to_vec()), ("a.png", png.into_inner())]),
    ]
}

#[test]
fn mutated_data_sets_never_panic() {
    let mut dice = Random(2);
    for (spec, files) in data_sets() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec.replace("DIR", folder.path().to_str().unwrap());
        files.iter().for_each(|(name, bytes)| std::fs::write(folder.path().join(name), bytes).unwrap());
        assert!(source::open(&spec).and_then(|data| data.picture(0)).is_ok(), "{spec}");
        for _ in 0..200 {
            let (name, bytes) = &files[dice.below(files.len())];
            std::fs::write(folder.path().join(name), mutated(bytes, &mut dice)).unwrap();
            if let Ok(data) = source::open(&spec) {
                (0..data.len()).for_each(|i| drop(data.picture(i)));
            }
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
    }
}

#[test]
fn data_sets_in_files_truncated_anywhere_are_errors() {
    // A tar archive may end after any file.
    let whole = |spec: &str| spec.starts_with("folder") || spec.starts_with("webdataset");
    for (spec, files) in data_sets().into_iter().filter(|(spec, _)| !whole(spec)) {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec.replace("DIR", folder.path().to_str().unwrap());
        files.iter().for_each(|(name, bytes)| std::fs::write(folder.path().join(name), bytes).unwrap());
        let cuts = files.iter().flat_map(|(name, bytes)| (0..bytes.len()).map(move |length| (name, bytes, length)));
        for (name, bytes, length) in cuts.filter(|(.., length)| *length < 200 || length % 101 == 0) {
            std::fs::write(folder.path().join(name), &bytes[..length]).unwrap();
            assert!(source::open(&spec).is_err(), "{spec}: {name} of {length} bytes");
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
    }
}

//! Data sets as their authors publish them, folders of pictures, and error messages for invalid files.
//!
//! The published ones come from the folder `GRADSCOPE_SHARED`; without it their tests are skipped.

use crate::common::shared::shared_file;
use candle_core::Tensor;
use gradscope::data::formats::jpeg;
use gradscope::data::source::{open, picture};
use gradscope::data::{Dataset, Picture, Preprocess, notes};
use gradscope::model::{Card, ClassMap, MatchedBy, evaluate};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::train::{Trainer, TrainingOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

#[track_caller]
fn shared(name: &str) -> Option<String> {
    Some(shared_file(name)?.to_str().unwrap().to_string())
}

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

fn png() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(2, 2).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn spec(scheme: &str, folder: &TempDir) -> String {
    format!("{scheme}:{}", folder.path().display())
}

fn error(spec: &str) -> String {
    format!("{:#}", open(spec).unwrap_err())
}

fn per_class(data: &Dataset) -> Vec<usize> {
    (0..data.class_count()).map(|class| (0..data.len()).filter(|&i| data.label(i) == class).count()).collect()
}

/// `(C, H, W)` and the bytes of a picture held in memory.
fn bytes(picture: &Picture) -> (Vec<usize>, Vec<u8>) {
    let Picture::Values(values) = picture else { panic!("not numbers: {picture:?}") };
    let flat: Vec<f32> = values.flatten_all().and_then(|t: Tensor| t.to_vec1()).unwrap();
    (values.dims().into(), flat.iter().map(|v| (v * 255.0).round() as u8).collect())
}

/// An IDX file of unsigned bytes.
fn idx(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|n| n.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

const IMAGES: &str = "t10k-images-idx3-ubyte";
const LABELS: &str = "t10k-labels-idx1-ubyte";

#[test]
fn real_mnist_has_its_two_sets() {
    let Some(path) = shared("data/mnist") else { return };
    let test = open(&format!("mnist:{path}")).unwrap();
    assert_eq!(per_class(&test), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    assert_eq!((0..5).map(|i| test.label(i)).collect::<Vec<_>>(), [7, 2, 1, 0, 4]);
    let (shape, values) = bytes(&test.picture(0).unwrap());
    assert_eq!(shape, [1, 28, 28]);
    assert_eq!(values[7 * 28 + 5..7 * 28 + 10], [0, 84, 185, 159, 151]);
    let train = open(&format!("mnist:{path}#train")).unwrap();
    assert_eq!((train.len(), train.label(0), &train.classes[9][..]), (60_000, 5, "9"));
}

#[test]
fn real_cifar_has_its_labels_names_and_planes() {
    let Some(path) = shared("data/cifar10/cifar10_test_2000.bin") else { return };
    let data = open(&format!("cifar10:{path}")).unwrap();
    assert_eq!(per_class(&data), [196, 198, 195, 199, 198, 185, 216, 193, 217, 203]);
    let names = std::fs::read_to_string(shared("data/cifar10/batches.meta.txt").unwrap()).unwrap();
    assert_eq!(data.classes, names.lines().collect::<Vec<_>>());
    let (name, seventh) = picture(&format!("cifar10:{path}[7]")).unwrap();
    assert_eq!(name, format!("cifar10:{path}[7]"));
    let file = std::fs::read(&path).unwrap();
    assert_eq!(bytes(&seventh), (vec![3, 32, 32], file[7 * 3073 + 1..8 * 3073].to_vec()));
}

#[test]
fn trained_networks_have_the_accuracy_that_was_measured_elsewhere() {
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    for (file, correct) in [("convnetjs_cifar10.pt", 1506), ("resnet20-12fca82f.th", 1833)] {
        let Some(weights) = shared(&format!("models/{file}")) else { return };
        let data = open(&format!("cifar10:{}", shared("data/cifar10/cifar10_test_2000.bin").unwrap())).unwrap();
        let model = architectures.open(&weights, None).unwrap();
        let count = evaluate(&model, &data, &mut |_| Ok(())).unwrap();
        assert_eq!((file, count.correct, count.total), (file, correct, 2000));
    }
}

#[test]
fn accuracy_without_labels_is_an_error_and_not_a_number() {
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let Some(weights) = shared("models/convnetjs_cifar10.pt") else { return };
    let model = architectures.open(&weights, None).unwrap();
    let folder = folder(&[("a.png", &png())]);
    let error = evaluate(&model, &open(&spec("folder", &folder)).unwrap(), &mut |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("has no labels"), "{error}");
}

#[test]
fn a_folder_of_photos_has_no_labels() {
    let Some(path) = shared("data/photos") else { return };
    let data = open(&format!("folder:{path}")).unwrap();
    assert_eq!((data.len(), data.labelled, data.class_count()), (17, false, 1));
    assert!((0..17).all(|i| data.picture(i).is_ok()));
}

#[test]
fn mnist_is_read_gzipped_or_not_and_from_torchvisions_folders() {
    let (images, labels) = (idx(&[2, 1, 3], &[0, 1, 2, 3, 4, 255]), idx(&[2], &[9, 0]));
    let places: [&[(&str, &[u8])]; 3] = [
        &[(IMAGES, &images), (LABELS, &labels)],
        &[("t10k-images-idx3-ubyte.gz", &gzip(&images)), ("t10k-labels-idx1-ubyte.gz", &gzip(&labels))],
        &[("MNIST/raw/t10k-images.idx3-ubyte", &images), ("MNIST/raw/t10k-labels-idx1-ubyte", &labels)],
    ];
    for files in places {
        let data = open(&spec("mnist", &folder(files))).unwrap();
        assert_eq!((data.label(0), data.label(1), data.class_count()), (9, 0, 10));
        assert_eq!(bytes(&data.picture(1).unwrap()), (vec![1, 1, 3], vec![3, 4, 255]));
    }
}

#[test]
fn mnist_files_that_do_not_belong_together_are_errors() {
    let (images, labels) = (idx(&[2, 1, 3], &[0; 6]), idx(&[2], &[9, 0]));
    let told = |images: &[u8], labels: &[u8]| error(&spec("mnist", &folder(&[(IMAGES, images), (LABELS, labels)])));
    assert!(told(&images, &idx(&[3], &[0, 1, 2])).contains("has 2 pictures, but"));
    assert!(told(&images, &idx(&[2], &[3, 10])).contains("label 1 in"));
    assert!(told(&labels, &labels).contains("the first four bytes are 00000801 instead of 00000803"));
    assert!(told(&idx(&[3, 1, 3], &[0; 6]), &labels).contains("6 of 9 values"));
    assert!(told(&idx(&[2, 1, 2], &[0; 6]), &labels).contains("more values than the sizes"));
    assert!(told(&idx(&[u32::MAX; 3], &[0; 6]), &labels).contains("too large"));
    assert!(told(&idx(&[0, 28, 28], &[]), &idx(&[0], &[])).contains("no pictures"));
    let packed = gzip(&images);
    assert!(told(&packed[..packed.len() - 9], &labels).contains("damaged or truncated"));
    assert!(told(&gzip(&idx(&[1000, 1000, 1000], &[])), &labels).contains("0 of 1000000000 values"));
}

#[test]
fn missing_mnist_files_are_named() {
    let empty = folder(&[]);
    let told = error(&spec("mnist", &empty));
    assert!(told.contains("no \"t10k-images-idx3-ubyte\" or \"t10k-images-idx3-ubyte.gz\" in"), "{told}");
    assert!(error(&format!("{}#train", spec("mnist", &empty))).contains("no \"train-images-idx3-ubyte\""));
    assert!(error(&format!("{}#trian", spec("mnist", &empty))).contains("the splits are #test and #train"));
}

#[test]
fn cifar_folders_have_one_test_batch_and_five_training_batches() {
    let record = |label: u8| [&[label][..], &[label; 3072]].concat();
    let names = [1, 2, 3, 4, 5].map(|i| (format!("data_batch_{i}.bin"), record(i)));
    let mut files: Vec<(&str, &[u8])> = names.iter().map(|(name, bytes)| (&name[..], &bytes[..])).collect();
    let test = record(8);
    files.push(("test_batch.bin", &test));
    let whole = folder(&files);
    let train = open(&format!("{}#train", spec("cifar10", &whole))).unwrap();
    assert_eq!((0..train.len()).map(|i| train.label(i)).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(open(&spec("cifar10", &whole)).unwrap().label(0), 8);
    let part = folder(&files[..3]);
    assert!(error(&format!("{}#train", spec("cifar10", &part))).contains("no \"data_batch_4.bin\""));
}

#[test]
fn files_that_do_not_consist_of_cifar_records_are_errors() {
    let told = |bytes: &[u8]| {
        let folder = folder(&[("a.bin", bytes)]);
        error(&format!("{}/a.bin", spec("cifar10", &folder)))
    };
    assert!(told(&[0; 3072]).contains("its size of 3072 bytes is not a multiple of 3073"));
    assert!(told(&[0; 2 * 3073 + 1]).contains("not a multiple"));
    assert!(told(&[]).contains("not a multiple"));
    assert!(told(&[10; 3073]).contains("picture 0 has the label 10; labels are 0 to 9"));
    assert!(error("cifar10:absent.bin").contains("no file or folder \"absent.bin\""));
}

#[test]
fn subfolders_are_classes_in_alphabetical_order_or_by_index() {
    let png = png();
    let named: [(&str, &[u8]); 4] =
        [("dog/1.png", &png), ("cat/b.PNG", &png), ("cat/a.png", &png), ("cat/notes.md", b"")];
    let data = open(&spec("folder", &folder(&named))).unwrap();
    assert_eq!((data.len(), &data.classes), (3, &vec!["cat".to_string(), "dog".into()]));
    assert_eq!((data.label(0), data.label(2)), (0, 1));
    let numbered =
        open(&spec("folder", &folder(&[("281/a.png", &png), ("7/b.png", &png), (".git/c.png", &png)]))).unwrap();
    assert_eq!((0..numbered.len()).map(|i| numbered.label(i)).collect::<Vec<_>>(), [281, 7]);
    assert!(numbered.classes.is_empty() && numbered.labelled);
}

#[test]
fn a_label_list_gives_the_classes_of_a_folder_without_subfolders() {
    let png = png();
    let data = |list: &[u8]| {
        let folder = folder(&[("a.png", &png), ("my cat.png", &png), ("labels.txt", list)]);
        open(&spec("folder", &folder)).map_err(|e| format!("{e:#}"))
    };
    let numbers = data(b"my cat.png 281\r\n\na.png,3").unwrap();
    assert_eq!((numbers.label(0), numbers.label(1), numbers.labelled), (281, 3, true));
    let words = data(b"a.png\ttiger cat\nmy cat.png bee\n").unwrap();
    assert_eq!((words.label(0), &words.classes[1][..]), (1, "tiger cat"));
    assert!(data(b"a.png 1\nb.png 2").unwrap_err().contains("line 2 must be the file name of a picture"));
    assert!(data(b"a.png").unwrap_err().contains("line 1 must be"));
    assert!(data(b"a.png 99999999").unwrap_err().contains("class index 99999999 is too large"));
    assert!(data(b"").unwrap_err().contains("no pictures"));
    assert!(data(b"\xFF\xFE").unwrap_err().contains("labels.txt"));
}

#[test]
fn folders_without_pictures_are_errors() {
    let png = png();
    assert!(error(&spec("folder", &folder(&[]))).contains("supported extensions: png, jpg"));
    assert!(
        error(&spec("folder", &folder(&[("cat/readme.md", b"")])))
            .contains("no pictures in the folder or its subfolders")
    );
    assert!(
        error(&spec("folder", &folder(&[("cat/a.png", &png), ("dog/readme.md", b"")])))
            .contains("dog\" has no pictures")
    );
    assert!(error("folder:absent").contains("reading the folder \"absent\""));
}

#[test]
fn a_broken_picture_is_named_when_it_is_read() {
    let png = png();
    let folder = folder(&[("a.png", &png), ("broken.png", &png[..20])]);
    let data = open(&spec("folder", &folder)).unwrap();
    assert!(data.picture(0).is_ok());
    assert!(format!("{:#}", data.picture(1).unwrap_err()).contains("broken.png"));
}

#[test]
fn pictures_of_synthetic_sets_are_identified_by_index() {
    let (name, shapes) = picture("made:welcome[1]").unwrap();
    assert_eq!(name, "made:welcome[1]");
    assert_eq!(shapes.shape().unwrap(), [3, 128, 128]);
}

/// The JPEGs of tests/fixtures/jpeg, with the pixels that Pillow decodes (scripts/reference/jpeg.py).
fn jpegs() -> Vec<(String, Vec<u8>, image::DynamicImage)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/jpeg");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == "jpg"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        (name, std::fs::read(&path).unwrap(), image::open(path.with_extension("png")).unwrap())
    };
    files.map(read).collect()
}

/// Whether two pictures have the same pixels, gray or RGB.
fn same(a: &image::DynamicImage, b: &image::DynamicImage) -> bool {
    a.color().has_color() == b.color().has_color() && a.to_rgb8() == b.to_rgb8()
}

#[test]
fn jpegs_of_every_kind_have_pillows_pixels_bit_for_bit() {
    let all = jpegs();
    assert!(all.len() >= 30, "{}", all.len());
    for (name, bytes, wanted) in all {
        let jpeg = jpeg::decode(&bytes).unwrap();
        assert!(same(&jpeg.image, &wanted), "{name}");
        assert_eq!(jpeg.stray_bytes, 0, "{name}");
    }
}

#[test]
fn a_picture_saved_as_jpeg_matches_pillow() {
    let open = |name: &str| image::open(format!("tests/fixtures/jpeg/{name}.png")).unwrap().into_rgb8();
    let source = open("source");
    for quality in [30, 75, 95] {
        let written = jpeg::encode(&source, source.dimensions(), false, quality).unwrap();
        assert_eq!(jpeg::decode(&written).unwrap().image.into_rgb8(), open(&format!("source_{quality}")), "{quality}");
    }
}

#[test]
fn photos_have_the_pixels_that_torchvision_gives() {
    let Some(faults) = shared("faults/e-jpeg-pixels") else { return };
    for name in ["420", "422", "444", "progressive"] {
        let bytes = std::fs::read(format!("{faults}/{name}.jpg")).unwrap();
        let wanted = image::open(format!("{faults}/{name}.png")).unwrap();
        assert!(same(&jpeg::decode(&bytes).unwrap().image, &wanted), "{name}");
    }
    let tiger = Picture::open(Path::new(&shared("data/photos/tiger.jpg").unwrap())).unwrap();
    let preprocess = Preprocess::bilinear([3, 224, 224], Some(256));
    let x = preprocess.apply(&tiger, false).unwrap().permute((0, 2, 3, 1)).unwrap();
    let ours: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
    let wanted = image::open(format!("{faults}/tiger_224.png")).unwrap().into_rgb8();
    assert!(ours.iter().zip(wanted.iter()).all(|(a, b)| (255.0 * a - f32::from(*b)).abs() < 1e-3));
}

#[test]
fn a_jpeg_that_is_cut_anywhere_is_an_error() {
    for (name, bytes, _) in jpegs() {
        let near = bytes.len().saturating_sub(40);
        for length in (0..near).step_by(17).chain(near..bytes.len()) {
            assert!(jpeg::decode(&bytes[..length]).is_err(), "{name}, {length} of {} bytes", bytes.len());
            // The same with an end marker, as a repair tool would add it.
            let mended = [&bytes[..length], &[0xff, 0xd9]].concat();
            let whole = jpeg::decode(&mended).is_ok_and(|jpeg| jpeg.stray_bytes == 0);
            assert!(!whole || length + 2 >= bytes.len(), "{name}, {length} of {} bytes, mended", bytes.len());
        }
    }
}

#[test]
fn a_jpeg_with_a_wrong_marker_or_extra_bytes_is_detected() {
    for (name, bytes, wanted) in jpegs() {
        let Some(start) = bytes.windows(2).position(|pair| pair == [0xff, 0xda]) else { panic!("{name}") };
        let middle = start + (bytes.len() - start) / 2;
        for marker in [0xc4, 0xd8, 0xd9, 0xda] {
            let mut broken = bytes.clone();
            broken.splice(middle..middle, [0xff, marker]);
            let unseen = jpeg::decode(&broken).is_ok_and(|jpeg| jpeg.stray_bytes == 0);
            assert!(!unseen, "{name}, marker {marker:x}");
        }
        let mut padded = bytes.clone();
        padded.splice(bytes.len() - 2..bytes.len() - 2, [0x12, 0x34, 0x56]);
        let padded = jpeg::decode(&padded).unwrap();
        assert!(padded.stray_bytes >= 2 && same(&padded.image, &wanted), "{name}: {}", padded.stray_bytes);
    }
}

#[test]
fn a_broken_jpeg_in_a_folder_is_an_error_that_names_it_and_a_suspicious_one_is_noted() {
    let (_, bytes, _) = jpegs().into_iter().find(|(name, ..)| name == "420").unwrap();
    let mut doubtful = bytes.clone();
    doubtful.splice(bytes.len() - 2..bytes.len() - 2, [1, 2, 3]);
    let folder = folder(&[("cut.jpg", &bytes[..bytes.len() / 2]), ("doubtful.jpg", &doubtful)]);
    let data = open(&spec("folder", &folder)).unwrap();
    let preprocess = Preprocess::bilinear([3, 8, 8], None);
    let error = format!("{:#}", data.batch(&[0], &preprocess).unwrap_err());
    assert!(error.contains("cut.jpg") && error.contains("truncated"), "{error}");
    data.batch(&[1], &preprocess).unwrap();
    let noted = notes::take().into_iter().find(|note| note.contains("doubtful.jpg")).unwrap();
    assert!(noted.contains("may be damaged: 3 extraneous bytes"), "{noted}");
}

/// A data set with one picture for each of these names, in folder order.
fn named(names: &[&str]) -> Dataset {
    let mut names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
    names.sort();
    let files = (0..names.len()).map(|label| ("absent.png".into(), label)).collect();
    Dataset::of_files("folder:here", names, files).unwrap()
}

fn card(name: &str) -> Card {
    Architectures::new(Folders::models(None), &Arc::default()).build(name).unwrap().0
}

/// The network classes that these folder names were matched to, in order, and the kind of match.
fn matched(card: &Card, names: &[&str]) -> Result<(Vec<usize>, MatchedBy), String> {
    let (data, count) = (named(names), card.labels.len().max(10));
    let map = ClassMap::matched(&data, card, count).map_err(|e| format!("{e:#}"))?;
    Ok(((0..data.len()).map(|i| map.class(data.label(i)).unwrap()).collect(), map.by))
}

#[test]
fn folders_are_classes_by_label_synonym_and_wordnet_id() {
    let imagenet = card("squeezenet1_0");
    for (names, classes, by) in [
        (&["Samoyed", "daisy", "tiger"][..], &[258, 985, 292][..], MatchedBy::Name),
        (&["great-white-shark", "JACK O LANTERN", "st._bernard"], &[607, 2, 247], MatchedBy::Name),
        (&["Samoyede", "killer whale", "grampus"], &[258, 148, 148], MatchedBy::Name),
        (&["n02111889", "n11939491"], &[258, 985], MatchedBy::WordNetId),
        (&["n02111889-Samoyed", "n02123045_tabby"], &[258, 281], MatchedBy::WordNetId),
        (&["Egyptian_cat", "n02111889"], &[285, 258], MatchedBy::NameAndId),
        // Every homonym occurs, so each refers to the class with exactly that name in the network.
        (&["crane", "crane bird"], &[517, 134], MatchedBy::Name),
        (&["Cardigan", "cardigan"], &[264, 474], MatchedBy::Name),
    ] {
        assert_eq!(matched(&imagenet, names), Ok((classes.to_vec(), by)), "{names:?}");
    }
}

#[test]
fn unknown_and_ambiguous_class_names_are_errors_that_list_candidates() {
    let imagenet = card("squeezenet1_0");
    let error = |names: &[&str]| matched(&imagenet, names).unwrap_err();
    let told = error(&["Samoyed", "smoyed", "zebra fish"]);
    for part in ["no class \"smoyed\"", "\"tench\", \"goldfish\"", "\"Samoyed\", \"smoyed\"", "\"Samoyed\" (258)"] {
        assert!(told.contains(part), "no {part} in {told}");
    }
    for (name, choices) in [
        ("crane", ["class 134 (n02012849, crane)", "class 517 (n03126707, crane)"]),
        ("Cardigan", ["class 264 (n02113186, Cardigan", "class 474 (n02963159, cardigan)"]),
        ("maillot", ["class 638 (n03710637", "class 639 (n03710721"]),
        ("missile", ["class 657 (n03773504", "class 744 (n04008634"]),
    ] {
        let told = error(&["Samoyed", name]);
        assert!(choices.iter().all(|choice| told.contains(choice)) && told.contains("WordNet id"), "{told}");
    }
    assert!(error(&["n99999999"]).contains("no class \"n99999999\""));
}

#[test]
fn without_synonyms_labels_may_differ_only_in_case() {
    let labels: Vec<_> = ["a", "A", "b", "+", "-"].map(String::from).into();
    let letters = Card { labels: labels.into(), synonyms: [].into(), ..card("lenet") };
    assert_eq!(matched(&letters, &["A", "a"]).unwrap().0, [1, 0]);
    assert_eq!(matched(&letters, &["A", "+", "-"]).unwrap().0, [3, 4, 1]);
    assert_eq!(matched(&letters, &["B"]).unwrap().0, [2]);
    assert!(matched(&letters, &["A", "B"]).unwrap_err().contains("class 0 (\"a\") or class 1 (\"A\")"));
}

#[test]
fn numbered_folders_are_class_indices_within_the_networks_range() {
    let png = png();
    let data = |files: &[(&str, &[u8])]| open(&spec("folder", &folder(files))).unwrap();
    let imagenet = card("squeezenet1_0");
    let map = ClassMap::matched(&data(&[("999/a.png", &png), ("7/b.png", &png)]), &imagenet, 1000).unwrap();
    assert_eq!((map.class(7).unwrap(), map.class(999).unwrap(), map.by), (7, 999, MatchedBy::Number));
    let error = ClassMap::matched(&data(&[("1000/a.png", &png)]), &imagenet, 1000).unwrap_err().to_string();
    assert!(error.contains("has class 1000, but the network \"squeezenet1_0\" has only 1000 classes"), "{error}");
    let unnamed = Card { labels: [].into(), synonyms: [].into(), ..imagenet };
    assert!(
        matched(&unnamed, &["cat", "dog"]).unwrap_err().contains("has none; name the folders by class index, 0 to 9")
    );
    let map = ClassMap::matched(&data(&[("3/a.png", &png)]), &unnamed, 1000).unwrap();
    assert_eq!((map.class(3).unwrap(), map.by), (3, MatchedBy::Number));
}

#[test]
fn data_sets_of_fixed_order_match_by_name_or_unless_names_conflict_by_index() {
    let names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
    let cifar = |labels: Vec<usize>| {
        let pixels = vec![0; labels.len()];
        Dataset::of_bytes("cifar10:here", names.map(String::from).into(), [1, 1, 1], pixels, labels).unwrap()
    };
    let of = |labels: [&str; 10]| {
        let labels: Vec<_> = labels.map(String::from).into();
        let card = Card { labels: labels.into(), synonyms: [].into(), ..card("resnet20") };
        ClassMap::matched(&cifar((0..10).collect()), &card, 10).map(|map| (map.class(3).unwrap(), map.by))
    };
    let mut other = names;
    assert_eq!(of(other).unwrap(), (3, MatchedBy::Name));
    other.swap(3, 5);
    assert_eq!(of(other).unwrap(), (5, MatchedBy::Name));
    // The names in PyTorch's tutorial.
    let tutorial = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
    assert_eq!(of(tutorial).unwrap(), (3, MatchedBy::Number));
    let mut other = tutorial;
    other.swap(3, 5);
    assert!(of(other).unwrap_err().to_string().contains("no class \"airplane\""));
    // Ten classes each, none of them in common.
    assert!(of(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]).is_err());
    // ImageNet has both an airliner and a warplane.
    assert!(ClassMap::matched(&cifar(vec![0, 8]), &card("squeezenet1_0"), 1000).is_err());
}

#[test]
fn a_target_may_be_named_by_a_synonym_or_a_wordnet_id() {
    let imagenet = card("squeezenet1_0");
    for (text, class) in [("258", 258), ("samoyede", 258), ("n02111889", 258), ("Egyptian_cat", 285), ("cardigan", 474)]
    {
        assert_eq!(imagenet.class(text, 1000).unwrap(), class, "{text}");
    }
    assert!(imagenet.class("polecat, skunk", 1000).is_err());
    let told = imagenet.class("Crane", 1000).unwrap_err().to_string();
    assert!(told.contains("class 134 (n02012849, crane) or class 517"), "{told}");
}

#[test]
fn imagenet_synonyms_match_their_labels() {
    let imagenet = card("squeezenet1_0");
    assert_eq!((imagenet.labels.len(), imagenet.synonyms.len()), (1000, 1000));
    assert!(imagenet.synonyms.iter().all(|names| names.len() > 1 && names[0].starts_with('n') && names[0].len() == 9));
    let Some(index) = shared("data/imagenet/imagenet_class_index.json") else { return };
    let index: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(index).unwrap()).unwrap();
    for (class, names) in imagenet.synonyms.iter().enumerate() {
        assert_eq!(index[class.to_string()][0], names[0], "{class}");
    }
}

#[test]
fn a_network_trained_on_a_folder_keeps_its_class_names() {
    let learns = |names: &[&str]| card("lenet").to_learn(&named(names), 10).labels;
    assert_eq!(learns(&["oak", "ash"])[..3], ["ash", "oak", "2"]);
    assert_eq!(learns(&["3", "7"]), card("lenet").labels);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trees.safetensors");
    let (card, graph) = Architectures::new(Folders::models(None), &Arc::default()).build("lenet").unwrap();
    let data = named(&["oak", "ash"]);
    let card = card.to_learn(&data, 10);
    Trainer::new(&graph, &card, data, TrainingOptions::default()).unwrap().write(&file).unwrap();
    let trained = Architectures::new(Folders::models(None), &Arc::default()).open("lenet", Some(&file)).unwrap();
    assert_eq!(trained.card.labels[..3], ["ash", "oak", "2"]);
    assert_eq!(matched(&trained.card, &["oak"]).unwrap(), (vec![1], MatchedBy::Name));
}

#[test]
fn pictures_of_a_folder_have_files() {
    let png = png();
    let folder = folder(&[("cat/a b.png", &png), ("dog/b.png", &png)]);
    let data = open(&spec("folder", &folder)).unwrap();
    assert_eq!(
        (data.file(0).as_deref(), data.file(1).as_deref(), data.file(2)),
        (Some("cat/a b.png"), Some("dog/b.png"), None)
    );
    assert_eq!(open("made:welcome").unwrap().file(0), None);
}

//! Data sets as found in practice: archives and tables written by other libraries (scripts/reference/data_sets.py), lists, and
//! folders with common layouts.

use gradscope::data::source::{self, open};
use gradscope::data::{Dataset, Picture};
use gradscope::model::{Card, ClassMap};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data_sets")
}

fn fixture(name: &str) -> String {
    fixtures().join(name).to_str().unwrap().to_string()
}

/// A folder with these files, which are copied from the fixtures.
fn copied(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in files {
        let to = folder.path().join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(fixture(from), to).unwrap();
    }
    folder
}

/// A folder with pictures and texts: all pixels of a picture have its index in the list as their value.
fn drawn(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (i, (name, text)) in files.iter().enumerate() {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.is_empty() {
            true => {
                let mut png = std::io::Cursor::new(Vec::new());
                image::GrayImage::from_pixel(2, 2, image::Luma([i as u8]))
                    .write_to(&mut png, image::ImageFormat::Png)
                    .unwrap();
                std::fs::write(path, png.into_inner()).unwrap();
            }
            false => std::fs::write(path, text).unwrap(),
        }
    }
    folder
}

fn error(spec: &str) -> String {
    format!("{:#}", open(spec).map(|data| data.len()).unwrap_err())
}

fn labels(data: &Dataset) -> Vec<usize> {
    (0..data.len()).map(|i| data.label(i)).collect()
}

/// The class name of each picture.
fn named(data: &Dataset) -> Vec<&str> {
    (0..data.len()).map(|i| &data.classes[data.label(i)][..]).collect()
}

/// Shape `(C, H, W)` and values from 0 to 255 of a picture.
fn pixels(data: &Dataset, i: usize) -> (Vec<usize>, Vec<f32>) {
    match data.picture(i).unwrap() {
        Picture::Values(values) => {
            let flat: Vec<f32> = values.flatten_all().and_then(|t| t.to_vec1()).unwrap();
            (values.dims().into(), flat.into_iter().map(|v| v * 255.0).collect())
        }
        Picture::Image(image) => {
            let image = image.into_rgb8();
            let (w, h) = image.dimensions();
            let planes = (0..3).flat_map(|c| image.pixels().map(move |p| f32::from(p[c])).collect::<Vec<_>>());
            (vec![3, h as usize, w as usize], planes.collect())
        }
        other => panic!("{other:?}"),
    }
}

/// Picture `number` of the fixtures, whose bytes are in the order of `shape`, as `(C, H, W)`.
fn wanted(number: usize, shape: [usize; 3], channels_last: bool) -> (Vec<usize>, Vec<f32>) {
    let byte = |k: usize| ((37 * number + k) % 256) as f32;
    let [c, h, w] = shape;
    let place = |channel: usize, at: usize| if channels_last { at * c + channel } else { channel * h * w + at };
    (shape.into(), (0..c).flat_map(|channel| (0..h * w).map(move |at| byte(place(channel, at)))).collect())
}

#[track_caller]
fn assert_pixels(data: &Dataset, i: usize, wanted: (Vec<usize>, Vec<f32>)) {
    let (shape, values) = pixels(data, i);
    assert_eq!(shape, wanted.0);
    assert!(values.iter().zip(&wanted.1).all(|(a, b)| (a - b).abs() < 1e-4), "{values:?} instead of {:?}", wanted.1);
}

#[test]
fn numpy_archives_are_read_by_the_names_of_their_arrays() {
    let keras = open(&fixture("keras.npz")).unwrap();
    assert_eq!((keras.name.starts_with("npz:"), labels(&keras)), (true, vec![0, 1, 2]));
    (0..3).for_each(|i| assert_pixels(&keras, i, wanted(i, [1, 5, 4], false)));
    let train = open(&format!("npz:{}#train", fixture("keras.npz"))).unwrap();
    assert_eq!(labels(&train), [3, 2, 1, 0]);
    assert_pixels(&train, 3, wanted(13, [1, 5, 4], false));
    for (split, first) in [("", 0), ("#test", 0), ("#val", 20), ("#train", 10)] {
        let data = open(&format!("{}{split}", fixture("medmnist.npz"))).unwrap();
        assert_eq!(labels(&data), [2, 0, 1], "{split}");
        (0..3).for_each(|i| assert_pixels(&data, i, wanted(first + i, [3, 5, 4], true)));
    }
    let floats = open(&fixture("floats.npz")).unwrap();
    assert_eq!(labels(&floats), [1, 2, 0]);
    assert_pixels(&floats, 2, wanted(2, [3, 5, 4], false));
    assert_pixels(&open(&fixture("unnamed.npz")).unwrap(), 1, wanted(1, [1, 5, 4], false));
}

#[test]
fn numpy_archives_of_another_layout_are_told_the_right_one() {
    let other = error(&fixture("other.npz"));
    assert!(other.contains("no array of pictures; found \"weights\", \"bias\"; expected pictures \"x\""), "{other}");
    assert!(other.contains("as in numpy.savez(\"set.npz\", x=images, y=labels)"), "{other}");
    let normalised = error(&fixture("normalised.npz"));
    assert!(normalised.contains("pixels must be integers from 0 to 255 or floats from 0 to 1"), "{normalised}");
    assert!(
        error(&format!("npz:{}#val", fixture("keras.npz")))
            .contains("the data set has no split #val; it has #test and #train")
    );
    assert!(error(&format!("npz:{}", fixture("test_batch"))).contains("the file is not a zip archive of arrays"));
}

#[test]
fn webdataset_shards_are_read_by_pattern_folder_and_file() {
    let pattern = fixture("shard-{000000..000001}.tar");
    let folder = copied(&[("shard-000000.tar", "a/shard-000000.tar"), ("shard-000001.tar", "a/shard-000001.tar")]);
    for spec in [pattern.clone(), format!("webdataset:{pattern}"), folder.path().join("a").to_str().unwrap().into()] {
        let data = open(&spec).unwrap();
        assert_eq!(labels(&data), [0, 1, 2, 0, 1, 2], "{spec}");
        assert_eq!(data.file(4).as_deref(), Some("shard-000001.tar/./000004.png"));
        (0..6).for_each(|i| assert_pixels(&data, i, wanted(i, [3, 3, 4], true)));
    }
    let one = open(&fixture("shard-000001.tar")).unwrap();
    assert_eq!((one.len(), labels(&one)), (3, vec![0, 1, 2]));
    assert_eq!(one.number_of(&format!("{}[2]", fixture("shard-000001.tar"))), Some(2));
    let splits = copied(&[("shard-000000.tar", "x-train-0.tar"), ("shard-000001.tar", "x-val-0.tar")]);
    let spec = splits.path().to_str().unwrap();
    assert_eq!(open(spec).unwrap().file(0).as_deref(), Some("x-val-0.tar/./000003.png"));
    assert_eq!(source::to_learn_from(spec), format!("{spec}#train"));
    assert_eq!(open(&format!("{spec}#train")).unwrap().file(0).as_deref(), Some("x-train-0.tar/./000000.png"));
    assert!(error(&format!("{spec}#test")).contains("the data set has no split #test; it has #val and #train"));
}

#[test]
fn shards_that_are_compressed_missing_or_without_pictures_are_errors() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&std::fs::read(fixture("shard-000000.tar")).unwrap()).unwrap();
    std::fs::write(path("a.tar"), packed.finish().unwrap()).unwrap();
    assert!(error(&path("a.tar")).contains("the file is compressed; decompress it first"));
    assert!(error(&path("b-{0..1}.tar")).contains("no file"));
    std::fs::write(path("c.tar"), vec![0; 1024]).unwrap();
    assert!(error(&path("c.tar")).contains("expected pairs such as 000.jpg and 000.cls"));
    let whole = std::fs::read(fixture("shard-000000.tar")).unwrap();
    // Within a header, and within a picture.
    std::fs::write(path("d.tar"), &whole[..600]).unwrap();
    assert!(open(&path("d.tar")).is_err());
    std::fs::write(path("d.tar"), &whole[..1560]).unwrap();
    assert!(
        error(&path("d.tar")).contains("the archive is truncated within \"./000000.png\""),
        "{}",
        error(&path("d.tar"))
    );
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_files_of_hugging_face_are_read_with_their_class_names() {
    let data = open(&fixture("test-00000-of-00001.parquet")).unwrap();
    assert_eq!(
        (labels(&data), &data.classes[..], data.alphabetical),
        (vec![0, 1, 2, 0, 1], &["ant", "bee", "cat"].map(String::from)[..], false)
    );
    [4, 0, 3, 1, 2].into_iter().for_each(|i| assert_pixels(&data, i, wanted(i, [3, 3, 4], true)));
    let written = open(&format!("parquet:{}", fixture("datasets.parquet"))).unwrap();
    assert_eq!(named(&written), ["ant", "bee", "cat", "ant"]);
    (0..4).for_each(|i| assert_pixels(&written, i, wanted(i, [3, 3, 4], true)));
    let plain = open(&fixture("plain.parquet")).unwrap();
    assert_eq!((named(&plain), plain.alphabetical), (vec!["bee", "ant", "bee"], true));
    assert_pixels(&plain, 2, wanted(2, [3, 3, 4], true));
    let unlabelled = open(&fixture("unlabelled.parquet")).unwrap();
    assert_eq!((unlabelled.len(), unlabelled.labelled), (2, false));
}

#[cfg(feature = "parquet")]
#[test]
fn a_folder_of_parquet_files_has_the_splits_in_the_file_names() {
    let names = ["train-00000-of-00001.parquet", "test-00000-of-00001.parquet"];
    let folder = copied(&names.map(|name| (name, name)).map(|(from, to)| (from, to)));
    let inner = copied(&[(names[0], "data/train/0000.parquet"), (names[1], "data/test/0000.parquet")]);
    for folder in [&folder, &inner] {
        let spec = folder.path().to_str().unwrap();
        let (test, train) = (open(spec).unwrap(), open(&source::to_learn_from(spec)).unwrap());
        assert_eq!((test.len(), labels(&train)), (5, vec![2, 2]));
        assert_pixels(&train, 1, wanted(11, [3, 3, 4], true));
        assert_eq!(source::to_test_with(spec).as_deref(), Some(spec));
    }
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_files_with_another_layout_are_errors_that_state_the_right_one() {
    let words = error(&fixture("words.parquet"));
    assert!(words.contains("the columns are question, answer; expected \"image\" with pictures as bytes"), "{words}");
    let zstd = error(&fixture("zstd.parquet"));
    assert!(zstd.contains("the file is compressed with ZSTD; save it with Snappy"), "{zstd}");
    let paths = open(&fixture("paths.parquet")).unwrap().picture(1).unwrap_err().to_string();
    assert!(paths.contains("picture 1 of \"paths.parquet\" is stored only as a path"), "{paths}");
    let delta = format!("{:#}", open(&fixture("delta.parquet")).unwrap().picture(0).unwrap_err());
    assert!(delta.contains("the file uses encoding 6; save it with plain or dictionary encoding"), "{delta}");
    assert!(error(&format!("parquet:{}", fixture("keras.npz"))).contains("the file is not a Parquet file"));
}

#[test]
fn cifars_python_versions_are_read_as_their_binary_ones() {
    let ten = open(&fixture("test_batch")).unwrap();
    assert_eq!((labels(&ten), ten.class_count(), &ten.name[..8]), (vec![8, 3], 10, "cifar10:"));
    (0..2).for_each(|i| assert_pixels(&ten, i, wanted(i, [3, 32, 32], false)));
    let folder =
        copied(&[("test_batch", "cifar-10-batches-py/test_batch"), ("test_batch", "cifar-10-batches-py/data_batch_1")]);
    assert_eq!(labels(&open(folder.path().to_str().unwrap()).unwrap()), [8, 3]);
    for name in ["cifar100.pkl", "cifar100_5.pkl"] {
        let folder = copied(&[(name, "test"), (name, "train")]);
        let spec = folder.path().to_str().unwrap();
        let data = open(spec).unwrap();
        assert_eq!((labels(&data), data.class_count(), &data.name[..9]), (vec![99, 7], 100, "cifar100:"));
        assert_pixels(&data, 1, wanted(1, [3, 32, 32], false));
        assert_eq!(source::to_learn_from(spec), format!("{spec}#train"));
        assert!(
            error(&format!("cifar10:{spec}/test"))
                .contains("the pickle has no key \"labels\", unlike the Python version of CIFAR-10")
        );
    }
    for name in ["fortran.pkl", "fortran_5.pkl"] {
        assert!(error(&format!("cifar10:{}", fixture(name))).contains("the array is in column-major order"), "{name}");
    }
}

#[test]
fn cifar_100_has_records_of_two_labels_and_names_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let record = |label: u8| [&[3, label][..], &[label; 3072]].concat();
    std::fs::write(folder.path().join("test.bin"), [record(99), record(0)].concat()).unwrap();
    let spec = folder.path().to_str().unwrap();
    assert_eq!(labels(&open(spec).unwrap()), [99, 0]);
    let names: Vec<_> = (0..100).map(|i| format!("name{i}\n")).collect();
    std::fs::write(folder.path().join("fine_label_names.txt"), names.concat()).unwrap();
    assert_eq!(named(&open(&format!("cifar100:{spec}")).unwrap()), ["name99", "name0"]);
    std::fs::write(folder.path().join("test.bin"), record(100)).unwrap();
    assert!(error(&format!("cifar100:{spec}")).contains("picture 0 has the label 100; labels are 0 to 99"));
}

#[test]
fn a_table_next_to_the_pictures_lists_their_classes() {
    for (name, table) in [
        ("labels.csv", "filename,label\nb.png,tabby cat\n\"a.png\",daisy\n"),
        ("list.tsv", "id\tClass\tImage\n7\ttabby cat\tb\n8\tdaisy\ta.png\n"),
        ("any.csv", "b.png,tabby cat\na.png,daisy\n"),
        ("any.csv", "image;x;target\nb.png;1;tabby cat\na.png;2;daisy"),
    ] {
        let folder = drawn(&[("a.png", ""), ("b.png", ""), (name, table)]);
        let path = folder.path().to_str().unwrap();
        for spec in [path.to_string(), format!("csv:{path}/{name}"), format!("{path}/{name}")] {
            let data = open(&spec).unwrap();
            assert_eq!((named(&data), data.file(0).as_deref()), (vec!["tabby cat", "daisy"], Some("b.png")), "{table}");
            assert_eq!(source::file(&format!("{spec}[1]")).as_deref(), Some("a.png"));
        }
    }
    let deep =
        drawn(&[("images/x/a.jpg.png", ""), ("images/b.png", ""), ("train.csv", "path,class\nb,3\nx/a.jpg.png,4\n")]);
    let data = open(deep.path().to_str().unwrap()).unwrap();
    assert_eq!((labels(&data), data.file(0).as_deref()), (vec![3, 4], Some("images/b.png")));
}

#[test]
fn tables_with_other_columns_or_missing_pictures_are_told_the_right_layout() {
    let said = |table: &str| {
        let folder = drawn(&[("a.png", ""), ("sub/c.png", ""), ("other/c.png", ""), ("x.csv", table)]);
        error(&format!("csv:{}/x.csv", folder.path().display()))
    };
    let columns = said("name,kind\na.png,1\n");
    assert!(columns.contains("the first line is \"name\", \"kind\"; put column names in the first line"), "{columns}");
    assert!(said("file,label\na.png,1\nb.png,2").contains("line 3 names \"b.png\", which is not in"));
    assert!(said("file,label\na.png,1\nc.png,2").contains("several pictures are named \"c.png\""));
    assert!(said("file,label\na.png\n").contains("line 2 has no column 2"));
    assert!(said("\n").contains("the list is empty"));
    // Unrelated tables in a folder of pictures only cause a note.
    let other = drawn(&[("a.png", ""), ("points.csv", "x,y\n1,2\n")]);
    let both = drawn(&[("a.png", ""), ("x.csv", "file,label\na.png,1\n"), ("y.csv", "file,label\na.png,1\n")]);
    for folder in [other, both] {
        let data = open(folder.path().to_str().unwrap()).unwrap();
        assert!(!data.labelled && data.len() == 1);
    }
}

#[test]
fn folders_of_splits_are_tested_on_one_and_trained_on_another() {
    let split = |names: &[&str]| {
        let files: Vec<_> = names.iter().map(|name| (*name, "")).collect();
        drawn(&files)
    };
    let folder = split(&["train/cat/a.png", "train/dog/b.png", "val/cat/c.png", "val/dog/d.png", "test/cat/e.png"]);
    let spec = folder.path().to_str().unwrap();
    for (suffix, first) in [("", "test/cat/e.png"), ("#val", "val/cat/c.png"), ("#train", "train/cat/a.png")] {
        let data = open(&format!("folder:{spec}{suffix}")).unwrap();
        assert_eq!(data.file(0).as_deref(), Some(first));
    }
    assert_eq!(source::to_learn_from(spec), format!("{spec}#train"));
    assert_eq!(source::to_test_with(&format!("folder:{spec}")), Some(format!("folder:{spec}")));
    // A test split without labels, as is common in competitions.
    let folder = split(&["train/cat/a.png", "valid/cat/c.png", "valid/dog/d.png", "test/x.png"]);
    let data = open(folder.path().to_str().unwrap()).unwrap();
    assert_eq!((named(&data), data.file(0).as_deref()), (vec!["cat", "dog"], Some("valid/cat/c.png")));
    // Classes, one of which has the name of a split.
    let data = split(&["car/a.png", "train/b.png"]);
    assert_eq!(named(&open(data.path().to_str().unwrap()).unwrap()), ["car", "train"]);
    let spec = data.path().to_str().unwrap();
    assert_eq!(source::to_learn_from(spec), spec);
    assert!(
        error(&format!("{spec}#train")).contains("the folder has no split #train; folders with splits have subfolders")
    );
}

#[test]
fn folders_within_a_class_belong_to_it_unless_they_have_wordnet_ids() {
    let folder = drawn(&[("cat/big/a.png", ""), ("cat/b.png", ""), ("dog/c.png", "")]);
    assert_eq!(named(&open(folder.path().to_str().unwrap()).unwrap()), ["cat", "cat", "dog"]);
    let folder = drawn(&[
        ("train/n01443537/images/a.png", ""),
        ("train/n01629819/images/b.png", ""),
        ("val/images/c.png", ""),
        ("val/images/d.png", ""),
        ("val/val_annotations.txt", "d.png\tn01443537\t0\t0\t9\t9\nc.png\tn01629819\t0\t0\t9\t9\n"),
        ("test/images/e.png", ""),
        ("wnids.txt", "n01443537\nn01629819\n"),
    ]);
    let spec = folder.path().to_str().unwrap();
    let test = open(spec).unwrap();
    assert_eq!((named(&test), test.file(0).as_deref()), (vec!["n01443537", "n01629819"], Some("val/images/d.png")));
    assert_eq!(named(&open(&format!("{spec}#train")).unwrap()), ["n01443537", "n01629819"]);
    let nested = drawn(&[("animals/n02111889/a.png", ""), ("plants/n11939491-daisy/b.png", "")]);
    assert_eq!(named(&open(nested.path().to_str().unwrap()).unwrap()), ["n02111889", "n11939491-daisy"]);
}

fn imagenet() -> Card {
    Architectures::new(Folders::models(None), &Arc::default()).build("squeezenet1_0").unwrap().0
}

/// The ImageNet classes of a data set's pictures.
fn classes(data: &Dataset) -> Vec<usize> {
    ClassMap::matched(data, &imagenet(), 1000).unwrap().all(data).unwrap()
}

#[test]
fn imagenets_ground_truth_is_read_in_the_order_of_the_development_kit() {
    // The first ten IDs of the validation set, and their classes in torchvision.
    let ids = "490\n361\n171\n822\n297\n482\n13\n704\n599\n164\n";
    let wanted = [65, 970, 230, 809, 516, 57, 334, 415, 674, 332];
    let names: Vec<_> = (1..=10).map(|i| format!("ILSVRC2012_val_{i:08}.png")).collect();
    for place in ["", "../", "../ILSVRC2012_devkit_t12/data/"] {
        let list = format!("val/{place}ILSVRC2012_validation_ground_truth.txt");
        let pictures: Vec<_> = names.iter().map(|name| format!("val/{name}")).collect();
        let mut files: Vec<_> = pictures.iter().map(|name| (&name[..], "")).collect();
        files.push((&list, ids));
        let folder = drawn(&files);
        let data = open(folder.path().join("val").to_str().unwrap()).unwrap();
        assert_eq!(classes(&data), wanted, "{place}");
    }
    let folder = drawn(&[("ILSVRC2012_val_00000003.png", ""), ("ILSVRC2012_validation_ground_truth.txt", ids)]);
    assert_eq!(classes(&open(folder.path().to_str().unwrap()).unwrap()), [230]);
    let wrong = drawn(&[("a.png", ""), ("ILSVRC2012_validation_ground_truth.txt", "0\n")]);
    assert!(
        error(wrong.path().to_str().unwrap())
            .contains("line 1 is \"0\"; expected an ILSVRC 2012 class number from 1 to 1000")
    );
    let few = drawn(&[("a.png", ""), ("ILSVRC2012_validation_ground_truth.txt", "1\n2\n")]);
    assert!(error(few.path().to_str().unwrap()).contains("the list has 2 lines, but there are 1 pictures"));
}

#[test]
fn kaggles_lists_of_imagenet_are_read_by_wordnet_id() {
    let list = "ImageId,PredictionString\nILSVRC2012_val_00000001,n01751748 111 108 441 193 \nILSVRC2012_val_00000002,n09193705 1 2 3 4 n09193705 5 6 7 8 \n";
    let folder = drawn(&[
        ("ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.png", ""),
        ("ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000002.png", ""),
        ("LOC_val_solution.csv", list),
        ("LOC_sample_submission.csv", "ImageId,PredictionString\nx,y\n"),
    ]);
    let path = folder.path().to_str().unwrap();
    for spec in [path.to_string(), format!("{path}/LOC_val_solution.csv")] {
        let data = open(&spec).unwrap();
        assert_eq!((classes(&data), data.labelled), (vec![65, 970], true));
        assert!(data.file(1).unwrap().ends_with("val/ILSVRC2012_val_00000002.png"));
    }
}

#[test]
fn lists_of_synonyms_and_homonyms_in_a_fixed_order_are_classes() {
    let card = imagenet();
    // Hugging Face's names of ImageNet's classes are all words of the synset.
    let names: Vec<_> = card.synonyms.iter().map(|words| words[1..].join(", ")).collect();
    let pixels = vec![0; 1000];
    let data = Dataset::of_bytes("parquet:here", names, [1, 1, 1], pixels, (0..1000).collect()).unwrap();
    assert_eq!(classes(&data), (0..1000).collect::<Vec<_>>());
}

//! All maps of ResNet-20's reference file, by `gradscope run METHOD --out`, and a table of the errors: batch norms are folded,
//! skip connections distribute relevance.
//!
//! `just reference` prints the table. Weights, pictures and reference values come from the folder `GRADSCOPE_SHARED`; without
//! it this test is skipped.

use crate::common::shared::shared;
use crate::common::table::Table;
use gradscope::data::{Dataset, read_npy, source};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Tensors that other tests cover: features of a data set, their principal axes and neighbors.
const ELSEWHERE: &[&str] = &["features.", "pca.", "neighbours."];

/// Number of pictures, the first ones of the set.
const PICTURES: usize = 16;

struct Desk {
    shared: PathBuf,
    data: Dataset,
}

impl Desk {
    fn open(shared: &Path) -> Self {
        let data = source::open(&format!("cifar10:{}", pictures(shared).display())).unwrap();
        Self { shared: shared.into(), data }
    }

    fn weights(&self) -> PathBuf {
        self.shared.join("models/resnet20_cifar10.safetensors")
    }

    /// The array of this name for each picture, with its label as the target.
    fn maps(&self, method: &str, set: &[&str], file: &str) -> Vec<Vec<f64>> {
        let one = |i: usize| {
            let out = TempDir::new().unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
            command.args(["run", method, "-m", "resnet20", "-t", &self.data.label(i).to_string(), "-w"]);
            command.arg(self.weights()).arg("-i").arg(format!("cifar10:{}[{i}]", pictures(&self.shared).display()));
            command.arg("--out").arg(out.path()).args(set);
            let said = command.output().unwrap();
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            read_npy(&out.path().join(file)).unwrap().values.into_iter().map(f64::from).collect()
        };
        (0..PICTURES).map(one).collect()
    }

    /// The logits of the pictures, and the standard deviation of the normalization.
    fn model(&self) -> (Vec<f64>, Vec<f64>) {
        let models = Architectures::new(Folders::models(None), &Default::default());
        let model = models.open("resnet20", Some(&self.weights())).unwrap();
        let x = self.data.batch(&(0..PICTURES).collect::<Vec<_>>(), &model.card.preprocess()).unwrap();
        let logits = model.graph.forward(&x).unwrap().logits().unwrap().flatten_all().unwrap().to_vec1::<f32>();
        (logits.unwrap().into_iter().map(f64::from).collect(), model.card.std.clone())
    }

    /// Our value of a tensor of the file; `None` if its name is not known.
    fn ours(&self, name: &str) -> Option<Vec<f64>> {
        let (logits, std) = self.model();
        if let Some(rest) = name.strip_prefix("lrp.") {
            let (composite, summed) = rest.strip_suffix(".sum").map_or((rest, false), |c| (c, true));
            let maps = self.maps("lrp", &["--set", &format!("composite={composite}")], "relevance.npy");
            let form = |map: &Vec<f64>| if summed { vec![map.iter().sum()] } else { plane(map) };
            return Some(maps.iter().flat_map(form).collect());
        }
        Some(match name {
            "logits" => logits,
            "gradient" => {
                let by_pixels = self.maps("saliency", &[], "gradient.npy").concat();
                by_pixels.iter().enumerate().map(|(i, v)| v * std[i / 1024 % 3]).collect()
            }
            "gradcam.layer3" => {
                self.maps("gradcam", &[], "cam_raw.npy").concat().into_iter().map(|v| v.max(0.0)).collect()
            }
            _ => return None,
        })
    }
}

fn pictures(shared: &Path) -> PathBuf {
    shared.join("data/cifar10/cifar10_test_2000.bin")
}

/// Sums over the three colors.
fn plane(map: &[f64]) -> Vec<f64> {
    let size = map.len() / 3;
    (0..size).map(|p| (0..3).map(|c| map[c * size + p]).sum()).collect()
}

#[test]
fn every_map_of_the_file_is_reproduced() {
    let Some(shared) = shared() else { return };
    let mut table = Table::read(&shared, "resnet20_cifar10");
    let desk = Desk::open(&shared);
    for name in table.names(ELSEWHERE) {
        let ours = desk.ours(&name).unwrap_or_else(|| panic!("nothing computes \"{name}\""));
        table.compare(&name, &ours);
    }
    table.finish();
}

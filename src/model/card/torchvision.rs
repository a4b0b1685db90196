//! The card of torchvision's pretrained weights, which are identified by their file names.

use super::source::Source;
use super::values::{CardValues, Crop, Given, InputSize, PerChannel};
use crate::hub::torchvision_weights;

/// The preprocessing for torchvision's weight file `file`; no values if torchvision has no such file.
pub fn of_torchvision(file: &str) -> CardValues {
    let Some(weights) = torchvision_weights().find(|weights| weights.file == file) else {
        return CardValues::default();
    };
    let source = Source::Card { file: "torchvision".into(), key: weights.name.into() };
    fn given<T>(value: T, source: &Source) -> Option<Given<T>> {
        Some(Given { value, source: source.clone() })
    }
    CardValues {
        size: given(InputSize([weights.size; 2]), &source),
        crop: given(Crop::Side(weights.resize), &source),
        interpolation: given(weights.interpolation, &source),
        mean: given(PerChannel(weights.mean), &source),
        std: given(PerChannel(weights.std), &source),
        labels: None,
        channel_order: None,
        output: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Interpolation;

    #[test]
    fn the_file_name_tells_the_weights_apart() {
        let crop = |file: &str| of_torchvision(file).crop.map(|crop| crop.value);
        assert_eq!(crop("resnet50-0676ba61.pth"), Some(Crop::Side(256)));
        assert_eq!(crop("resnet50-11ad3fa6.pth"), Some(Crop::Side(232)));
        assert!(of_torchvision("resnet50.pth").is_empty() && of_torchvision("").is_empty());
        let swag = of_torchvision("vit_b_16_swag-9ac1b537.pth");
        assert_eq!(swag.interpolation.as_ref().unwrap().value, Interpolation::Bicubic);
        assert_eq!(swag.size.unwrap().source.text("size"), "torchvision: IMAGENET1K_SWAG_E2E_V1");
    }
}

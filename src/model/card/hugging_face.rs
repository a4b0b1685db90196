//! Hugging Face's `config.json` and `preprocessor_config.json`.

use super::entry::{self, Object};
use super::names;
use super::values::{CardValues, ChannelOrder, Crop, Given, InputSize, PerChannel};
use crate::data::Interpolation;
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Minimum input size at which ConvNeXt's processor resizes the entire picture instead of cropping it.
const CONVNEXT_WHOLE: usize = 384;

/// Reads the class names of `config.json`, unless they are the placeholders `LABEL_0`, `LABEL_1`, …
pub(super) fn config(file: &str, config: &Value) -> Result<CardValues> {
    let labels = Object::new(file, "", config)?.given("id2label", names::of_value)?;
    let named = |labels: &Given<Vec<String>>| {
        let mut numbered = labels.value.iter().enumerate();
        !numbered.all(|(index, name)| *name == format!("LABEL_{index}"))
    };
    Ok(CardValues { labels: labels.filter(named), ..CardValues::default() })
}

/// Reads `preprocessor_config.json`.
pub(super) fn preprocessor(file: &str, value: &Value) -> Result<CardValues> {
    let own = Object::new(file, "", value)?;
    let (size, crop) = geometry(&own)?;
    let (mean, std) = normalization(&own)?;
    let flipped = own.given("do_flip_channel_order", |value| {
        let flips = value.as_bool().context("expected true or false")?;
        Ok(if flips { ChannelOrder::Bgr } else { ChannelOrder::Rgb })
    })?;
    let resample = |code: &Value| {
        let code = code.as_u64().and_then(Interpolation::of_pillow);
        code.context("expected a Pillow filter: 0 (nearest), 1 (lanczos), 2 (bilinear) or 3 (bicubic)")
    };
    Ok(CardValues {
        size,
        crop,
        interpolation: own.given("resample", resample)?,
        mean,
        std,
        labels: None,
        channel_order: flipped,
        output: None,
    })
}

/// The forms that `size` can have.
enum Size {
    /// A number, whose meaning depends on the other keys.
    Number(usize),
    /// `{"shortest_edge": N}`.
    ShortestEdge(usize),
    /// `{"height": H, "width": W}`.
    Sides([usize; 2]),
}

fn size(value: &Value) -> Result<Size> {
    let form = "expected a number, {\"shortest_edge\": N} or {\"height\": H, \"width\": W}";
    let side = |key: &str| value.get(key).filter(|side| !side.is_null()).map(entry::pixels).transpose().context(form);
    match (value, side("shortest_edge")?, side("height")?, side("width")?) {
        (Value::Number(_), ..) => Ok(Size::Number(entry::pixels(value).context(form)?)),
        (_, Some(edge), ..) => Ok(Size::ShortestEdge(edge)),
        (_, None, Some(height), Some(width)) => Ok(Size::Sides([height, width])),
        _ => bail!(form),
    }
}

type Geometry = (Option<Given<InputSize>>, Option<Given<Crop>>);

/// The input size and the crop.
fn geometry(own: &Object) -> Result<Geometry> {
    if !own.switch("do_resize", true)? {
        return Ok((None, None));
    }
    let Some(given) = own.given("size", size)? else { return Ok((None, None)) };
    let (size, source) = (given.value, given.source);
    let cropped = own.given("crop_size", |value| match self::size(value)? {
        Size::Number(n) | Size::ShortestEdge(n) => InputSize::checked([n, n]),
        Size::Sides(sides) => InputSize::checked(sides),
    })?;
    let edge = match size {
        Size::Number(edge) | Size::ShortestEdge(edge) => edge,
        Size::Sides(sides) => sides[0],
    };
    let by = |sides, crop| -> Result<Geometry> {
        let value = InputSize::checked(sides).context("\"size\"")?;
        Ok((Some(Given { value, source: source.clone() }), Some(Given { value: crop, source: source.clone() })))
    };
    if own.switch("do_center_crop", false)? {
        let cropped = match cropped {
            Some(cropped) => cropped,
            None => Given { value: InputSize::checked([edge, edge])?, source: source.clone() },
        };
        let fits = matches!(size, Size::Sides(sides) if sides == cropped.value.0);
        if let (Size::Sides(sides), false) = (&size, fits) {
            bail!(
                "\"size\" is {}x{} with a center crop of {}x{}: with \"do_center_crop\", expected {{\"shortest_edge\": N}}",
                sides[0],
                sides[1],
                cropped.value.0[0],
                cropped.value.0[1]
            );
        }
        let value = if fits { Crop::Whole } else { Crop::Side(edge) };
        return Ok((Some(cropped), Some(Given { value, source })));
    }
    match size {
        Size::Sides(sides) => by(sides, Crop::Whole),
        // ConvNeXt's processor.
        _ if own.get("crop_pct").is_some() && edge < CONVNEXT_WHOLE => {
            let fraction = own.given("crop_pct", entry::crop)?;
            by([edge, edge], fraction.map_or(Crop::Whole, |given| given.value))
        }
        Size::Number(_) => by([edge, edge], Crop::Whole),
        Size::ShortestEdge(_) if own.get("crop_pct").is_some() => by([edge, edge], Crop::Whole),
        // Hugging Face keeps the picture's aspect ratio; here, the picture is cropped to a square.
        Size::ShortestEdge(_) => by([edge, edge], Crop::Side(edge)),
    }
}

type Normalization = (Option<Given<PerChannel>>, Option<Given<PerChannel>>);

/// The mean and standard deviation for pixels in `[0, 1]`. The processor computes `(255 p · factor − offset − mean) / std` for
/// pixels `p` in `[0, 1]`.
fn normalization(own: &Object) -> Result<Normalization> {
    let factor = match own.switch("do_rescale", true)? {
        true => own.number("rescale_factor", 1.0 / 255.0)?,
        false => 1.0,
    };
    let offset = if own.switch("rescale_offset", false)? { 1.0 } else { 0.0 };
    // A factor of 1/255 is often written with fewer digits.
    let scale = if (factor * 255.0 - 1.0).abs() < 1e-6 { 1.0 } else { factor * 255.0 };
    let mean = move |mean: f64| (mean + offset) / scale;
    let std = move |std: f64| std / scale;
    if !own.switch("do_normalize", true)? {
        let given = |value: f64| Given { value: PerChannel(vec![value]), source: own.source("do_normalize") };
        return Ok((Some(given(mean(0.0))), Some(given(std(1.0)))));
    }
    let read = |key, value: fn(Vec<f64>) -> Result<PerChannel>, scaled: &dyn Fn(f64) -> f64| {
        own.given(key, |numbers| value(entry::any_range(numbers)?.into_iter().map(scaled).collect()))
    };
    Ok((
        read("image_mean", |numbers| PerChannel::checked(numbers, false), &mean)?,
        read("image_std", |numbers| PerChannel::checked(numbers, true), &std)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> CardValues {
        preprocessor("preprocessor_config.json", value).unwrap()
    }

    fn shape(value: &Value) -> ([usize; 2], Crop) {
        let values = read(value);
        (values.size.unwrap().value.0, values.crop.unwrap().value)
    }

    #[test]
    fn sizes_and_crops_are_those_of_each_processor() {
        let clip = json!({ "size": { "shortest_edge": 256 }, "crop_size": { "height": 224, "width": 224 }, "do_center_crop": true });
        assert_eq!(shape(&clip), ([224, 224], Crop::Side(256)));
        let older = json!({ "size": 224, "crop_size": 224, "do_center_crop": true });
        assert_eq!(shape(&older), ([224, 224], Crop::Side(224)));
        let vit = json!({ "size": { "height": 384, "width": 320 }, "do_resize": true });
        assert_eq!(shape(&vit), ([384, 320], Crop::Whole));
        assert_eq!(shape(&json!({ "size": 224 })), ([224, 224], Crop::Whole));
        let convnext = |edge: usize| json!({ "size": { "shortest_edge": edge }, "crop_pct": 0.875 });
        assert_eq!(shape(&convnext(224)), ([224, 224], Crop::Fraction(0.875)));
        assert_eq!(shape(&convnext(384)), ([384, 384], Crop::Whole));
        assert!(read(&json!({ "size": 224, "do_resize": false })).size.is_none());
        let squashed = json!({ "size": { "height": 256, "width": 256 }, "crop_size": 224, "do_center_crop": true });
        let error = preprocessor("p", &squashed).unwrap_err().to_string();
        assert!(error.contains("256x256") && error.contains("shortest_edge"), "{error}");
    }

    #[test]
    fn mean_and_std_are_converted_to_pixels_from_0_to_1() {
        let both = |value: &Value| {
            let values = read(value);
            (values.mean.unwrap().value.0, values.std.unwrap().value.0)
        };
        let usual = json!({ "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "rescale_factor": 0.00392156862745098 });
        assert_eq!(both(&usual), (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]));
        let raw = json!({ "image_mean": [127.5], "image_std": [51.0], "do_rescale": false });
        assert_eq!(both(&raw), (vec![0.5], vec![0.2]));
        assert_eq!(both(&json!({ "do_normalize": false })), (vec![0.0], vec![1.0]));
        // EfficientNet: p · 255 / 127.5 − 1.
        let offset = json!({ "do_normalize": false, "rescale_factor": 1.0 / 127.5, "rescale_offset": true });
        assert_eq!(both(&offset), (vec![0.5], vec![0.5]));
    }

    #[test]
    fn filters_have_pillows_numbers() {
        assert_eq!(read(&json!({ "resample": 3 })).interpolation.unwrap().value, Interpolation::Bicubic);
        let error = preprocessor("p", &json!({ "resample": 5 })).unwrap_err().to_string();
        assert!(error.contains("\"resample\" is 5: expected a Pillow filter"), "{error}");
    }

    #[test]
    fn placeholders_are_no_class_names() {
        let labels = |value: Value| config("config.json", &value).unwrap().labels.map(|given| given.value);
        assert_eq!(labels(json!({ "id2label": { "0": "LABEL_0", "1": "LABEL_1" } })), None);
        assert_eq!(labels(json!({ "id2label": { "1": "dog", "0": "cat" } })), Some(vec!["cat".into(), "dog".into()]));
        assert!(config("config.json", &json!({ "id2label": { "0": "cat", "2": "dog" } })).is_err());
    }
}

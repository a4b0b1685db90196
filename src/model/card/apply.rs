//! Applies values from other sources to a card.

use super::source::Source;
use super::values::{CardValues, ChannelOrder, Crop, Given, InputSize, PerChannel};
use crate::graph::Graph;
use crate::model::Card;
use anyhow::{Result, ensure};

impl Card {
    /// The card with the values of `sources`, which are in order of increasing precedence; all take precedence over the card
    /// itself. If the size comes from a source with higher precedence than a crop in pixels, the crop is scaled with the size.
    ///
    /// Errors if the resulting values do not fit the network's channels or each other; overridden values are not checked.
    pub fn with_values(self, sources: &[CardValues]) -> Result<Self> {
        let card = sources.iter().fold(self, Self::with);
        let [channels, height, width] = card.input;
        for (name, values, source) in [("mean", &card.mean, &card.sources.mean), ("std", &card.std, &card.sources.std)]
        {
            ensure!(
                values.len() == channels,
                "{} has {} values for {channels} channels; give one value, or one per channel",
                source.text(name),
                values.len()
            );
        }
        let (short, long) = (card.resize.unwrap_or(usize::MAX), height.max(width));
        ensure!(
            short >= long,
            "{} scales the shorter side to {short} pixels, but pictures are cropped to {height}x{width}; expected at least {long}, \
             a fraction up to 1, or none",
            card.sources.crop.text("crop")
        );
        Ok(card)
    }

    /// The card with the values of one source, which take precedence over the card's.
    fn with(mut self, values: &CardValues) -> Self {
        let longest = |input: [usize; 3]| input[1].max(input[2]);
        if let Some(Given { value: InputSize([height, width]), source }) = &values.size {
            let before = longest(self.input);
            self.input = [self.input[0], *height, *width];
            let scaled = |short: usize| (short as f64 * longest(self.input) as f64 / before as f64).round() as usize;
            self.resize = self.resize.map(scaled);
            self.sources.size = source.clone();
        }
        if let Some(Given { value, source }) = &values.crop {
            self.resize = match value {
                Crop::Whole => None,
                Crop::Fraction(fraction) => Some((longest(self.input) as f64 / fraction).floor() as usize),
                Crop::Side(short) => Some(*short),
            };
            self.sources.crop = source.clone();
        }
        if let Some(Given { value, source }) = &values.interpolation {
            (self.interpolation, self.sources.interpolation) = (*value, source.clone());
        }
        let channels = self.input[0];
        if let Some(Given { value, source }) = &values.mean {
            (self.mean, self.sources.mean) = (for_channels(value, channels), source.clone());
        }
        if let Some(Given { value, source }) = &values.std {
            (self.std, self.sources.std) = (for_channels(value, channels), source.clone());
        }
        if let Some(Given { value, source }) = &values.labels {
            if self.labels[..] != value[..] {
                (self.labels, self.synonyms) = (value.clone().into(), [].into());
            }
            self.sources.labels = source.clone();
        }
        if let Some(Given { value, source }) = &values.channel_order {
            (self.channel_order, self.sources.channel_order) = (*value, source.clone());
        }
        if let (Some(_), Some(Given { value, source })) = (&self.output, &values.output) {
            (self.output, self.sources.output) = (Some(value.clone()), source.clone());
        }
        self
    }

    /// The values whose sources are accepted by `wanted`, in a form that can be applied to another card.
    pub fn values_from(&self, wanted: impl Fn(&Source) -> bool) -> CardValues {
        fn given<T>(value: T, source: &Source, wanted: &impl Fn(&Source) -> bool) -> Option<Given<T>> {
            wanted(source).then(|| Given { value, source: source.clone() })
        }
        let (from, [_, height, width]) = (&self.sources, self.input);
        CardValues {
            size: given(InputSize([height, width]), &from.size, &wanted),
            crop: given(self.resize.map_or(Crop::Whole, Crop::Side), &from.crop, &wanted),
            interpolation: given(self.interpolation, &from.interpolation, &wanted),
            mean: given(PerChannel(self.mean.clone()), &from.mean, &wanted),
            std: given(PerChannel(self.std.clone()), &from.std, &wanted),
            labels: given(self.labels.to_vec(), &from.labels, &wanted).filter(|given| !given.value.is_empty()),
            channel_order: given(self.channel_order, &from.channel_order, &wanted)
                .filter(|given| given.value != ChannelOrder::Rgb || given.source != Source::Script),
            output: self.output.clone().and_then(|output| given(output, &from.output, &wanted)),
        }
    }

    /// Converts a network that expects the card's channel order to one that expects RGB.
    ///
    /// Errors if the order is BGR and the input does not have three channels.
    pub fn in_channel_order(&self, graph: Graph) -> Result<Graph> {
        match self.channel_order {
            ChannelOrder::Rgb => Ok(graph),
            ChannelOrder::Bgr => graph.with_bgr_input(),
        }
    }

    /// The values set by flags.
    pub fn flags(&self) -> CardValues {
        self.values_from(|source| *source == Source::Flag)
    }
}

fn for_channels(values: &PerChannel, channels: usize) -> Vec<f64> {
    match values.0[..] {
        [all] => vec![all; channels],
        ref each => each.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Interpolation;

    fn card() -> Card {
        Card {
            name: "net".into(),
            summary: String::new(),
            input: [3, 224, 224],
            resize: Some(256),
            interpolation: Interpolation::Bilinear,
            mean: vec![0.0; 3],
            std: vec![1.0; 3],
            labels: ["a".into()].into(),
            synonyms: [vec!["n1".into()]].into(),
            picture: String::new(),
            channel_order: ChannelOrder::Rgb,
            output: None,
            sources: super::super::Sources::default(),
        }
    }

    fn flag<T>(value: T) -> Option<Given<T>> {
        Some(Given { value, source: Source::Flag })
    }

    fn file<T>(value: T) -> Option<Given<T>> {
        Some(Given { value, source: Source::Card { file: "config.json".into(), key: "key".into() } })
    }

    #[test]
    fn stronger_sources_replace_weaker_ones_value_by_value() {
        let weak =
            CardValues { mean: file(PerChannel(vec![0.5])), std: file(PerChannel(vec![0.5])), ..CardValues::default() };
        let strong = CardValues { mean: flag(PerChannel(vec![0.1, 0.2, 0.3])), ..CardValues::default() };
        let card = card().with_values(&[weak, strong.clone()]).unwrap();
        assert_eq!((&card.mean[..], &card.std[..]), (&[0.1, 0.2, 0.3][..], &[0.5; 3][..]));
        let texts = card.sources.each().map(|(name, source)| source.text(name));
        assert_eq!(texts[3..5], ["--mean", "config.json: key"]);
        assert_eq!(card.flags(), strong);
    }

    #[test]
    fn a_crop_in_pixels_is_scaled_with_the_input_size() {
        let resized = |values: &[CardValues]| card().with_values(values).unwrap().resize;
        let size = CardValues { size: flag(InputSize([448, 448])), ..CardValues::default() };
        assert_eq!(resized(std::slice::from_ref(&size)), Some(512));
        let crop = CardValues { crop: file(Crop::Fraction(0.9)), ..CardValues::default() };
        assert_eq!(resized(std::slice::from_ref(&crop)), Some(248));
        assert_eq!(resized(&[crop, size]), Some(496));
        let whole = CardValues { crop: flag(Crop::Whole), ..CardValues::default() };
        assert_eq!(resized(&[whole]), None);
    }

    #[test]
    fn values_that_do_not_fit_are_errors_unless_a_stronger_source_replaces_them() {
        let two = CardValues { mean: file(PerChannel(vec![0.5; 2])), ..CardValues::default() };
        let error = card().with_values(std::slice::from_ref(&two)).unwrap_err().to_string();
        assert_eq!(error, "config.json: key has 2 values for 3 channels; give one value, or one per channel");
        let three = CardValues { mean: flag(PerChannel(vec![0.5; 3])), ..CardValues::default() };
        assert!(card().with_values(&[two, three]).is_ok());
        let small = CardValues { crop: flag(Crop::Side(200)), ..CardValues::default() };
        let error = card().with_values(&[small]).unwrap_err().to_string();
        assert!(error.starts_with("--crop scales the shorter side to 200 pixels"), "{error}");
    }

    #[test]
    fn other_class_names_have_no_synonyms() {
        let labels = |name: &str| CardValues { labels: flag(vec![name.to_string()]), ..CardValues::default() };
        assert_eq!(card().with_values(&[labels("b")]).unwrap().synonyms.len(), 0);
        assert_eq!(card().with_values(&[labels("a")]).unwrap().synonyms.len(), 1);
    }
}

//! The sources of a card's values.

use std::sync::Arc;

/// The source of a card's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// A command-line flag.
    Flag,
    /// A card file next to the weights.
    Card {
        /// Name of the file, without its folder.
        file: Arc<str>,
        /// The key in the file, such as `pretrained_cfg.mean`.
        key: Arc<str>,
    },
    /// The file that holds the network or its weights.
    File {
        /// Name of the file, without its folder.
        file: Arc<str>,
    },
    /// The architecture's script.
    #[default]
    Script,
    /// ImageNet's value, which is used if no other source has one.
    ImageNet,
}

/// The source of each value of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Source of the input's height and width.
    pub size: Source,
    /// Source of the crop.
    pub crop: Source,
    /// Source of the interpolation.
    pub interpolation: Source,
    /// Source of the mean.
    pub mean: Source,
    /// Source of the standard deviation.
    pub std: Source,
    /// Source of the class names.
    pub labels: Source,
    /// Source of the channel order.
    pub channel_order: Source,
    /// Source of the output's name.
    pub output: Source,
    /// The hub name and revision of the network's files, such as `torchvision:resnet50@IMAGENET1K_V2`; empty for other files.
    pub hub: Arc<str>,
}

impl Source {
    /// Describes the source of the value `name`: `--mean`, `config.json: pretrained_cfg.mean`.
    pub fn text(&self, name: &str) -> String {
        match self {
            Self::Flag => format!("--{name}"),
            Self::Card { file, key } => format!("{file}: {key}"),
            Self::File { file } => file.to_string(),
            Self::Script => "architecture".into(),
            Self::ImageNet => "ImageNet's default".into(),
        }
    }
}

impl Sources {
    /// The names of all values, as in flags, and their sources.
    pub fn each(&self) -> [(&'static str, &Source); 8] {
        [
            ("size", &self.size),
            ("crop", &self.crop),
            ("interpolation", &self.interpolation),
            ("mean", &self.mean),
            ("std", &self.std),
            ("labels", &self.labels),
            ("channel-order", &self.channel_order),
            ("output", &self.output),
        ]
    }
}

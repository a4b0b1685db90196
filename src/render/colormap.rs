//! Colormaps: lists of stops, linearly interpolated.

use image::Rgb;

/// Color of NaN and infinite values; no colormap contains it.
pub const NOT_FINITE: Rgb<u8> = Rgb([255, 0, 255]);

/// A colormap, which maps values from 0 to 1 to colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Colormap {
    /// Perceptually uniform: black through violet and red to pale yellow.
    #[default]
    Inferno,
    /// Perceptually uniform: dark violet through green to yellow.
    Viridis,
    /// Perceptually uniform: black through pink to cream.
    Magma,
    /// Perceptually uniform: blue through pink to yellow.
    Plasma,
    /// Perceptually uniform, also for people with red-green color blindness: dark blue to yellow.
    Cividis,
    /// Black to white.
    Gray,
    /// Diverging: blue at the low end, gray in the middle, red at the high end.
    Coolwarm,
    /// A smooth rainbow. Not perceptually uniform, so it can suggest edges that are not in the data.
    Turbo,
}

impl Colormap {
    /// All colormaps, in the app's cycling order.
    pub const ALL: [Self; 8] = [
        Self::Inferno,
        Self::Viridis,
        Self::Magma,
        Self::Plasma,
        Self::Cividis,
        Self::Gray,
        Self::Coolwarm,
        Self::Turbo,
    ];

    /// Name of the colormap, such as `viridis`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inferno => "inferno",
            Self::Viridis => "viridis",
            Self::Magma => "magma",
            Self::Plasma => "plasma",
            Self::Cividis => "cividis",
            Self::Gray => "gray",
            Self::Coolwarm => "coolwarm",
            Self::Turbo => "turbo",
        }
    }

    /// The colormap with the given name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// The color at `t`, clamped to `[0, 1]`; [`NOT_FINITE`] for NaN.
    pub fn color(self, t: f32) -> Rgb<u8> {
        if t.is_nan() {
            return NOT_FINITE;
        }
        let stops = self.stops();
        let place = t.clamp(0.0, 1.0) * (stops.len() - 1) as f32;
        let first = (place as usize).min(stops.len() - 2);
        let part = place - first as f32;
        let channel = |shift: u32| {
            let at = |stop: u32| ((stop >> shift) & 255) as f32;
            (at(stops[first]) * (1.0 - part) + at(stops[first + 1]) * part).round() as u8
        };
        Rgb([channel(16), channel(8), channel(0)])
    }

    /// Evenly spaced stops, sampled from matplotlib 3.11 (matplotlib license; CC0 for viridis, magma, plasma and inferno).
    fn stops(self) -> &'static [u32] {
        match self {
            Self::Inferno => &INFERNO,
            Self::Viridis => &VIRIDIS,
            Self::Magma => &MAGMA,
            Self::Plasma => &PLASMA,
            Self::Cividis => &CIVIDIS,
            Self::Gray => &[0x000000, 0xffffff],
            Self::Coolwarm => &COOLWARM,
            Self::Turbo => &TURBO,
        }
    }
}

/// Color of category `kind`: one of 20 distinct colors other than black and white, repeating after 20.
pub fn category(kind: usize) -> Rgb<u8> {
    let hex = CATEGORIES[kind % CATEGORIES.len()];
    Rgb([hex >> 16, hex >> 8, hex].map(|v| (v & 255) as u8))
}

/// Trubetskoy's list of 20 simple, distinct colors, without black and white.
const CATEGORIES: [u32; 20] = [
    0xe6194b, 0x3cb44b, 0x4363d8, 0xf58231, 0x911eb4, 0x42d4f4, 0xf032e6, 0xbfa100, 0x469990, 0x9a6324, 0x800000,
    0x808000, 0x000075, 0xfabed4, 0xdcbeff, 0xaaffc3, 0xffd8b1, 0xbfef45, 0xffe119, 0xa9a9a9,
];

const VIRIDIS: [u32; 17] = [
    0x440154, 0x48186a, 0x472d7b, 0x424086, 0x3b528b, 0x33638d, 0x2c728e, 0x26828e, 0x21918c, 0x1fa088, 0x28ae80,
    0x3fbc73, 0x5ec962, 0x84d44b, 0xaddc30, 0xd8e219, 0xfde725,
];
const MAGMA: [u32; 17] = [
    0x000004, 0x0a0822, 0x1d1147, 0x36106b, 0x51127c, 0x6a1c81, 0x832681, 0x9c2e7f, 0xb73779, 0xd0416f, 0xe75263,
    0xf56b5c, 0xfc8961, 0xfea772, 0xfec488, 0xfde2a3, 0xfcfdbf,
];
const INFERNO: [u32; 17] = [
    0x000004, 0x0b0724, 0x210c4a, 0x3d0965, 0x57106e, 0x71196e, 0x8a226a, 0xa32c61, 0xbc3754, 0xd24644, 0xe45a31,
    0xf1731d, 0xf98e09, 0xfcac11, 0xf9cb35, 0xf2ea69, 0xfcffa4,
];
const PLASMA: [u32; 17] = [
    0x0d0887, 0x310597, 0x4c02a1, 0x6600a7, 0x7e03a8, 0x9511a1, 0xaa2395, 0xbc3587, 0xcc4778, 0xda5a6a, 0xe66c5c,
    0xf0804e, 0xf89540, 0xfdac33, 0xfdc527, 0xf8df25, 0xf0f921,
];
const CIVIDIS: [u32; 17] = [
    0x00224e, 0x002e6a, 0x1a386f, 0x32436d, 0x434e6c, 0x535a6d, 0x61656f, 0x6f7073, 0x7d7c78, 0x8c8878, 0x9b9476,
    0xaba072, 0xbcae6c, 0xcdbb63, 0xdec958, 0xf0d846, 0xfee838,
];
const COOLWARM: [u32; 17] = [
    0x3b4cc0, 0x4e68d8, 0x6282ea, 0x779af7, 0x8db0fe, 0xa3c2fe, 0xb9d0f9, 0xccd9ed, 0xdddcdc, 0xecd3c5, 0xf5c4ac,
    0xf7b093, 0xf4987a, 0xeb7d62, 0xdd5f4b, 0xca3b37, 0xb40426,
];
const TURBO: [u32; 17] = [
    0x30123b, 0x4040a2, 0x466be3, 0x4294ff, 0x28bceb, 0x18ddc2, 0x32f298, 0x6dfe62, 0xa4fc3c, 0xcdec34, 0xeecf3a,
    0xfdac34, 0xfb7e21, 0xeb500e, 0xd02f05, 0xa91601, 0x7a0403,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_middle_have_the_expected_colors() {
        assert_eq!(Colormap::Viridis.color(0.0), Rgb([0x44, 0x01, 0x54]));
        assert_eq!(Colormap::Viridis.color(2.0), Rgb([0xfd, 0xe7, 0x25]));
        assert_eq!(Colormap::Coolwarm.color(0.5), Rgb([0xdd, 0xdc, 0xdc]));
        assert_eq!(Colormap::Gray.color(0.5), Rgb([128, 128, 128]));
    }

    #[test]
    fn no_colormap_contains_the_color_of_values_that_are_not_finite() {
        for map in Colormap::ALL {
            assert_eq!(map.color(f32::NAN), NOT_FINITE);
            assert!((0..=1000).all(|i| map.color(i as f32 / 1000.0) != NOT_FINITE), "{}", map.name());
        }
    }

    #[test]
    fn every_colormap_is_found_by_its_name() {
        assert!(Colormap::ALL.into_iter().all(|c| Colormap::named(c.name()) == Some(c)));
    }
}

//! The colors of the app's themes.

use ratatui::style::Color;

/// Which colors the app uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// The terminal's own colors.
    #[default]
    Terminal,
    /// Light text on a dark background.
    Dark,
    /// Dark text on a light background.
    Light,
}

/// The colors of a theme with its own background.
#[derive(Clone, Copy, Debug)]
pub struct Colors {
    /// Background of the screen.
    pub ground: Color,
    /// Text.
    pub text: Color,
    /// Emphasized text.
    pub strong: Color,
    /// Secondary text.
    pub dim: Color,
    /// Frame and title of the focused panel.
    pub focus: Color,
    /// Frames of the other panels.
    pub frame: Color,
    /// Successes and increases.
    pub good: Color,
    /// Errors and decreases.
    pub bad: Color,
    /// Warnings and the target class.
    pub warn: Color,
    /// Bars of bar charts.
    pub bar: Color,
    /// Background of the status line and of the row under the cursor in panels without focus.
    pub raised: Color,
    /// Curves and groups of points.
    pub curves: [Color; 10],
}

const DARK: Colors = Colors {
    ground: rgb(0x14161b),
    text: rgb(0xd6dae1),
    strong: rgb(0xffffff),
    dim: rgb(0x98a1b0),
    focus: rgb(0x5ccfe6),
    frame: rgb(0x525b6b),
    good: rgb(0x8fd694),
    bad: rgb(0xff7b7b),
    warn: rgb(0xffcc66),
    bar: rgb(0x6aa9ff),
    raised: rgb(0x262b35),
    curves: [
        rgb(0xffd000),
        rgb(0x52fb9f),
        rgb(0x846dea),
        rgb(0xff8913),
        rgb(0xb2faff),
        rgb(0xd2509a),
        rgb(0x15c27e),
        rgb(0xe286ff),
        rgb(0xa6783f),
        rgb(0xc9b9cf),
    ],
};

const LIGHT: Colors = Colors {
    ground: rgb(0xfbfbf9),
    text: rgb(0x24292f),
    strong: rgb(0x000000),
    dim: rgb(0x57606a),
    focus: rgb(0x0b6e8a),
    frame: rgb(0xa5adb8),
    good: rgb(0x1a7031),
    bad: rgb(0xc11f2a),
    warn: rgb(0x805300),
    bar: rgb(0x0960c8),
    raised: rgb(0xe6e9ed),
    curves: [
        rgb(0x8e0742),
        rgb(0x006dec),
        rgb(0x097800),
        rgb(0xa031af),
        rgb(0x836b82),
        rgb(0x23029e),
        rgb(0xda2a48),
        rgb(0x325176),
        rgb(0x064400),
        rgb(0x550565),
    ],
};

/// Colors of curves and groups on a background that is not known: ten that people with red-green color blindness can tell apart too.
pub const VIVID: [Color; 10] = [
    rgb(0xffbe00),
    rgb(0x00b0c7),
    rgb(0xff6487),
    rgb(0x4beda4),
    rgb(0x8d7bff),
    rgb(0x765f04),
    rgb(0xb9ccff),
    rgb(0xab2e7b),
    rgb(0x479d00),
    rgb(0x005ec5),
];

const fn rgb(code: u32) -> Color {
    Color::Rgb((code >> 16) as u8, (code >> 8) as u8, code as u8)
}

impl Palette {
    /// All palettes.
    pub const ALL: [Self; 3] = [Self::Terminal, Self::Dark, Self::Light];

    /// Name of the palette in configurations and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Dark => "dark",
            Self::Light => "light",
        }
    }

    /// The palette with this name. Errors if there is none, listing all names.
    pub fn named(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let palette = Self::ALL.into_iter().find(|palette| palette.name() == name);
        palette.ok_or_else(|| format!("no theme named \"{name}\"; expected one of {}", known()))
    }

    /// Background, text and group colors of plots that are drawn in pixels.
    pub fn plot_colors(self) -> ([u8; 3], [u8; 3], Vec<[u8; 3]>) {
        let bytes = |color: Color| match color {
            Color::Rgb(r, g, b) => [r, g, b],
            _ => [128; 3],
        };
        let all = |curves: &[Color; 10]| curves.iter().map(|color| bytes(*color)).collect();
        match self.colors() {
            Some(own) => (bytes(own.ground), bytes(own.text), all(&own.curves)),
            None => ([0; 3], [255; 3], all(&VIVID)),
        }
    }

    /// The colors of the palette; `None` for the terminal's own.
    pub fn colors(self) -> Option<&'static Colors> {
        match self {
            Self::Terminal => None,
            Self::Dark => Some(&DARK),
            Self::Light => Some(&LIGHT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(byte: u8) -> f64 {
        let share = f64::from(byte) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    }

    /// Relative luminance, WCAG 2.1.
    fn luminance(color: Color) -> f64 {
        let Color::Rgb(r, g, b) = color else { panic!("palettes are in RGB") };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    fn contrast(a: Color, b: Color) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_is_readable_on_every_background() {
        for palette in Palette::ALL {
            let Some(c) = palette.colors() else { continue };
            let text = [c.text, c.strong, c.dim, c.focus, c.good, c.bad, c.warn, c.bar];
            for color in text.into_iter().chain(c.curves) {
                let ratio = contrast(color, c.ground);
                assert!(ratio >= 4.5, "{}: {color:?} has contrast {ratio:.2}", palette.name());
            }
            for color in [c.text, c.strong, c.dim] {
                assert!(contrast(color, c.raised) >= 4.5, "{}: {color:?}", palette.name());
            }
            assert!(contrast(c.ground, c.text) >= 7.0 && contrast(c.frame, c.ground) >= 1.9);
        }
    }

    /// What people with protanopia and deuteranopia see (Machado et al. 2009), and what others see.
    const SIGHTS: [[[f64; 3]; 3]; 3] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ];

    /// The color in OKLab (Ottosson 2020), times 100, as seen with these eyes.
    fn lab(color: Color, sight: &[[f64; 3]; 3]) -> [f64; 3] {
        let Color::Rgb(r, g, b) = color else { panic!("palettes are in RGB") };
        let rgb = [r, g, b].map(linear);
        let times = |m: &[[f64; 3]; 3], v: [f64; 3]| m.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum::<f64>());
        let seen = times(sight, rgb).map(|v| v.clamp(0.0, 1.0));
        let cones = [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ];
        let axes = [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ];
        times(&axes, times(&cones, seen).map(f64::cbrt)).map(|v| 100.0 * v)
    }

    #[test]
    fn ten_curves_or_groups_differ_also_for_people_with_red_green_color_blindness() {
        let own = Palette::ALL.into_iter().filter_map(|palette| Some((palette.name(), palette.colors()?.curves)));
        for (name, curves) in own.chain([("vivid", VIVID)]) {
            for (sight, least) in SIGHTS.iter().zip([14.0, 9.0, 9.0]) {
                let seen = curves.map(|color| lab(color, sight));
                for (i, a) in seen.iter().enumerate() {
                    for (j, b) in seen.iter().enumerate().skip(i + 1) {
                        let apart = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                        assert!(apart >= least, "{name}: {:?} and {:?} are {apart:.1} apart", curves[i], curves[j]);
                    }
                }
            }
        }
    }
}

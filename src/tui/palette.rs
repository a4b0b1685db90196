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
        rgb(0xffcc66),
        rgb(0x5ccfe6),
        rgb(0xff8fd0),
        rgb(0x8fd694),
        rgb(0x6aa9ff),
        rgb(0xff7b7b),
        rgb(0xc3a6ff),
        rgb(0xe8743b),
        rgb(0xa8b3c4),
        rgb(0xb8e04a),
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
        rgb(0x805300),
        rgb(0x0b6e8a),
        rgb(0xa6257f),
        rgb(0x1a7031),
        rgb(0x0960c8),
        rgb(0xc11f2a),
        rgb(0x6b3fc0),
        rgb(0xb5480f),
        rgb(0x57606a),
        rgb(0x4f6b00),
    ],
};

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

    /// Relative luminance, WCAG 2.1.
    fn luminance(color: Color) -> f64 {
        let Color::Rgb(r, g, b) = color else { panic!("palettes are in RGB") };
        let linear = |byte: u8| {
            let share = f64::from(byte) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
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

    #[test]
    fn curves_differ_from_one_another() {
        for palette in Palette::ALL {
            let Some(colors) = palette.colors() else { continue };
            for (i, a) in colors.curves.iter().enumerate() {
                for b in &colors.curves[i + 1..] {
                    let (Color::Rgb(r, g, b1), Color::Rgb(r2, g2, b2)) = (a, b) else { panic!("palettes are in RGB") };
                    let apart = u32::from(r.abs_diff(*r2)) + u32::from(g.abs_diff(*g2)) + u32::from(b1.abs_diff(*b2));
                    assert!(apart >= 60, "{}: {a:?} and {b:?} are {apart} apart", palette.name());
                }
            }
        }
    }
}

//! The theme: a text style for each role on screen, depending on the terminal's color depth.

use super::palette::{Palette, VIVID};
use ratatui::style::{Color, Modifier, Style};

/// The number of colors supported by the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// No colors, because `NO_COLOR` is set or the terminal has none.
    None,
    /// The sixteen colors of the terminal's palette.
    #[default]
    Sixteen,
    /// A fixed palette of 256 colors.
    Indexed,
    /// 24-bit colors.
    True,
}

/// The text style of each role on screen. No two roles differ only in color.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    /// Color depth of the theme.
    pub depth: Depth,
    /// Text and background of the screen.
    pub ground: Style,
    /// Colors of curves and groups of points, repeated after the last one.
    pub curves: [Color; 10],
    /// Frame and title of the focused panel.
    pub focus: Style,
    /// Frames of the other panels.
    pub frame: Style,
    /// Secondary text.
    pub dim: Style,
    /// Emphasized text.
    pub strong: Style,
    /// The row under the cursor in the focused panel.
    pub cursor: Style,
    /// The row under the cursor in other panels.
    pub mark: Style,
    /// Successes and increases.
    pub good: Style,
    /// Errors and decreases.
    pub bad: Style,
    /// Warnings, such as stale figures, and the target class.
    pub warn: Style,
    /// Bars of bar charts.
    pub bar: Style,
    /// Text of the status line.
    pub status: Style,
}

/// The user's color for a role.
#[derive(Clone, Debug, PartialEq)]
pub struct Paint {
    role: String,
    color: Color,
}

/// The roles with user-configurable colors.
const ROLES: [&str; 6] = ["focus", "frame", "good", "bad", "warn", "bar"];

impl Paint {
    /// Parses a color: a name, a palette index, or `#rrggbb`. Errors if the role or color is invalid, listing the valid roles or
    /// color formats.
    pub fn new(role: &str, color: &str) -> Result<Self, String> {
        if !ROLES.contains(&role) {
            return Err(format!("unknown role \"{role}\"; expected one of {}", ROLES.join(", ")));
        }
        let color = color.parse().map_err(|_| {
            format!("invalid color \"{color}\"; expected a name such as red, a number from 0 to 255, or #rrggbb")
        })?;
        Ok(Self { role: role.into(), color })
    }

    /// The roles with user-configurable colors.
    pub const fn roles() -> &'static [&'static str] {
        &ROLES
    }

    /// The role and its color.
    pub fn parts(&self) -> (&str, Color) {
        (&self.role, self.color)
    }
}

/// The colors of [`VIVID`] in the palette of 256 colors.
const INDEXED: [Color; 10] = [
    Color::Indexed(214),
    Color::Indexed(38),
    Color::Indexed(204),
    Color::Indexed(85),
    Color::Indexed(105),
    Color::Indexed(94),
    Color::Indexed(153),
    Color::Indexed(126),
    Color::Indexed(70),
    Color::Indexed(26),
];

/// Colors of the curves in the terminal's palette.
const CURVES: [Color; 10] = [
    Color::Yellow,
    Color::Cyan,
    Color::Magenta,
    Color::Green,
    Color::Blue,
    Color::Red,
    Color::LightMagenta,
    Color::LightRed,
    Color::Gray,
    Color::LightGreen,
];

impl Theme {
    /// Creates the theme of a palette. Palettes with their own colors need a terminal with 24-bit colors; on others the terminal's
    /// palette is used.
    pub fn of(palette: Palette, depth: Depth) -> Self {
        let theme = Self::new(depth);
        let Some(colors) = palette.colors().filter(|_| depth == Depth::True) else { return theme };
        let paint = |style: Style, color: Color| Style { fg: Some(color), ..style.remove_modifier(Modifier::DIM) };
        Self {
            ground: Style::new().fg(colors.text).bg(colors.ground),
            curves: colors.curves,
            focus: paint(theme.focus, colors.focus),
            frame: paint(theme.frame, colors.frame),
            dim: paint(theme.dim, colors.dim),
            strong: paint(theme.strong, colors.strong),
            cursor: Style::new().fg(colors.ground).bg(colors.focus).add_modifier(Modifier::BOLD),
            mark: theme.mark.bg(colors.raised),
            good: paint(theme.good, colors.good),
            bad: paint(theme.bad, colors.bad),
            warn: paint(theme.warn, colors.warn),
            bar: paint(theme.bar, colors.bar),
            status: Style::new().fg(colors.text).bg(colors.raised),
            ..theme
        }
    }

    /// Creates the theme in the terminal's palette for a color depth.
    pub fn new(depth: Depth) -> Self {
        let plain = Style::new();
        let color = |c: Color| if depth == Depth::None { plain } else { plain.fg(c) };
        let bold = |s: Style| s.add_modifier(Modifier::BOLD);
        Self {
            depth,
            ground: plain,
            curves: match depth {
                Depth::True => VIVID,
                Depth::Indexed => INDEXED,
                Depth::Sixteen | Depth::None => CURVES,
            },
            focus: bold(color(Color::Cyan)),
            frame: match depth {
                Depth::None => plain.add_modifier(Modifier::DIM),
                _ => color(Color::DarkGray),
            },
            dim: match depth {
                Depth::None => plain.add_modifier(Modifier::DIM),
                _ => color(Color::Gray).add_modifier(Modifier::DIM),
            },
            strong: bold(plain),
            cursor: plain
                .fg(Color::Reset)
                .bg(Color::Reset)
                .add_modifier(Modifier::REVERSED)
                .remove_modifier(Modifier::DIM),
            mark: bold(plain).add_modifier(Modifier::UNDERLINED),
            good: color(Color::Green),
            bad: bold(color(Color::Red)),
            warn: bold(color(Color::Yellow)),
            bar: color(Color::Blue),
            status: plain.add_modifier(Modifier::REVERSED),
        }
    }

    /// Replaces the colors of roles with the user's colors.
    pub fn painted(mut self, paints: &[Paint]) -> Self {
        let depth = self.depth;
        for paint in paints.iter().filter(|_| depth != Depth::None) {
            self.style(&paint.role).fg = Some(paint.color);
        }
        self
    }

    /// The text color of a role in 16 colors, if it has one.
    pub fn default_color(role: &str) -> Option<Color> {
        Self::new(Depth::Sixteen).style(role).fg
    }

    fn style(&mut self, role: &str) -> &mut Style {
        match role {
            "focus" => &mut self.focus,
            "frame" => &mut self.frame,
            "good" => &mut self.good,
            "bad" => &mut self.bad,
            "warn" => &mut self.warn,
            _ => &mut self.bar,
        }
    }

    /// Style of the chart curve with index `number`.
    pub fn curve(&self, number: usize) -> Style {
        match self.depth {
            Depth::None => Style::new(),
            _ => Style::new().fg(self.curves[number % self.curves.len()]),
        }
    }
}

impl Depth {
    /// Determines the color depth from environment variables, looked up by `var`, for both the app and `gradscope run`. There are
    /// no colors if `NO_COLOR` is not empty (no-color.org) or `TERM` is unset or `dumb`; otherwise, `COLORTERM` and then `TERM`
    /// decide.
    pub fn of(var: impl Fn(&str) -> Option<String>) -> Self {
        let is = |name: &str, word: &str| var(name).is_some_and(|v| v.contains(word));
        let term = var("TERM").unwrap_or_default();
        let rich = ["kitty", "ghostty", "foot", "alacritty", "wezterm", "direct"];
        match () {
            () if var("NO_COLOR").is_some_and(|v| !v.is_empty()) || term == "dumb" => Self::None,
            // Windows does not set TERM.
            () if term.is_empty() && !cfg!(windows) => Self::None,
            // tmux maps all colors to the nearest ones supported by the outer terminal.
            () if var("TMUX").is_some_and(|v| !v.is_empty()) => Self::True,
            () if is("COLORTERM", "truecolor") || is("COLORTERM", "24bit") => Self::True,
            () if rich.iter().any(|name| term.contains(name)) => Self::True,
            () if term.contains("256color") => Self::Indexed,
            () => Self::Sixteen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_determines_the_color_depth() {
        let cases: [(&[(&str, &str)], Depth); 12] = [
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], Depth::True),
            (&[("TERM", "xterm-kitty")], Depth::True),
            (&[("TERM", "tmux-256color")], Depth::Indexed),
            (&[("TERM", "tmux-256color"), ("TMUX", "/tmp/tmux-0/default,1,0")], Depth::True),
            (&[("TERM", "linux")], Depth::Sixteen),
            (&[("TERM", "vt100")], Depth::Sixteen),
            (&[("TERM", "xterm"), ("COLORTERM", "24bit")], Depth::True),
            (&[("TERM", "dumb"), ("COLORTERM", "truecolor")], Depth::None),
            (&[("TERM", "dumb"), ("TMUX", "/tmp/tmux-0/default,1,0")], Depth::None),
            (&[("COLORTERM", "truecolor")], if cfg!(windows) { Depth::True } else { Depth::None }),
            (&[("TERM", "xterm-kitty"), ("NO_COLOR", "1")], Depth::None),
            (&[("TERM", "xterm"), ("NO_COLOR", "")], Depth::Sixteen),
        ];
        for (vars, depth) in cases {
            let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            assert_eq!(Depth::of(var), depth, "{vars:?}");
        }
    }

    #[test]
    fn without_colors_the_roles_still_differ() {
        let theme = Theme::new(Depth::None);
        assert_ne!(theme.cursor, theme.strong);
        assert_ne!(theme.focus, theme.frame);
        assert!([theme.good, theme.bad, theme.bar].iter().all(|s| s.fg.is_none()));
    }
}

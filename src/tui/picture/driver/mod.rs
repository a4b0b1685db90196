//! Drivers that draw pictures in the terminal: a table, and one file per protocol.
//!
//! To add a protocol, define a [`DriverSpec`] in a new file in this folder and add it to [`DRIVERS`].

pub mod cells;
pub mod iterm;
pub mod kitty;
mod none;
pub mod sixel;
mod spec;

pub use spec::{Driver, DriverSpec, PicturePart, RowPicture, Standing};

use crate::tui::terminal::caps::{Caps, Environment};
use crate::tui::theme::Depth;
use clap::ValueEnum;
use clap::builder::PossibleValue;

/// All drivers, in the order of `--graphics`. `auto` selects the first one that suits the terminal.
#[rustfmt::skip]
pub const DRIVERS: &[DriverSpec] = &[
    kitty::SPEC,
    iterm::SPEC,
    sixel::SPEC,
    cells::BLOCKS,
    cells::HALF,
    cells::LETTERS,
    none::SPEC,
];

/// The driver selected by the user, or automatic selection.
#[derive(Clone, Copy, Debug, Default)]
pub enum Graphics {
    /// The first driver that suits the terminal.
    #[default]
    Auto,
    /// The driver with this table entry.
    By(&'static DriverSpec),
}

/// All choices: `auto`, followed by all drivers.
const CHOICES: [Graphics; DRIVERS.len() + 1] = {
    let mut choices = [Graphics::Auto; DRIVERS.len() + 1];
    let mut i = 0;
    while i < DRIVERS.len() {
        choices[i + 1] = Graphics::By(&DRIVERS[i]);
        i += 1;
    }
    choices
};

impl Graphics {
    /// The choice that draws no pictures.
    pub const NONE: Self = Self::By(&none::SPEC);

    /// The driver for a terminal with these capabilities, environment and color depth.
    pub fn driver(self, caps: &Caps, environment: Environment, depth: Depth) -> &'static dyn Driver {
        let suits = |spec: &&DriverSpec| (spec.suits)(caps, environment, depth);
        let spec = match self {
            Self::Auto => DRIVERS.iter().find(suits).unwrap_or(&none::SPEC),
            Self::By(spec) => spec,
        };
        (spec.driver)(caps, environment)
    }

    /// Whether selecting the driver requires querying the terminal: only for `auto`, and only if the terminal has colors.
    pub fn depends_on_terminal(self, depth: Depth) -> bool {
        matches!(self, Self::Auto) && depth != Depth::None
    }

    /// The names of all choices, as in `--graphics`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        CHOICES.into_iter().map(Self::name)
    }

    /// Name of the choice, as in `--graphics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::By(spec) => spec.name,
        }
    }
}

impl PartialEq for Graphics {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl ValueEnum for Graphics {
    fn value_variants<'a>() -> &'a [Self] {
        &CHOICES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let summary = match self {
            Self::Auto => "The best protocol that the terminal supports",
            Self::By(spec) => spec.summary,
        };
        Some(PossibleValue::new(self.name()).help(summary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::terminal::caps::parse;

    const KITTY: &str = "\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.26.5)\x1b\\\x1b[6;18;9t\x1b[?62;c";

    fn auto(caps: &Caps, environment: Environment, depth: Depth) -> String {
        format!("{:?}", Graphics::Auto.driver(caps, environment, depth))
    }

    fn of(answers: &str) -> String {
        auto(&parse(answers.as_bytes()), Environment::default(), Depth::True)
    }

    fn is(driver: &dyn Driver) -> String {
        format!("{driver:?}")
    }

    #[test]
    fn the_best_protocol_known_to_work_is_chosen() {
        assert_eq!(of(KITTY), is(kitty::AT_CURSOR), "kitty 0.26 shows boxes for placeholders");
        assert_eq!(of(&KITTY.replace("0.26.5", "0.41.1")), is(kitty::PLACEHOLDERS));
        assert_eq!(of("\x1bP>|XTerm(379)\x1b\\\x1b[?64;1;4;22c"), is(sixel::DRIVER));
        assert_eq!(of("\x1b[?1;2c"), is(cells::QUADRANTS));
        assert_eq!(of(""), is(cells::QUADRANTS));
    }

    #[test]
    fn the_users_choice_takes_precedence_over_the_terminal() {
        let silent = Caps::default();
        for (name, driver) in [
            ("kitty", kitty::AT_CURSOR),
            ("iterm", iterm::DRIVER),
            ("sixel", sixel::DRIVER),
            ("blocks", cells::QUADRANTS),
            ("half", cells::HALVES),
            ("letters", cells::IN_LETTERS),
        ] {
            let choice = Graphics::from_str(name, false).expect("a driver has this name");
            for depth in [Depth::None, Depth::Sixteen, Depth::Indexed, Depth::True] {
                assert_eq!(is(choice.driver(&silent, Environment::default(), depth)), is(driver));
                assert!(!choice.depends_on_terminal(depth));
            }
        }
        assert!(Graphics::Auto.depends_on_terminal(Depth::Sixteen) && !Graphics::Auto.depends_on_terminal(Depth::None));
        assert_eq!(is(Graphics::NONE.driver(&silent, Environment::default(), Depth::True)), "Nothing");
    }

    #[test]
    fn without_colors_pictures_are_always_letters() {
        let iterm = Environment { iterm: true, ..Environment::default() };
        assert_eq!(auto(&parse(KITTY.as_bytes()), Environment::default(), Depth::None), is(cells::IN_LETTERS));
        assert_eq!(auto(&Caps::default(), iterm, Depth::None), is(cells::IN_LETTERS));
    }

    #[test]
    fn inside_tmux_only_protocols_that_pass_through_are_chosen() {
        let tmux = Environment { tmux: true, ..Environment::default() };
        let sixel = Caps { sixel: true, answered: true, ..Caps::default() };
        assert_eq!(auto(&sixel, tmux, Depth::Indexed), is(cells::HALVES));
        let kitty = Caps { kitty: true, name: "kitty(0.41.1)".into(), ..sixel };
        assert_eq!(auto(&kitty, tmux, Depth::True), is(kitty::THROUGH_TMUX));
        let blocked = Caps { name: String::new(), ..kitty };
        assert_eq!(auto(&blocked, tmux, Depth::True), is(cells::QUADRANTS));
    }

    #[test]
    fn every_choice_has_a_unique_name() {
        let mut names: Vec<_> = Graphics::value_variants().iter().map(|choice| choice.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DRIVERS.len() + 1);
    }
}

//! The names of panels.

/// A panel, identified by name. `panel::PANELS` lists all panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pane(pub &'static str);

impl Pane {
    /// The methods panel.
    pub const METHODS: Self = Self("methods");
    /// The layers panel.
    pub const LAYERS: Self = Self("layers");
    /// The figures panel.
    pub const FIGURES: Self = Self("figures");
    /// The parameters panel.
    pub const PARAMETERS: Self = Self("parameters");
    /// The classes panel.
    pub const CLASSES: Self = Self("classes");
    /// The curves panel.
    pub const CURVES: Self = Self("curves");
    /// The log panel.
    pub const LOG: Self = Self("log");

    /// Title of the panel on screen: its capitalized name.
    pub fn title(self) -> String {
        let mut letters = self.0.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }
}

impl Default for Pane {
    fn default() -> Self {
        Self::METHODS
    }
}

//! The names of panels.

/// The name of a panel, which identifies it. `panel::PANELS` lists all panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pane(pub &'static str);

impl Pane {
    /// The panel of methods.
    pub const METHODS: Self = Self("methods");
    /// The panel of the model's layers.
    pub const LAYERS: Self = Self("layers");
    /// The panel of figures.
    pub const FIGURES: Self = Self("figures");
    /// The panel of the method's parameters.
    pub const PARAMETERS: Self = Self("parameters");
    /// The panel of class probabilities.
    pub const CLASSES: Self = Self("classes");
    /// The panel of curves.
    pub const CURVES: Self = Self("curves");
    /// The panel of the log.
    pub const LOG: Self = Self("log");

    /// Title of the panel on screen: its name with a capital first letter.
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

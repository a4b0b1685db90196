//! The names of panels.

/// The name of a panel. `panel::PANELS` lists all panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pane(pub &'static str);

impl Pane {
    /// The methods.
    pub const METHODS: Self = Self("methods");
    /// The layers of the model.
    pub const LAYERS: Self = Self("layers");
    /// The figures.
    pub const FIGURES: Self = Self("figures");
    /// The parameters of the method.
    pub const PARAMETERS: Self = Self("parameters");
    /// The class probabilities.
    pub const CLASSES: Self = Self("classes");
    /// The curves.
    pub const CURVES: Self = Self("curves");
    /// The log.
    pub const LOG: Self = Self("log");

    /// The title on screen.
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

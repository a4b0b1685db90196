//! Declarations of parameters.

/// A parameter that a network needs: one named tensor of a weight file.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Within an operation `weight`, or empty if its name is that of the node; within a network `node.weight`, as in PyTorch's
    /// `state_dict`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether training changes it; running statistics are not trained.
    pub trained: bool,
}

//! What an operation asks of a weight file.

/// What a graph asks of a weight file: one named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// `weight`, within an operation, or empty where its name is the node's; `node.weight`, as PyTorch's `state_dict` has it, of
    /// a network.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether training changes it; running statistics are not trained.
    pub trained: bool,
}

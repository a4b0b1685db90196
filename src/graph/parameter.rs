//! Declarations of parameters.

/// A parameter of a network: one named tensor in a weight file.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The parameter's name. Within an operation it is `weight`, `bias` and so on, or empty if the parameter has the
    /// name of the node. Within a network it is `node.weight`, as in PyTorch's `state_dict`.
    pub name: String,
    /// The parameter's shape.
    pub shape: Vec<usize>,
    /// Whether the optimizer updates the parameter; running statistics are not trained.
    pub trained: bool,
}

//! Shapes of all values for pictures of any size. The input size in the model card is the default, not a limit.

use super::network::Graph;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;

impl Graph {
    /// The shape of every node's value for a single picture of shape `[C, H, W]`.
    ///
    /// Errors if a layer does not accept its input.
    pub fn shapes(&self, picture: &[usize]) -> Result<Vec<Vec<usize>>> {
        let built = &self.nodes[0].shape[1..];
        let what = || format!("a {} picture does not fit a network built for {} pictures", side(picture), side(built));
        ensure!(picture.len() == built.len(), "{}: expected {} dimensions, got {}", what(), built.len(), picture.len());
        let mut shapes: Vec<Vec<usize>> = vec![[&[1], picture].concat()];
        for node in &self.nodes[1..] {
            let reads: Vec<_> = node.inputs.iter().map(|&i| shapes[i].as_slice()).collect();
            let layer = || format!("{}: layer \"{}\" ({})", what(), node.name, node.op.kind());
            shapes.push(node.op.shape(&reads).with_context(layer)?);
        }
        Ok(shapes)
    }

    /// Total number of elements of all nodes' values for a single picture of shape `[C, H, W]`. If the network does not accept
    /// that shape, its own input shape is used instead.
    pub fn elements(&self, picture: &[usize]) -> usize {
        let of = |shapes: &mut dyn Iterator<Item = &Vec<usize>>| shapes.map(|s| s.iter().product::<usize>()).sum();
        match self.shapes(picture) {
            Ok(shapes) if !self.is_built_for(picture) => of(&mut shapes.iter()),
            _ => of(&mut self.nodes.iter().map(|n| &n.shape)),
        }
    }

    /// Number of pictures of shape `[C, H, W]` whose values have at most `elements` elements in total; at least 1.
    pub fn pictures_within(&self, elements: usize, picture: &[usize]) -> usize {
        (elements / self.elements(picture).max(1)).max(1)
    }

    /// Errors if `x` is not a batch that the network accepts as input.
    pub fn check_input(&self, x: &Tensor) -> Result<()> {
        let expected = &self.nodes[0].shape;
        ensure!(
            x.rank() == expected.len() && x.dims()[1] == expected[1],
            "the network expects pictures of shape (N, {}), got {:?}",
            expected[1..].iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
            x.dims()
        );
        if !self.is_built_for(&x.dims()[1..]) {
            self.shapes(&x.dims()[1..])?;
        }
        Ok(())
    }

    /// Whether the network was built for pictures of shape `picture`; if so, the shapes of its nodes apply.
    fn is_built_for(&self, picture: &[usize]) -> bool {
        self.nodes[0].shape[1..] == *picture
    }
}

/// Formats the height and width of a shape `[C, H, W]`, such as `64x48`.
fn side(sizes: &[usize]) -> String {
    crate::tensor::shape_text(sizes.get(1..).filter(|s| !s.is_empty()).unwrap_or(sizes))
}

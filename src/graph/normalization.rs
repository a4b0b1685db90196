//! Sets the normalization of a network's input, which is the first node after `input`.

use super::network::Graph;
use super::node::NodeId;
use super::op::{Gather, Normalize};
use anyhow::{Context, Result, ensure};
use std::sync::Arc;

/// Name of the node that normalizes the input.
const NAME: &str = "normalize";

impl Graph {
    /// The node that normalizes the input; `None` if the network reads pixels without normalization.
    pub fn normalization(&self) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.op.kind() == NAME && node.inputs == [0])
    }

    /// The same network with its input normalized as `(x − mean) / std` per channel. An existing normalization is replaced; otherwise, a
    /// node `normalize` is inserted after `input`, unless the mean is 0 and the standard deviation is 1.
    ///
    /// Errors unless there are a mean and a positive standard deviation for each channel.
    pub fn with_normalization(&self, mean: &[f64], std: &[f64]) -> Result<Self> {
        let channels = self.nodes[0].shape.get(1).copied().context("the network's input has no channels")?;
        ensure!(
            mean.len() == channels && std.len() == channels && std.iter().all(|s| *s > 0.0),
            "normalizing the input: expected a mean and a positive standard deviation for each of {channels} channels, got {} and {}",
            mean.len(),
            std.len()
        );
        let op = Arc::new(Normalize { mean: mean.to_vec(), std: std.to_vec() });
        let mut graph = self.clone();
        match self.normalization() {
            Some(id) => graph.nodes[id].op = op,
            None if mean.iter().all(|m| *m == 0.0) && std.iter().all(|s| *s == 1.0) => {}
            None => graph.insert_after(0, NAME, op),
        }
        Ok(graph)
    }

    /// Adapts a network that expects BGR channel order to RGB pictures: inserts a node `bgr`, which reverses the channels, after the
    /// normalization.
    ///
    /// Errors unless the input has three channels.
    pub fn with_bgr_input(&self) -> Result<Self> {
        let channels = self.nodes[0].shape.get(1).copied().unwrap_or(0);
        ensure!(channels == 3, "channel order bgr needs an input with 3 channels, got {channels}");
        let mut graph = self.clone();
        let op = Gather { dim: 1, index: vec![2, 1, 0] };
        graph.insert_after(self.normalization().unwrap_or(0), "bgr", Arc::new(op));
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Builder;
    use super::super::op::{Add, Flatten, Relu};
    use super::*;
    use candle_core::{Device, Tensor};

    /// `flatten(x + relu(x))`, which reads the input twice.
    fn plain() -> Graph {
        let mut b = Builder::new(&[2, 1, 2]);
        let relu = b.add("relu", Relu, &[0]).unwrap();
        let sum = b.add("sum", Add, &[0, relu]).unwrap();
        let end = b.add("flatten", Flatten, &[sum]).unwrap();
        b.finish(end).unwrap()
    }

    fn scores(graph: &Graph, x: &Tensor) -> Vec<f64> {
        let mut values: Vec<Tensor> = vec![x.clone()];
        for node in &graph.nodes[1..] {
            let inputs: Vec<_> = node.inputs.iter().map(|&i| &values[i]).collect();
            values.push(node.forward(&inputs).unwrap());
        }
        values[graph.logits].flatten_all().unwrap().to_vec1().unwrap()
    }

    fn pixels() -> Tensor {
        Tensor::from_slice(&[0.5f64, 1.0, 0.25, 0.0], (1, 2, 1, 2), &Device::Cpu).unwrap()
    }

    #[test]
    fn every_reader_of_the_input_reads_normalized_pixels() {
        let graph = plain().with_normalization(&[0.5, 0.0], &[0.5, 0.25]).unwrap();
        assert_eq!(graph.nodes[1].name, "normalize");
        assert_eq!(graph.nodes[graph.output].name, "flatten");
        assert_eq!(scores(&graph, &pixels()), [0.0, 2.0, 2.0, 0.0]);
    }

    #[test]
    fn an_existing_normalization_is_replaced_and_keeps_its_place() {
        let first = plain().with_normalization(&[0.1, 0.2], &[0.3, 0.4]).unwrap();
        let second = first.with_normalization(&[0.5, 0.0], &[0.5, 0.25]).unwrap();
        assert_eq!((second.nodes.len(), second.normalization()), (first.nodes.len(), Some(1)));
        assert_eq!(scores(&second, &pixels()), [0.0, 2.0, 2.0, 0.0]);
    }

    #[test]
    fn pixels_as_they_are_need_no_node_and_wrong_numbers_of_channels_are_errors() {
        assert_eq!(plain().with_normalization(&[0.0; 2], &[1.0; 2]).unwrap().nodes.len(), plain().nodes.len());
        for (mean, std) in [(vec![0.0; 3], vec![1.0; 3]), (vec![0.0; 2], vec![1.0]), (vec![0.0; 2], vec![1.0, 0.0])] {
            let error = plain().with_normalization(&mean, &std).unwrap_err().to_string();
            assert!(error.contains("each of 2 channels"), "{error}");
        }
    }
}

//! Convolution and pooling with their VJPs, on candle tensors.

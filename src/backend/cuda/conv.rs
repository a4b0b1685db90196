//! Convolutions and their VJPs in cuDNN.
//!
//! The setup for a layer's sizes (descriptors and the algorithm selected by cuDNN's heuristics) is cached, since it can take as
//! long as the convolution. Sums are computed in full f32 unless [`Accumulation::Tf32`] enables tensor cores, which round their
//! inputs to ten mantissa bits.

use super::elementwise::add_bias;
use super::{contiguous, elsewhere, view};
use crate::backend::{Accumulation, Conv2d};
use anyhow::{Result, ensure};
use candle_core::cuda_backend::cudarc::cudnn::sys::{
    cudnnConvolutionBwdDataAlgo_t as DataAlgorithm, cudnnConvolutionBwdFilterAlgo_t as FilterAlgorithm,
    cudnnConvolutionFwdAlgo_t as Algorithm, cudnnConvolutionMode_t as Mode, cudnnMathType_t as Math,
    cudnnTensorFormat_t as Format,
};
use candle_core::cuda_backend::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnError, FilterDescriptor,
    TensorDescriptor,
};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};
use candle_core::cuda_backend::{CudaDevice, CudaStorage};
use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Maximum number of cached setups per thread and device.
const KEPT: usize = 1024;

/// Which pass of a convolution to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Way {
    /// Computes the output from the input and the weight.
    Forward,
    /// Computes the input gradient from the output gradient and the weight.
    Input,
    /// Computes the weight gradient from the output gradient and the input.
    Weight,
}

/// The sizes of a convolution and the pass to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Question {
    way: Way,
    input: [usize; 4],
    weight: [usize; 4],
    output: [usize; 4],
    stride: (usize, usize),
    padding: (usize, usize),
    dilation: (usize, usize),
    groups: usize,
    /// Whether products may be rounded to TF32.
    tf32: bool,
}

/// The algorithm selected for the pass.
#[derive(Clone, Copy)]
enum Chosen {
    Forward(Algorithm),
    Input(DataAlgorithm),
    Weight(FilterAlgorithm),
}

struct Prepared {
    x: TensorDescriptor<f32>,
    w: FilterDescriptor<f32>,
    y: TensorDescriptor<f32>,
    conv: ConvDescriptor<f32>,
    chosen: Chosen,
    /// Size of the algorithm's workspace, in bytes.
    workspace: usize,
}

/// A thread's instance of cuDNN on one device.
struct Library {
    cudnn: Arc<Cudnn>,
    prepared: HashMap<Question, Rc<Prepared>>,
}

thread_local! {
    static LIBRARIES: RefCell<HashMap<usize, Library>> = RefCell::default();
}

/// `y = x ∗ w + b` for `x` `(N, C, H, W)`, `w` `(O, C/groups, kh, kw)` and `b` `(O)`; PyTorch's `conv2d`.
pub fn conv2d(x: &Tensor, w: &Tensor, b: Option<&Tensor>, conv: &Conv2d) -> Result<Tensor> {
    let question = Question::new(Way::Forward, x.dims(), w.dims(), conv)?;
    let [x, w] = contiguous([x, w])?;
    let y = if question.is_product() { question.product(&x, &w)? } else { x.apply_op2_no_bwd(&w, &question)? };
    if let Some(b) = b {
        ensure!(b.dims() == [w.dims()[0]], "a bias of shape {:?} does not match {} channels", b.dims(), w.dims()[0]);
        add_bias(&y, b)?;
    }
    Ok(y)
}

/// The VJP of [`conv2d`] with respect to `x`, `dyᵀ · ∂y/∂x`, of shape `input`.
pub fn conv2d_input_vjp(dy: &Tensor, w: &Tensor, input: &[usize], conv: &Conv2d) -> Result<Tensor> {
    let question = Question::new(Way::Input, input, w.dims(), conv)?;
    question.check(dy)?;
    let [dy, w] = contiguous([dy, w])?;
    Ok(if question.is_product() {
        question.product(&dy, &w.transpose(0, 1)?)?
    } else {
        dy.apply_op2_no_bwd(&w, &question)?
    })
}

/// The VJP of [`conv2d`] with respect to `w`, `dyᵀ · ∂y/∂w`, of shape `weight`, summed over the batch.
pub fn conv2d_weight_vjp(dy: &Tensor, x: &Tensor, weight: &[usize], conv: &Conv2d) -> Result<Tensor> {
    let question = Question::new(Way::Weight, x.dims(), weight, conv)?;
    question.check(dy)?;
    let [dy, x] = contiguous([dy, x])?;
    Ok(dy.apply_op2_no_bwd(&x, &question)?)
}

impl Question {
    fn new(way: Way, input: &[usize], weight: &[usize], conv: &Conv2d) -> Result<Self> {
        let (oh, ow) = conv.check(input, weight)?;
        let four = |s: &[usize]| [s[0], s[1], s[2], s[3]];
        let Conv2d { stride, padding, dilation, groups, accumulation } = *conv;
        let tf32 = accumulation == Accumulation::Tf32;
        let output = [input[0], weight[0], oh, ow];
        Ok(Self { way, input: four(input), weight: four(weight), output, stride, padding, dilation, groups, tf32 })
    }

    fn check(&self, dy: &Tensor) -> Result<()> {
        ensure!(
            dy.dims() == self.output,
            "a gradient of shape {:?} does not match the output shape {:?}",
            dy.dims(),
            self.output
        );
        Ok(())
    }

    /// Whether the convolution is a plain matrix product, for which cuBLAS has less launch overhead than cuDNN.
    fn is_product(&self) -> bool {
        let ones = [self.weight[2], self.weight[3], self.stride.0, self.stride.1, self.groups];
        ones == [1; 5] && self.padding == (0, 0)
    }

    /// The product of a 1x1 weight and the channels of each pixel.
    fn product(&self, x: &Tensor, w: &Tensor) -> Result<Tensor> {
        let (n, c, h, v) = x.dims4()?;
        let out = w.dims()[0];
        let w = w.squeeze(3)?.squeeze(2)?.unsqueeze(0)?.broadcast_as((n, out, c))?;
        Ok(w.matmul(&x.reshape((n, c, h * v))?)?.reshape((n, out, h, v))?)
    }

    /// The shape of the result.
    fn answer(&self) -> [usize; 4] {
        match self.way {
            Way::Forward => self.output,
            Way::Input => self.input,
            Way::Weight => self.weight,
        }
    }

    fn prepare(&self, cudnn: &Arc<Cudnn>) -> Result<Prepared, CudnnError> {
        let whole = |sizes: [usize; 4]| sizes.map(|n| n as i32);
        let pair = |(a, b): (usize, usize)| [a as i32, b as i32];
        let x = cudnn.create_4d_tensor::<f32>(Format::CUDNN_TENSOR_NCHW, whole(self.input))?;
        let w = cudnn.create_4d_filter::<f32>(Format::CUDNN_TENSOR_NCHW, whole(self.weight))?;
        let y = cudnn.create_4d_tensor::<f32>(Format::CUDNN_TENSOR_NCHW, whole(self.output))?;
        let mode = Mode::CUDNN_CROSS_CORRELATION;
        let mut conv = cudnn.create_conv2d::<f32>(pair(self.padding), pair(self.stride), pair(self.dilation), mode)?;
        conv.set_group_count(self.groups as i32)?;
        conv.set_math_type(if self.tf32 { Math::CUDNN_DEFAULT_MATH } else { Math::CUDNN_FMA_MATH })?;
        let (chosen, workspace) = match self.way {
            Way::Forward => {
                let op = ConvForward { conv: &conv, x: &x, w: &w, y: &y };
                let algorithm = op.pick_algorithm()?;
                (Chosen::Forward(algorithm), op.get_workspace_size(algorithm)?)
            }
            Way::Input => {
                let op = ConvBackwardData { conv: &conv, dx: &x, w: &w, dy: &y };
                // Algorithm 0 accumulates in a nondeterministic order.
                let algorithm = match op.pick_algorithm()? {
                    DataAlgorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_0 => {
                        DataAlgorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1
                    }
                    other => other,
                };
                (Chosen::Input(algorithm), op.get_workspace_size(algorithm)?)
            }
            Way::Weight => {
                let op = ConvBackwardFilter { conv: &conv, x: &x, dw: &w, dy: &y };
                let algorithm = match op.pick_algorithm()? {
                    FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0
                    | FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3 => {
                        FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1
                    }
                    other => other,
                };
                (Chosen::Weight(algorithm), op.get_workspace_size(algorithm)?)
            }
        };
        Ok(Prepared { x, w, y, conv, chosen, workspace })
    }

    fn prepared(&self, device: &CudaDevice) -> Result<Rc<Prepared>, CudnnError> {
        let stream = device.cuda_stream();
        LIBRARIES.with_borrow_mut(|libraries| {
            let library = match libraries.entry(Arc::as_ptr(&stream) as usize) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(Library { cudnn: Cudnn::new(stream)?, prepared: HashMap::new() })
                }
            };
            if let Some(prepared) = library.prepared.get(self) {
                return Ok(prepared.clone());
            }
            if library.prepared.len() >= KEPT {
                library.prepared.clear();
            }
            let prepared = Rc::new(self.prepare(&library.cudnn)?);
            library.prepared.insert(*self, prepared.clone());
            Ok(prepared)
        })
    }

    /// Computes the pass. `a` is the input in the forward pass and otherwise the output gradient; `b` is the other operand.
    fn run(&self, device: &CudaDevice, a: &CudaView<f32>, b: &CudaView<f32>) -> candle_core::Result<CudaSlice<f32>> {
        let prepared = self.prepared(device).map_err(candle_core::Error::wrap)?;
        let Prepared { x, w, y, conv, chosen, workspace } = &*prepared;
        let one_and_none = (1.0, 0.0);
        // SAFETY: the views and the result have the sizes of the descriptors, in row-major order, and the result is completely
        // overwritten.
        unsafe {
            let mut answer = device.alloc::<f32>(self.answer().iter().product())?;
            let mut space = if *workspace > 0 { Some(device.alloc::<u8>(*workspace)?) } else { None };
            let space = space.as_mut();
            match *chosen {
                Chosen::Forward(algorithm) => {
                    ConvForward { conv, x, w, y }.launch(algorithm, space, one_and_none, a, b, &mut answer)
                }
                Chosen::Input(algorithm) => {
                    ConvBackwardData { conv, dx: x, w, dy: y }.launch(algorithm, space, one_and_none, &mut answer, b, a)
                }
                Chosen::Weight(algorithm) => ConvBackwardFilter { conv, x, dw: w, dy: y }.launch(
                    algorithm,
                    space,
                    one_and_none,
                    b,
                    &mut answer,
                    a,
                ),
            }
            .map_err(candle_core::Error::wrap)?;
            Ok(answer)
        }
    }
}

impl CustomOp2 for Question {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        elsewhere("conv2d")
    }

    fn cuda_fwd(
        &self,
        a: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let device = &a.device;
        let answer = self.run(device, &view(a, a_layout)?, &view(b, b_layout)?)?;
        Ok((CudaStorage::wrap_cuda_slice(answer, device.clone()), Shape::from(&self.answer())))
    }
}

//! Scripts compute in the element type of the network: results of an f64 network are in f64.

use crate::common::{FOR_OTHER_NETWORKS, host, method, one_shot, picture, tiny};
use candle_core::{DType, Device, Tensor};
use gradscope::model::Model;
use gradscope::script::session::Session;

/// The tiny network and its picture in f64.
fn in_double() -> (Model, Tensor) {
    let model = tiny();
    let graph = model.graph.to(DType::F64, &Device::Cpu).unwrap();
    (Model { graph: graph.into(), ..model }, picture().to_dtype(DType::F64).unwrap())
}

#[test]
fn mixed_dtypes_are_promoted_as_in_pytorch() {
    let body = "let x = cx.input;
        let all = [zeros([1]) + x, x * ones([1]), where(x > 0.5, zeros([1]), x), cat([zeros([1, 3, 8, 8]), x], 0),
                   x.clamp(zeros([1]), 1.0), maximum(zeros([1]), x), x.conv2d(ones([1, 3, 1, 1]))];
        for t in all { if t.dtype != \"f64\" { throw t.dtype; } }
        text(x.dtype, \"answer\")";
    let host = host();
    let (model, x) = in_double();
    let mut session = Session::new(&host, model, "picture", x).unwrap();
    session.open(method(&host, &one_shot(body)));
    session.run(&host).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn every_method_also_runs_in_f64() {
    let host = host();
    let (model, x) = in_double();
    for name in host.plugins().names() {
        let method = host.method(&name).unwrap();
        if ["data set", "features", "training"].contains(&method.group.as_str()) || FOR_OTHER_NETWORKS.contains(&&*name)
        {
            continue;
        }
        // It shows charts, whose points have their own type.
        if name == "input_size" {
            continue;
        }
        let mut session = Session::new(&host, model.clone(), "picture", x.clone()).unwrap();
        session.open(method);
        let mut frame = session.run(&host).unwrap_or_else(|e| panic!("{name}: {e}"));
        for _ in 0..3 {
            if session.can_go_on() {
                frame = session.step(&host).unwrap_or_else(|e| panic!("{name}: {e}"));
            }
        }
        let maps = frame.figures.iter().filter_map(|f| f.values()).collect::<Vec<_>>();
        assert!(maps.iter().any(|v| v.exact.is_some()), "{name} rounds everything to f32");
    }
}

//! Architecture scripts in `models/`, and the error messages of invalid ones.

use candle_core::{DType, Device, Tensor};
use gradscope::graph::op::{DefaultValue, Inputs, KINDS, OpSpec, SPECS};
use gradscope::script::Guard;
use gradscope::script::architecture::{Architectures, card, describe};
use gradscope::script::folders::Folders;
use gradscope::script::summary::Report;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn within(folder: &Path) -> Architectures {
    Architectures::new(Folders::models(Some(folder)), &Arc::default())
}

/// A folder with `mine.rhai`: a 3x8x8 input and this `build`.
fn folder(build: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("//! Mine.\nconst MODEL = #{{ input: [3, 8, 8] }};\nfn build(x) {{\n    {build}\n}}\n");
    std::fs::write(folder.path().join("mine.rhai"), text).unwrap();
    folder
}

/// The error of this `build`.
fn error(build: &str) -> String {
    let folder = folder(build);
    let error = within(folder.path()).build("mine").expect_err(build);
    format!("{error:#}")
}

fn save(path: &Path, tensors: BTreeMap<String, Tensor>) {
    let tensors: HashMap<_, _> = tensors.into_iter().collect();
    candle_core::safetensors::save(&tensors, path).unwrap();
}

/// Zeros for all parameters of an architecture.
fn zeros(architectures: &Architectures, name: &str) -> BTreeMap<String, Tensor> {
    let parameters = architectures.build(name).unwrap().1.parameters();
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    parameters.into_iter().map(|p| (p.name, zeros(&p.shape))).collect()
}

#[test]
fn every_kind_of_operation_can_be_built() {
    let folder = folder(
        r#"x = x.normalize("normalize", [0.1, 0.2, 0.3], [0.5, 0.25, 0.75])
        .conv("conv", 6, [3, 1], #{ stride: [1, 2], padding: [1, 0], dilation: 1, groups: 3, bias: false })
        .batch_norm("bn", #{ eps: 0.001 }).relu("relu").leaky_relu("leaky", 0.1).sigmoid("sigmoid").tanh("tanh").sin("sin")
        .lrn("lrn", 5, #{ alpha: 0.001, beta: 0.5, k: 2 }).dropout("dropout", 0.5).dropout2d("dropout2d", 0.5)
        .same_pad("same", 3, 2).reflect_pad("reflect", [1, 2]).crop("crop", [1, 2]).instance_norm("in", #{ eps: 0.001 })
        .conv_transpose("up", 6, 3, #{ stride: 2, padding: 1, output_padding: 1, dilation: 1, groups: 2, bias: false })
        .pow("pow", 2.0).ablate("ablate", 1, [0, 2]).interpolate("interpolate", [9, 10], #{ mode: "bilinear" }).max_pool("max", 2, #{ stride: 1, padding: 1, dilation: 1, ceil_mode: true })
        .avg_pool("avg", [2, 1], #{ stride: 1, padding: 0, ceil_mode: false, count_include_pad: false });
    let y = x.slice("slice", 1, #{ start: 1, end: -1, step: 2 }).pad("pad", -3, 1, 3);
    let z = concat("concat", [x.add("add", y), x.mul("mul", y)]).adaptive_avg_pool("cells", [2, 1]);
    z = z.reshape("reshape", [4, 6]).flatten("flatten").linear("fc", 5, #{ bias: true }).logits();
    z.softmax("softmax").log_softmax("log")"#,
    );
    let (_, graph) = within(folder.path()).build("mine").unwrap_or_else(|e| panic!("{e:#}"));
    assert_eq!(graph.nodes[graph.logits].name, "fc");
    let (_, tokens) = within(of_tokens().path()).build("mine").unwrap_or_else(|e| panic!("{e:#}"));
    let (_, plain) = within(without_arguments().path()).build("mine").unwrap_or_else(|e| panic!("{e:#}"));
    let built: Vec<_> = graph.nodes.iter().chain(&tokens.nodes).chain(&plain.nodes).map(|n| n.op.kind()).collect();
    for kind in KINDS.iter() {
        assert!(built.contains(kind), "{kind} was not built");
    }
    let names: Vec<_> = tokens.parameters().into_iter().map(|p| p.name).collect();
    for name in ["token", "in_proj_weight", "in_proj_bias", "ln.weight", "rms.weight", "gn.bias"] {
        assert!(names.iter().any(|n| n == name), "{name} is not in {names:?}");
    }
}

/// A network with every operation that takes one input and needs no arguments.
fn without_arguments() -> tempfile::TempDir {
    let required = |spec: &&&OpSpec| spec.arguments.iter().any(|a| a.default == DefaultValue::Required);
    let one = SPECS.iter().filter(|spec| spec.inputs == Inputs::One && !required(spec));
    let nodes: Vec<_> = one.map(|spec| format!("x.{0}(\"{0}\").flatten(\"flat_{0}\")", spec.kind)).collect();
    folder(&format!("concat(\"all\", [{}])", nodes.join(",\n        ")))
}

/// A network with the operations of transformers and gated networks.
fn of_tokens() -> tempfile::TempDir {
    folder(
        r#"x = x.group_norm("gn", 3, #{ eps: 0.001 }).gelu("gelu", #{ approximate: "tanh" }).silu("silu").mish("mish").elu("elu", 0.5)
        .softplus("softplus").hard_sigmoid("hs").hard_swish("hw").hardtanh("ht", -0.5, 0.5).relu6("relu6");
    let gate = x.mean("mean", [2, 3], #{ keepdim: true });
    gate = gate.add("most", x.amax("amax", [2, 3], #{ keepdim: true }));
    x = x.mul("gated", gate).sub("sub", gate).div("div", x.scale("scale", 0.5, #{ shift: 2.0 }));
    x = x.permute("permute", [0, 2, 3, 1]).linear("last", 4, #{ in_features: 3 }).reshape("tokens", [64, 4]);
    let token = x.parameter("token", [1, 4]);
    x = concat("all", [token.expand("same", [1, 4]), x], 1).add("plus", x.constant("c", [1, 4], [0.0, 1, 2, 3]));
    x = x.layer_norm("ln", #{ eps: 0.001 }).rms_norm("rms").linear("qkv", 4, #{ params: #{ weight: "in_proj_weight", bias: "in_proj_bias" } });
    let scores = x.matmul("scores", x.transpose("t", 1, 2)).softmax("attention", -1);
    x = scores.matmul("mixed", x).gather("some", 1, [0, 3, 0]);
    x.select("first", 1, 0).add("both", x.sum("total", 1)).linear("head", 5)"#,
    )
}

#[test]
fn a_constant_has_the_precision_of_the_run() {
    let folder = of_tokens();
    let (_, graph) = within(folder.path()).build("mine").unwrap();
    let mut scores = vec![];
    for dtype in [DType::F32, DType::F64] {
        let drawn = |p: gradscope::graph::Parameter| (p.name, by_place(&p.shape, 3).to_dtype(dtype).unwrap());
        let graph = Arc::new(graph.with_weights(graph.parameters().into_iter().map(drawn).collect()).unwrap());
        let x = by_place(&[2, 3, 8, 8], 5).to_dtype(dtype).unwrap();
        let fused = graph.forward(&x).unwrap().logits().unwrap();
        let by_node = graph.forward_with(&x, &mut |_, y| Ok(y)).unwrap().logits().unwrap();
        scores.extend(
            [fused, by_node].map(|y| y.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()),
        );
    }
    let scores: Vec<Vec<f64>> = scores;
    for other in &scores[1..] {
        assert!(scores[0].iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-4 * a.abs().max(1.0)), "{scores:?}");
    }
}

#[test]
fn the_example_of_the_readme_builds() {
    let text = include_str!("../../models/README.md");
    let example = text.split("```rhai\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.rhai"), example).unwrap();
    let mine = within(folder.path());
    for (name, parameters) in [("mine_slim", 2818), ("mine_wide", 38914)] {
        let (card, graph) = mine.build(name).unwrap_or_else(|e| panic!("{e:#}"));
        assert_eq!((card.resize, card.label(1).as_str()), (Some(72), "dog"));
        let count: usize = graph.nodes.iter().map(|n| n.parameter_count()).sum();
        assert_eq!(count, parameters);
    }
}

#[test]
fn normalization_is_the_first_node_unless_it_is_the_identity() {
    let all = Architectures::new(Folders::models(None), &Arc::default());
    assert_eq!(all.build("resnet20").unwrap().1.nodes[1].op.kind(), "normalize");
    assert_eq!(all.build("darknet_tiny").unwrap().1.nodes[1].name, "conv1");
}

#[test]
fn a_network_is_described_with_its_layers_and_classes() {
    let all = Architectures::new(Folders::models(None), &Arc::default());
    let (card, graph) = all.build("resnet18").unwrap();
    let row = describe(&card, &graph);
    assert_eq!((row.parameters, row.labels.len(), row.labels[243].as_str()), (11_689_512, 1000, "bull mastiff"));
    let conv = &row.layers[2];
    assert_eq!((conv.name.as_str(), conv.kind.as_str(), conv.parameters), ("conv1", "conv", 9408));
    assert_eq!(conv.shape, [64, 112, 112]);
}

#[test]
fn a_users_file_takes_precedence_over_an_embedded_one() {
    let folder = folder("x");
    std::fs::rename(folder.path().join("mine.rhai"), folder.path().join("alexnet.rhai")).unwrap();
    let (card, graph) = within(folder.path()).build("alexnet").unwrap();
    assert_eq!((card.summary.as_str(), graph.nodes.len()), ("Mine.", 1));
}

#[test]
fn the_binary_embeds_every_architecture() {
    let names = |folders| -> Vec<_> {
        Architectures::new(folders, &Arc::default()).list().0.into_iter().map(|row| row.name).collect()
    };
    assert_eq!(names(Folders::models(None).embedded_only()), names(Folders::models(None)));
}

#[test]
fn an_input_without_pixels_is_an_error() {
    let folder = folder(r#"x.flatten("flatten")"#);
    let path = folder.path().join("mine.rhai");
    let text = std::fs::read_to_string(&path).unwrap();
    for input in ["0, 8, 8", "3, 0, 8", "3, 8, 0"] {
        std::fs::write(&path, text.replace("3, 8, 8", input)).unwrap();
        let error = format!("{:#}", within(folder.path()).build("mine").expect_err(input));
        assert!(error.contains("needs at least 1 channel, row and column"), "{error}");
    }
}

#[test]
fn an_invalid_script_is_reported_with_its_line_and_what_would_have_worked() {
    for (build, told) in [
        (r#"x.conv("c", 4, 3, #{ paddding: 1 })"#, r#"no option "paddding"; did you mean "padding"?"#),
        (r#"x.conv("c", 4, 3, #{ padding: "same" })"#, r#"expected a size or [height, width], got "same""#),
        (r#"x.maxpool("p", 2)"#, r#"did you mean "max_pool"?"#),
        (r#"x.linear("fc", 10)"#, "flatten first"),
        (r#"x.relu("r").relu("r")"#, r#"duplicate layer name "r""#),
        (r#"x.conv("c", 4, 9)"#, "does not fit"),
        (r#"x.conv("c", 4, 3, #{ groups: 2 })"#, "groups"),
        (r#"x.relu("")"#, "needs a name"),
        (r#"concat("c", [x, 1])"#, "expects an array of nodes"),
        (r#"x.add("a", x.conv("c", 4, 1))"#, "cannot broadcast"),
        (r#"x.slice("s", 4, #{ step: 2 })"#, "no dimension 4"),
    ] {
        let text = error(build);
        assert!(text.contains(told), "{build} gave: {text}");
        assert!(text.contains("mine:4:"), "{build} gave no place: {text}");
    }
}

#[test]
fn absurd_sizes_are_errors_and_not_panics() {
    for build in [
        r#"x.conv("c", 0, 3)"#,
        r#"x.conv("c", -4, 3)"#,
        r#"x.conv("c", 4, 0)"#,
        r#"x.conv("c", 4, [3, 3, 3])"#,
        r#"x.conv("c", 4, 3, #{ stride: 0 })"#,
        r#"x.conv("c", 4, 3, #{ groups: 0 })"#,
        r#"x.conv("c", 4, 9223372036854775807)"#,
        r#"x.conv("c", 4, 3, #{ padding: 9223372036854775807 })"#,
        r#"x.max_pool("p", 0)"#,
        r#"x.max_pool("p", 2, #{ padding: 2 })"#,
        r#"x.max_pool("p", 2, #{ stride: 0 })"#,
        r#"x.avg_pool("p", 9)"#,
        r#"x.adaptive_avg_pool("p", 0)"#,
        r#"x.lrn("l", 0)"#,
        r#"x.dropout("d", 1.5)"#,
        r#"x.reshape("r", [7])"#,
        r#"x.reshape("r", [-2])"#,
        r#"x.reshape("r", [-1, -1])"#,
        r#"x.reshape("r", [-1, 7])"#,
        r#"x.reshape("r", [-1, 0])"#,
        r#"x.slice("s", 0, #{ step: 2 })"#,
        r#"x.slice("s", 1, #{ step: 0 })"#,
        r#"x.slice("s", 1, #{ start: 3 })"#,
        r#"x.pad("p", 1, -1, 0)"#,
        r#"x.reshape("r", [1048576, 1048576, 1048576, 1048576])"#,
        r#"x.parameter("p", [1048576, 1048576, 1048576, 1048576])"#,
        r#"x.parameter("p", [0, 3])"#,
        r#"x.constant("c", [1048576, 1048576, 1048576, 1048576], [1.0])"#,
        r#"x.constant("c", [2], [1.0])"#,
        r#"x.reshape("r", [1, 192, 1, 1]).expand("e", [1048576, 192, 1048576, 1048576])"#,
        r#"x.reshape("r", [192, 1, 1, 1, 1, 1])"#,
        r#"x.layer_norm("n", #{ normalized_shape: [1048576, 1048576, 1048576, 1048576] })"#,
        r#"x.layer_norm("n", #{ normalized_shape: [] })"#,
        r#"x.group_norm("g", 0)"#,
        r#"x.group_norm("g", 2)"#,
        r#"x.transpose("t", 0, 1)"#,
        r#"x.permute("p", [0, 1, 1, 3])"#,
        r#"x.permute("p", [1, 0, 2, 3])"#,
        r#"x.select("s", 1, 3)"#,
        r#"x.select("s", 1, -9223372036854775808)"#,
        r#"x.gather("g", 1, [3])"#,
        r#"x.gather("g", 1, [])"#,
        r#"x.mean("m", [0])"#,
        r#"x.sum("s", [1, 1])"#,
        r#"x.softmax("s", 4)"#,
        r#"x.matmul("m", x.flatten("f"))"#,
        r#"x.linear("l", 3, #{ in_features: 7 })"#,
        r#"x.batch_norm("b", #{ momentum: 2.0 })"#,
        r#"x.relu("r", #{ params: #{ weight: "w" } })"#,
        r#"concat("c", [x, x], 0)"#,
        r#"concat("c", [])"#,
        r#"concat("c", [x, x.flatten("f")])"#,
        r#"x.flatten("f").conv("c", 4, 3)"#,
        r#"x.flatten("f").global_avg_pool("g")"#,
        "1",
        "()",
    ] {
        let text = error(build);
        assert!(!text.contains("itself failed"), "{build} gave: {text}");
    }
}

#[test]
fn an_invalid_card_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    for (model, told) in [
        ("", "const MODEL"),
        ("const MODEL = 1;", "const MODEL"),
        ("const MODEL = #{ inputs: [3, 8, 8] };", "did you mean \"input\"?"),
        ("const MODEL = #{};", "[channels, height, width]"),
        ("const MODEL = #{ input: [3, 8] };", "[channels, height, width]"),
        ("const MODEL = #{ input: [3, 8, 8], mean: [0.5] };", "1 values for 3 channels"),
        ("const MODEL = #{ input: [3, 8, 8], std: [0.0, 1.0, 1.0] };", "must be positive"),
        ("const MODEL = #{ input: [3, 8, 8], labels: \"cifar11\" };", "cifar11"),
        ("const MODEL = #{ input: [3, 8, 8], labels: [\"a\"] };", "192 scores"),
        ("const MODEL = #{ input: [3, 8, 8], variants: #{ mne: #{} } };", "did you mean \"mine\"?"),
        ("const MODEL = #{ input: [3, 8, 8], variants: #{ mine: #{ inputs: 1 } } };", "did you mean \"input\"?"),
        ("const MODEL = #{ input: [3, 8, 8], variants: #{ mine: 1 } };", "must be a map"),
    ] {
        let text = format!("{model}\nfn build(x) {{ x.flatten(\"f\") }}");
        std::fs::write(folder.path().join("mine.rhai"), text).unwrap();
        let error = format!("{:#}", within(folder.path()).build("mine").expect_err(model));
        assert!(error.contains(told), "{model} gave: {error}");
    }
}

#[test]
fn a_broken_file_does_not_hide_others() {
    let folder = folder("x.");
    let (rows, errors) = within(folder.path()).list();
    assert!(rows.iter().any(|row| row.name == "resnet20") && rows.iter().all(|row| row.name != "mine"));
    let report = errors[0].downcast_ref::<Report>().expect("a place in the script");
    assert_eq!(report.place.as_ref().map(|place| place.1), Some(5));
    assert!(within(folder.path()).build("resnet20").is_ok());
}

#[test]
fn an_unknown_architecture_is_an_error_that_suggests_a_similar_one() {
    let all = Architectures::new(Folders::models(None), &Arc::default());
    assert!(format!("{:#}", all.build("resnet21").unwrap_err()).contains("did you mean \"resnet"));
    assert!(format!("{:#}", all.build("?").unwrap_err()).contains("expected one of alexnet"));
}

#[test]
fn an_endless_script_can_be_cancelled() {
    let folder = folder("loop { } x");
    let guard = Arc::new(Guard::default());
    let architectures = Architectures::new(Folders::models(Some(folder.path())), &guard);
    let begun = Instant::now();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        guard.cancel();
    });
    assert!(format!("{:#}", architectures.build("mine").unwrap_err()).contains("cancelled"));
    assert!(begun.elapsed() < Duration::from_secs(2));
    canceller.join().unwrap();
}

#[test]
fn weights_next_to_a_script_belong_to_it() {
    let folder = folder(r#"x.conv("c", 2, 1).global_avg_pool("g")"#);
    let mine = within(folder.path());
    let error = format!("{:#}", mine.open("mine", None).unwrap_err());
    assert_eq!(error, "mine needs weights: pass a .safetensors or PyTorch file with -w");
    save(&folder.path().join("mine.safetensors"), zeros(&mine, "mine"));
    assert!(mine.list().0.iter().any(|row| row.name == "mine" && row.weights));
    let model = mine.open("mine", None).unwrap();
    assert_eq!((card(&model).parameters, model.hash.len()), (8, 64));
}

#[test]
fn weights_that_do_not_fit_are_listed() {
    let all = Architectures::new(Folders::models(None), &Arc::default());
    let folder = tempfile::tempdir().unwrap();
    let (path, mut tensors) = (folder.path().join("w.safetensors"), zeros(&all, "lenet"));
    tensors.remove("conv1.bias");
    let extra = tensors["fc2.bias"].clone();
    tensors.insert("fc9.bias".into(), extra);
    tensors.insert("fc2.bias".into(), Tensor::zeros(11, DType::F32, &Device::Cpu).unwrap());
    save(&path, tensors);
    let error = format!("{:#}", all.open("lenet", Some(&path)).unwrap_err());
    let problems =
        "1 missing: conv1.bias; 1 of the wrong shape: fc2.bias is [11] instead of [10]; 1 unexpected: fc9.bias";
    assert!(error.contains(problems), "{error}");
    assert!(error.contains("the closest is digits (-m digits); number of tensors that differ: 3; to open"), "{error}");
    let error = format!("{:#}", all.open("resnet152", Some(&path)).unwrap_err());
    assert!(error.contains("776 missing: ") && error.contains(" and 768 more; 1 of the wrong shape: "), "{error}");
    let error = format!("{:#}", all.open(path.to_str().unwrap(), None).unwrap_err());
    assert!(error.contains("the closest are digits (3 differ), lenet (3 differ)"), "{error}");
}

#[test]
fn the_file_name_decides_between_architectures_with_the_same_tensors() {
    let all = Architectures::new(Folders::models(None), &Arc::default());
    let folder = tempfile::tempdir().unwrap();
    for (file, name) in [("lenet_mnist", "lenet"), ("trained", "digits")] {
        let path = folder.path().join(file).with_extension("safetensors");
        save(&path, zeros(&all, "lenet"));
        assert_eq!(all.open(path.to_str().unwrap(), None).unwrap().card.name, name);
    }
}

/// An architecture with a first convolution of 3 channels and 4 classes with names.
fn of_four_classes() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"//! Mine.
        const MODEL = #{ input: [3, 8, 8], mean: [0.2, 0.3, 0.4], std: [0.5, 0.5, 0.5], labels: ["a", "b", "c", "d"], unused: ["aux"] };
        fn build(x) {
            let width = x.weight_shape("conv2.weight", [6, 5, 3, 3])[0];
            x.conv("conv1", 5, 3).relu("relu").conv("conv2", width, 3).global_avg_pool("pool").linear("fc", 4).dropout("drop", 0.1)
        }"#;
    std::fs::write(folder.path().join("mine.rhai"), text).unwrap();
    folder
}

#[test]
fn weights_decide_the_number_of_classes_and_of_input_channels() {
    let folder = of_four_classes();
    let mine = within(folder.path());
    let path = folder.path().join("w.safetensors");
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    for (channels, classes, width) in [(1, 4, 6), (3, 7, 6), (4, 1, 6), (3, 4, 9), (2, 10, 3)] {
        let shapes = [
            ("conv1.weight", vec![5, channels, 3, 3]),
            ("conv1.bias", vec![5]),
            ("conv2.weight", vec![width, 5, 3, 3]),
            ("conv2.bias", vec![width]),
            ("fc.weight", vec![classes, width]),
            ("fc.bias", vec![classes]),
            ("aux.conv.weight", vec![9, 9, 1, 1]),
        ];
        save(&path, shapes.into_iter().map(|(name, shape)| (format!("model.{name}"), zeros(&shape))).collect());
        for model in [mine.open(path.to_str().unwrap(), None), mine.open("mine", Some(&path))] {
            let model = model.unwrap_or_else(|e| panic!("{e:#}"));
            let card = &model.card;
            assert_eq!(card.input, [channels, 8, 8]);
            assert_eq!((card.mean.len(), card.std.len()), (channels, channels));
            assert!(channels == 3 || card.mean.iter().all(|mean| (mean - 0.3).abs() < 1e-12), "{:?}", card.mean);
            assert_eq!(model.classes(), classes.max(2));
            assert_eq!(card.labels.len(), if classes == 4 { 4 } else { 0 });
            let note = model.note().unwrap_or_default();
            assert_eq!(note.contains(&format!("fc has {classes} output")), classes != 4, "{note}");
            assert_eq!(note.contains("input channel"), channels != 3, "{note}");
            let picture = Tensor::zeros((1, channels, 8, 8), DType::F32, &Device::Cpu).unwrap();
            assert!(model.graph.logits(&picture).is_ok());
        }
    }
}

#[test]
fn weights_decide_the_number_of_channels_of_a_picture_that_is_padded_first() {
    let pads = [r#"same_pad("pad", 3, 2)"#, r#"pad("pad", 2, 0, 1).pad("pad2", 3, 1, 0)"#, r#"reflect_pad("pad", 1)"#];
    for (pad, channels) in pads.into_iter().flat_map(|pad| [(pad, 1), (pad, 4)]) {
        let folder = folder(&format!(
            r#"x.{pad}.conv("conv", 5, 3, #{{ bias: false }}).global_avg_pool("pool").linear("fc", 2)"#
        ));
        let path = folder.path().join("w.safetensors");
        let mut tensors = zeros(&within(folder.path()), "mine");
        tensors.insert("conv.weight".into(), Tensor::zeros((5, channels, 3, 3), DType::F32, &Device::Cpu).unwrap());
        save(&path, tensors);
        let model = within(folder.path()).open(path.to_str().unwrap(), None).unwrap_or_else(|e| panic!("{pad}: {e:#}"));
        assert_eq!(model.card.input, [channels, 8, 8], "{pad}");
    }
}

#[test]
fn architectures_that_differ_in_preprocessing_alone_are_not_named_as_others() {
    let open = |build: &str| {
        let folder = tempfile::tempdir().unwrap();
        let fields = r#"names: ["a", "b"], input: [3, 8, 8], mean: [0.5, 0.5, 0.5], variants: #{ b: #{ mean: [0.4, 0.5, 0.6] } }"#;
        let text = format!("const MODEL = #{{ {fields} }};\nfn build(x, name) {{\n    {build}\n}}\n");
        std::fs::write(folder.path().join("mine.rhai"), text).unwrap();
        let path = folder.path().join("w.safetensors");
        save(&path, zeros(&within(folder.path()), "a"));
        within(folder.path()).open(path.to_str().unwrap(), None).unwrap().note().unwrap_or_default()
    };
    let same = r#"x.conv("conv", 7, 3).relu("relu").global_avg_pool("pool").linear("fc", 2)"#;
    assert!(!open(same).contains("same parameters"), "{}", open(same));
    let other = r#"x.conv("conv", 7, 3, #{ padding: if name == "a" { 0 } else { 1 } }).global_avg_pool("pool").linear("fc", 2)"#;
    assert!(open(other).contains("b has the same parameters"), "{}", open(other));
}

#[test]
fn only_first_and_last_layers_take_their_size_from_the_weights() {
    let folder = of_four_classes();
    let mine = within(folder.path());
    let path = folder.path().join("w.safetensors");
    for (name, shape, told) in [
        ("conv1.weight", vec![5, 3, 5, 5], "conv1.weight is [5, 3, 5, 5] instead of [5, 3, 3, 3]"),
        ("conv1.bias", vec![6], "conv1.bias is [6] instead of [5]"),
        ("fc.weight", vec![4, 8], "fc.weight is [4, 8] instead of [4, 6]"),
        ("fc.bias", vec![5], "fc.bias is [5] instead of [4]"),
    ] {
        let mut tensors = zeros(&mine, "mine");
        tensors.insert(name.into(), Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap());
        save(&path, tensors);
        let error = format!("{:#}", mine.open("mine", Some(&path)).unwrap_err());
        assert!(error.contains(told), "{error}");
        assert!(mine.open(path.to_str().unwrap(), None).is_err());
    }
}

/// Values by index, as in `scripts/reference/sizes.py`.
fn by_place(shape: &[usize], seed: usize) -> Tensor {
    let count = shape.iter().product::<usize>();
    let numbers: Vec<_> = (0..count).map(|i| (((i * 37 + 11 * seed) % 101) as f64 - 50.0) / 100.0).collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
}

/// Compares `(2, 3)` scores with PyTorch's.
fn assert_scores(what: &str, ours: &Tensor, theirs: &serde_json::Value, bound: f64) {
    let ours: Vec<f64> = ours.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let theirs: Vec<f64> = theirs.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let far = ours.iter().zip(&theirs).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
    assert!(ours.len() == theirs.len() && far < bound, "{what}: {ours:?} instead of {theirs:?}");
}

#[test]
fn cropping_and_pooling_follow_the_picture_size() {
    let file: serde_json::Value = serde_json::from_str(include_str!("../fixtures/sizes.json")).unwrap();
    for case in file["cases"].as_array().unwrap() {
        let script = case["script"].as_str().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "//! Any size.\nconst MODEL = #{{ input: [3, 16, 16] }};\nfn build(x) {{\n    x = x.conv(\"c\", 4, 3, #{{ padding: 1 }});\n    \
             x = {script};\n    x.global_avg_pool(\"g\").linear(\"fc\", 3)\n}}\n"
        );
        std::fs::write(folder.path().join("any.rhai"), text).unwrap();
        let (_, graph) = within(folder.path()).build("any").unwrap_or_else(|e| panic!("{script}: {e:#}"));
        let weights = graph.parameters().into_iter().enumerate().map(|(i, p)| (p.name, by_place(&p.shape, i)));
        let exact = Arc::new(graph.with_weights(weights.collect()).unwrap());
        let fused = Arc::new(exact.to(DType::F32, &Device::Cpu).unwrap());
        for (size, logits) in case["logits"].as_object().unwrap() {
            let (h, w) = size.split_once('x').unwrap();
            let (h, w): (usize, usize) = (h.parse().unwrap(), w.parse().unwrap());
            let x: Vec<_> = (0..2 * 3 * h * w).map(|i| ((i * 53 + 7) % 97) as f64 / 97.0).collect();
            let x = Tensor::from_vec(x, (2, 3, h, w), &Device::Cpu).unwrap();
            let what = format!("{script} of {size}");
            let plain = exact.forward(&x).unwrap_or_else(|e| panic!("{what}: {e:#}")).logits().unwrap();
            assert_scores(&what, &plain, logits, 1e-12);
            let x = x.to_dtype(DType::F32).unwrap();
            let trace = fused.forward(&x).unwrap();
            assert!(trace.fused().is_some(), "{what}");
            assert_scores(&what, &trace.logits().unwrap(), logits, 1e-5);
            assert_scores(&what, &fused.logits(&x).unwrap(), logits, 1e-5);
        }
    }
}

#[test]
fn a_picture_that_does_not_fit_a_network_is_an_error_with_both_sizes() {
    let picture = |h: usize, w: usize| Tensor::zeros((1, 3, h, w), DType::F32, &Device::Cpu).unwrap();
    for (build, size, says) in [
        (r#"x.flatten("f").linear("fc", 5)"#, (8, 9), "layer \"fc\" (linear): expected 192 features, got 216"),
        (
            r#"x.reshape("v", [3, 64]).flatten("f").linear("fc", 5)"#,
            (10, 8),
            "layer \"v\" (reshape): cannot reshape 240 elements",
        ),
        (r#"x.conv("c", 2, 7).global_avg_pool("g")"#, (9, 4), "layer \"c\" (conv)"),
        (r#"x.max_pool("p", 6).global_avg_pool("g")"#, (20, 5), "layer \"p\" (max_pool)"),
        (r#"x.slice("s", 2, #{ start: 6 }).global_avg_pool("g")"#, (6, 8), "layer \"s\" (slice): 6::1 selects nothing"),
        (r#"x.crop("r", [1, 3]).global_avg_pool("g")"#, (8, 6), "layer \"r\" (crop)"),
    ] {
        let folder = folder(build);
        let (_, graph) = within(folder.path()).build("mine").unwrap_or_else(|e| panic!("{build}: {e:#}"));
        let graph = Arc::new(graph);
        let (h, w) = size;
        let refusals = [graph.forward(&picture(h, w)).map(|_| ()), graph.logits(&picture(h, w)).map(|_| ())];
        for error in refusals {
            let error = format!("{:#}", error.expect_err(build));
            let begins = format!("a {h}x{w} picture does not fit a network built for 8x8 pictures: {says}");
            assert!(error.starts_with(&begins), "{build}: {error}");
        }
    }
}

#[test]
fn a_library_that_a_library_imports_is_compiled_again_after_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("lib")).unwrap();
    write("lib/outer.rhai", "import   \"lib/inner\" as inner;\nfn classes() { inner::classes() }");
    write(
        "net.rhai",
        "import \"lib/outer\" as outer;\nconst MODEL = #{ input: [1, 4, 4] };\n\
         fn build(x) { x.flatten(\"flatten\").linear(\"fc\", outer::classes()) }",
    );
    let models = within(folder.path());
    for classes in [3, 3, 5, 3] {
        write("lib/inner.rhai", &format!("fn classes() {{ {classes} }}"));
        assert_eq!(models.build("net").unwrap().1.classes(), classes);
    }
}

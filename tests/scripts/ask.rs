//! Methods that call other methods: `answer(cx, "gradcam", #{ … })`.

use crate::common::{failure, host, method, one_shot, picture, session};
use gradscope::data::write_whole;
use gradscope::render::Figure;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::method::context::Observer;
use gradscope::script::session::Session;
use gradscope::script::summary::{ParamKind, Report};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The figures of a method that is run to its end.
fn whole(session: &mut Session, host: &Host) -> anyhow::Result<Vec<Figure>> {
    let mut frame = session.run(host)?;
    while session.can_go_on() {
        frame = session.step(host)?;
    }
    Ok(frame.figures)
}

/// The values of the figures that this body returns on the tiny network.
fn values(body: &str) -> Vec<Vec<f32>> {
    let host = host();
    let mut session = session(&host);
    session.open(method(&host, &one_shot(body)));
    let figures = whole(&mut session, &host).unwrap_or_else(|e| panic!("{e:#}"));
    figures.iter().map(|f| f.values().expect("a map").data.to_vec()).collect()
}

/// A host with these methods in a temporary folder, and the folder.
fn host_with(methods: &[(&str, &str)]) -> (Host, TempDir) {
    let folder = TempDir::new().unwrap();
    for (name, text) in methods {
        write_whole(&folder.path().join(format!("{name}.rhai")), text.as_bytes()).unwrap();
    }
    (Host::new(Folders::plugins(Some(folder.path())), Folders::models(None)), folder)
}

fn asking(group: &str, call: &str) -> String {
    format!(
        "const PLUGIN = #{{ group: \"{group}\" }};\nfn run(cx) {{\n    let a = {call};\n    [heatmap(a.map, \"map\")]\n}}\n"
    )
}

fn error(host: &Host, name: &str) -> String {
    let mut session = session(host);
    session.open(host.method(name).expect("it compiles"));
    Report::of(session.run(host).expect_err("an error")).to_string()
}

#[test]
fn the_result_of_a_call_equals_that_of_a_run() {
    let host = host();
    for name in ["saliency", "smoothgrad", "occlusion", "gradcam", "lrp"] {
        let mut alone = session(&host);
        alone.open(host.method(name).expect("it compiles"));
        let figures = whole(&mut alone, &host).expect("it runs");
        let map = values(&format!("[heatmap(answer(cx, \"{name}\").map, \"map\")]")).remove(0);
        assert!(figures.iter().filter_map(Figure::values).any(|v| *v.data == map), "{name}");
    }
}

#[test]
fn the_main_figure_has_the_methods_name_or_a_standard_title() {
    for (name, title) in
        [("saliency", "saliency"), ("gradcam", "cam"), ("integrated_gradients", "attribution"), ("lrp", "relevance")]
    {
        let both = values(&format!(
            "let a = answer(cx, \"{name}\", #{{}}); [heatmap(a.map, \"a\"), heatmap(a[\"{title}\"], \"b\")]"
        ));
        assert_eq!(both[0], both[1], "{name}");
    }
}

#[test]
fn the_map_of_an_attribution_method_lies_over_the_picture() {
    let host = host();
    let mut maps = 0;
    for row in host.methods().iter().filter(|m| m.group == "attribution") {
        let text =
            one_shot(&format!("let a = answer(cx, \"{}\"); if \"map\" in a {{ heatmap(a.map, \"m\") }}", row.name));
        let mut session = session(&host);
        session.open(method(&host, &text));
        let figures = match session.run(&host) {
            Err(error) if format!("{error:#}").contains("has no attention") => continue,
            ran => ran.unwrap_or_else(|e| panic!("{}: {e:#}", row.name)).figures,
        };
        let Some(map) = figures.first() else { continue };
        let shape = &map.values().expect("values").shape;
        assert_eq!((shape.len(), &shape[2..]), (4, &[8, 8][..]), "{}", row.name);
        maps += 1;
    }
    assert!(maps >= 8, "{maps} methods give a map");
}

#[test]
fn a_call_can_set_picture_class_network_and_parameters() {
    let same = values(
        "let m = cx.model.folded();
         let x = cx.input * 0.5;
         let a = answer(cx, \"saliency\", #{ input: x, target: 1, model: m });
         let t = m.forward(x);
         [heatmap(a.gradient, \"a\"), heatmap(backward(t, t.logit(1)).input, \"b\")]",
    );
    assert_eq!(same[0], same[1]);
    let same = values(
        "let a = answer(cx, \"saliency\", #{ params: #{ reduce: \"l2\" } });
         let b = answer(cx, \"saliency\", #{ params: \"reduce=l2\" });
         [heatmap(a.map, \"a\"), heatmap(b.map, \"b\"), heatmap(answer(cx, \"saliency\").map, \"c\")]",
    );
    assert_eq!(same[0], same[1]);
    assert_ne!(same[0], same[2]);
}

#[test]
fn a_batch_is_processed_picture_by_picture() {
    let both = values(
        "let x = cat([cx.input, cx.input * 0.5], 0);
         let all = answer(cx, \"lrp\", #{ input: x, target: [1, 3] }).map;
         let one = answer(cx, \"lrp\", #{ input: cx.input * 0.5, target: 3 }).map;
         [heatmap(all.narrow(0, 1, 1), \"a\"), heatmap(one, \"b\")]",
    );
    assert_eq!(both[0], both[1]);
}

#[test]
fn a_called_attack_returns_its_last_picture() {
    let both = values(
        "let a = answer(cx, \"fgsm\", #{ target: cx.target, steps: 5, params: #{ epsilon: 4, step: 1 } });
         if a.scalars.linf > 4.001 { throw `too far: ${a.scalars.linf}`; }
         [heatmap(a.x - cx.input, \"a\"), heatmap(a.perturbation, \"b\")]",
    );
    assert_eq!(both[0], both[1]);
    assert!(both[0].iter().any(|&v| v != 0.0));
}

#[test]
fn a_method_parameter_offers_the_methods_of_its_group_in_all_folders() {
    let mine = "const PLUGIN = #{ group:  \"attribution\" };\nfn run(cx) { [heatmap(cx.input, \"mine\")] }";
    let asks = "const PLUGIN = #{ group: \"test\", params: [param(\"method\", method(\"attribution\", \"saliency\"), \"whose\")] };
                fn run(cx) { [heatmap(answer(cx, cx.params.method).map, \"map\")] }";
    let (host, _folder) = host_with(&[("mine", mine), ("asks", asks)]);
    let mut session = session(&host);
    session.open(host.method("asks").expect("it compiles"));
    let rows = session.params().rows(session.model());
    let ParamKind::Choice(choices) = &rows[0].kind else { panic!("{:?}", rows[0].kind) };
    assert!(["gradcam", "mine", "saliency"].iter().all(|m| choices.contains(&m.to_string())), "{choices:?}");
    assert!(!choices.contains(&"fgsm".to_string()));
    assert_eq!(rows[0].value, "saliency");
    session.set("method", "mine").expect("a method of the folder");
    let map = session.run(&host).expect("a map").figures.remove(0);
    let pixels: Vec<f32> = picture().flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(map.values().expect("a map").data.to_vec(), pixels);
    assert!(format!("{:#}", session.set("method", "fgsm").expect_err("an attack")).contains("one of"));
}

#[test]
fn a_method_that_calls_itself_directly_or_indirectly_is_an_error() {
    let (host, _folder) = host_with(&[
        ("own", &asking("a", "answer(cx, \"own\")")),
        ("ping", &asking("a", "answer(cx, \"pong\")")),
        ("pong", &asking("a", "answer(cx, \"ping\")")),
        ("c1", &asking("a", "answer(cx, \"c2\")")),
        ("c2", &asking("a", "answer(cx, \"c3\")")),
        ("c3", &asking("a", "answer(cx, \"saliency\")")),
        ("unknown", &asking("a", "answer(cx, \"salience\")")),
    ]);
    assert!(error(&host, "own").contains("a method cannot call itself: own -> own"), "{}", error(&host, "own"));
    assert!(error(&host, "ping").contains("ping -> pong -> ping"), "{}", error(&host, "ping"));
    assert!(error(&host, "c1").contains("at most 3 deep"), "{}", error(&host, "c1"));
    assert!(error(&host, "unknown").contains("no method named \"salience\""), "{}", error(&host, "unknown"));
}

#[test]
fn an_error_in_a_called_method_is_reported_at_its_own_line() {
    let broken = "const PLUGIN = #{ group: \"a\" };\nfn run(cx) {\n    cx.input.narrow(9, 0, 1)\n}\n";
    let thrown = "const PLUGIN = #{ group: \"a\" };\nfn run(cx) {\n    throw \"no such layer\";\n}\n";
    let wrong = "const PLUGIN = #{ group: \"a\" };\nfn run(cx) { 7 }\n";
    let syntax = "const PLUGIN = #{ group: \"a\" };\nfn run(cx) { let = 7 }\n";
    let texts = [("broken", broken), ("thrown", thrown), ("wrong", wrong), ("syntax", syntax)];
    for (name, text) in texts {
        let asks = asking("a", &format!("answer(cx, \"{name}\")"));
        let (host, _folder) = host_with(&[(name, text), ("asks", &asks)]);
        let told = error(&host, "asks");
        let line = if ["broken", "thrown"].contains(&name) { 3 } else { 2 };
        assert!(told.contains(&format!("{name}:{line}:")), "{told}");
        assert!(told.contains(text.lines().nth(line - 1).unwrap().trim()), "{told}");
        assert!(told.contains("asks:3"), "{told}");
    }
}

#[test]
fn an_endless_called_method_ends_when_cancelled() {
    let endless =
        "const PLUGIN = #{ group: \"a\" };\nfn start(cx) { #{} }\nfn step(cx, s) { s }\nfn view(cx, s) { [] }";
    let (host, _folder) = host_with(&[("endless", endless), ("asks", &asking("a", "answer(cx, \"endless\")"))]);
    let mut session = session(&host);
    session.open(host.method("asks").expect("it compiles"));
    let guard = host.guard().clone();
    let asked = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        guard.cancel();
        Instant::now()
    });
    let told = format!("{:#}", session.run(&host).expect_err("cancelled"));
    let ended = Instant::now();
    assert!(told.contains("cancelled"), "{told}");
    assert!(ended.duration_since(asked.join().unwrap()) < Duration::from_millis(100));
}

#[test]
fn a_method_and_the_methods_it_calls_draw_different_random_numbers() {
    let drawn =
        "const PLUGIN = #{ group: \"attribution\" };\nfn run(cx) { [heatmap(cx.randn([1, 1, 8, 8]), \"drawn\")] }";
    let asks = "const PLUGIN = #{ group: \"a\" };
                fn run(cx) { [heatmap(cx.randn([1, 1, 8, 8]), \"own\"), heatmap(answer(cx, \"drawn\").map, \"theirs\")] }";
    let (host, _folder) = host_with(&[("drawn", drawn), ("asks", asks)]);
    let mut session = session(&host);
    session.open(host.method("asks").expect("it compiles"));
    let figures = session.run(&host).expect("figures").figures;
    assert_ne!(figures[0].values().unwrap().data, figures[1].values().unwrap().data);
}

#[test]
fn randomized_weights_keep_their_deviation_and_other_layers_are_unchanged() {
    let all = values(
        "let m = cx.model.randomized([\"fc\", \"conv2\"], 7);
         let w = |m, layer| m.forward(cx.input).site(layer).params.weight;
         [tensor([w.call(m, \"conv2\").std(), w.call(cx.model, \"conv2\").std()]),
          w.call(m, \"conv1\"), w.call(cx.model, \"conv1\"),
          w.call(m, \"conv2\"), w.call(cx.model, \"conv2\"),
          w.call(cx.model.randomized(\"conv2\", 7), \"conv2\"), w.call(cx.model.randomized(\"conv2\", 8), \"conv2\")]
             .map(|t| heatmap(t.reshape([1, -1]), \"w\"))",
    );
    assert!((all[0][0] / all[0][1] - 1.0).abs() < 0.15, "{:?}", all[0]);
    assert_eq!(all[1], all[2]);
    assert_ne!(all[3], all[4]);
    assert_eq!(all[3], all[5], "the result depends only on the seed and the name");
    assert_ne!(all[5], all[6]);
    let host = host();
    let mut session = session(&host);
    session.open(method(&host, &one_shot("cx.model.randomized(\"relu1\", 0); []")));
    assert!(format!("{:#}", session.run(&host).expect_err("no weights")).contains("no weights to randomize"));
}

#[test]
fn argsort_and_ranks_match_pytorch_and_scipy() {
    let all = values(
        "let x = tensor([[3.0, 1.0, 2.0, 1.0], [0.0, -1.0, 5.0, 0.0]]);
         [x.argsort(), x.argsort(1, true), x.argsort(0), x.ranks()].map(|t| heatmap(t, \"t\"))",
    );
    assert_eq!(all[0], [1.0, 3.0, 2.0, 0.0, 1.0, 0.0, 3.0, 2.0]);
    assert_eq!(all[1], [0.0, 2.0, 1.0, 3.0, 2.0, 0.0, 3.0, 1.0]);
    assert_eq!(all[2], [1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(all[3], [7.0, 4.5, 6.0, 4.5, 2.5, 1.0, 8.0, 2.5]);
}

/// Records progress messages.
#[derive(Default)]
struct Told(Mutex<Vec<(String, usize)>>);

impl Observer for Told {
    fn show(&self, _: Vec<Figure>) {
        panic!("figures of a called method are not shown");
    }

    fn progress(&self, what: &str, done: usize, _: usize) {
        self.0.lock().unwrap().push((what.into(), done));
    }
}

#[test]
fn the_observer_receives_the_progress_of_a_called_method() {
    let shows = "const PLUGIN = #{ group: \"a\" };
                 fn start(cx) { #{} }
                 fn step(cx, s) { cx.show(text(\"x\", \"y\")); if cx.step == 3 { s.done = \"three\"; } s }
                 fn view(cx, s) { [heatmap(cx.input, \"map\")] }";
    let (host, _folder) = host_with(&[("shows", shows), ("asks", &asking("a", "answer(cx, \"shows\")"))]);
    let mut session = session(&host);
    let told = Arc::new(Told::default());
    session.watched_by(told.clone());
    session.open(host.method("asks").expect("it compiles"));
    session.run(&host).expect("an answer");
    let told: Vec<_> = told.0.lock().unwrap().clone();
    assert_eq!(told, [1, 2, 3].map(|step| ("shows: step".to_string(), step)));
}

#[test]
fn an_invalid_call_is_an_error_that_says_what_is_valid() {
    for (options, message) in [
        ("#{ pictures: cx.input }", "no option \"pictures\""),
        ("#{ input: 7 }", "option \"input\" of answer must be a tensor, got int"),
        ("#{ model: 7 }", "must be a network"),
        ("#{ target: 99 }", "no class 99; the network has 5 classes"),
        ("#{ target: [0, 1] }", "2 classes for 1 pictures"),
        ("#{ input: zeros([0, 3, 8, 8]) }", "pictures must have shape (N, C, H, W)"),
        ("#{ params: #{ reduce: \"most\" } }", "one of max, l2, sum"),
        ("#{ params: \"reduce\" }", "not of the form name=value"),
        ("#{ params: 7 }", "must be a map or a string"),
    ] {
        let told = failure(&format!("answer(cx, \"saliency\", {options});")).to_string();
        assert!(told.contains(message), "{options}: {told}");
    }
}

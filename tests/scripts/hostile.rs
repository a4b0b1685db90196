//! Malicious scripts, and scripts that never end.

use crate::common::{failure, host, method, one_shot, picture, session, source, tiny};
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use gradscope::script::summary::Report;
use std::time::{Duration, Instant};

/// Runs a one-shot body, cancels it after 50 ms, and returns how long it kept running after that.
fn cancelled(body: &str) -> Duration {
    cancelled_after(body, Duration::from_millis(50))
}

fn cancelled_after(body: &str, wait: Duration) -> Duration {
    let host = host();
    let mut session = session(&host);
    session.open(method(&host, &one_shot(body)));
    let guard = host.guard().clone();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(wait);
        guard.cancel();
        Instant::now()
    });
    let error = session.run(&host).expect_err(body);
    let asked = canceller.join().expect("the canceller");
    assert!(format!("{error:#}").contains("cancelled"), "{body}: {error:#}");
    asked.elapsed()
}

#[test]
fn a_cancel_ends_any_endless_script_within_a_tenth_of_a_second() {
    for body in [
        "loop { }",
        "while true { try { loop { } } catch { } }",
        "loop { let t = zeros([64, 64]) + 1; }",
        "loop { let t = cx.model.forward(cx.input); }",
        "let t = cx.model.forward(cx.input);\nbackward(t, t.logit(0), #{ rules: [[\"relu\", |s, r| { loop { } }]] })",
        "let a = [1, 2];\nloop { a = a.map(|x| x + 1); }",
        "fn_that_loops()\n}\nfn fn_that_loops() { loop { }",
    ] {
        let late = cancelled(body);
        assert!(late < Duration::from_millis(100), "{body} went on for {late:?}");
    }
}

/// Each takes from seconds to hours unless it is cancelled.
#[test]
fn a_cancel_ends_any_long_native_step() {
    for body in [
        "let a = ones([9000, 9000]); a.matmul(a)",
        "pca_lowrank(cx.randn([3000, 2500]), 60)",
        "lstsq(cx.randn([6000, 1500]), cx.randn([6000]))",
        "kmeans(cx.randn([30000, 64]), 300, 0)",
        "segments(cx.rand([1, 3, 2500, 2500]), #{ count: 4000 })",
        "cx.rand([1, 1, 2500, 2500]).median_filter(15)",
        "cx.randn([30000000]).topk(10)",
        "conv2d(cx.randn([8, 64, 256, 256]), cx.randn([256, 64, 9, 9]))",
        "grid_sample(cx.rand([1, 3, 500, 500]), zeros([1, 5000, 5000, 2]))",
        "laplacian(cx.randn([4000, 64]), 10, 30)",
    ] {
        let late = cancelled_after(body, Duration::from_millis(700));
        eprintln!("{body}: {late:?}");
        assert!(late < Duration::from_secs(3), "{body} went on for {late:?}");
    }
}

#[test]
fn a_cancel_does_not_affect_the_next_run() {
    let host = host();
    let mut session = session(&host);
    session.open(method(&host, &one_shot("[]")));
    host.guard().cancel();
    host.guard().start(1);
    assert!(session.run(&host).is_ok());
}

#[test]
fn an_endless_loop_is_stopped() {
    let report = failure("let n = 0;\nloop { n += 1; }");
    assert!(report.message.contains("infinite loop"), "{report}");
    assert!(
        report.excerpt.iter().any(|(n, line)| line.contains("loop {") && report.place.as_ref().unwrap().1 == *n),
        "{report}"
    );
    let report = failure("for i in 0..3 { }\nlet n = 0;\nwhile n >= 0 { n += 1; }\nloop { }");
    let advice = report.advice.clone().unwrap_or_default();
    assert!(advice.contains("the loop that did not end is in line"), "{report}");
}

#[test]
fn an_endless_loop_in_a_library_is_named_there() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("lib")).unwrap();
    std::fs::write(folder.path().join("lib/spin.rhai"), "// Spins.\nfn spin() {\n  loop { }\n}").unwrap();
    let host = Host::new(Folders::plugins(Some(folder.path())), Folders::models(None).embedded_only());
    let report = |body: &str| {
        let mut session = session(&host);
        session.open(method(&host, &format!("import \"lib/spin\" as s;\n{}", one_shot(body))));
        session.run(&host).expect_err(body).downcast::<Report>().unwrap()
    };
    let alone = report("s::spin()");
    assert_eq!(alone.place.as_ref().map(|(script, line, _)| (&**script, *line)), Some(("lib/spin", 3)), "{alone}");
    let both = report("while false { }\ns::spin()");
    assert!(both.advice.as_ref().is_some_and(|advice| advice.ends_with("or line 3 of lib/spin")), "{both}");
}

#[test]
fn work_of_closures_called_by_native_code_counts_too() {
    let report = failure("let a = [];\na.pad(10000, 0);\nloop { a = a.map(|x| x + 1); }");
    assert!(report.message.contains("infinite loop"), "{report}");
}

#[test]
fn recursion_without_an_end_is_an_error() {
    let report = failure("again(1)\n}\nfn again(n) {\n  again(n + 1)");
    assert!(report.message.to_lowercase().contains("stack") || report.message.contains("deep"), "{report}");
}

#[test]
fn exceeding_memory_is_an_error_with_its_line() {
    for body in [
        "let x = 1;\nzeros([100000, 100000, 3])",
        "let x = 1;\nfull([25000000000], 1.0)",
        "let x = 1;\narange(9223372036854775807)",
        "let x = 1;\nlinspace(0.0, 1.0, 100000000000)",
        "let x = 1;\nzeros([200000, 1]) + zeros([1, 200000])",
        "let x = 1;\ncx.input.resize([100000, 100000])",
        "let x = 1;\ncx.randn([1000000, 1000000])",
        "let x = 1;\nones([1, 1]).expand([200000, 200000])",
        "let x = 1;\ncx.input.pad([60000, 60000, 60000, 60000])",
        "let x = 1;\nzeros([100000, 1]).matmul(zeros([1, 100000]))",
        "let x = 1;\nwhere(zeros([1, 200000]), zeros([200000, 1]), 0.0)",
        "let x = 1;\nzeros([1, 200000]).clamp(zeros([200000, 1]), 1.0)",
        "let x = 1;\nzeros([9223372036854775807, 9223372036854775807])",
        "let x = 1;\nconv2d(zeros([1, 1, 30000, 30000]), zeros([64, 1, 1, 1]))",
        "let x = 1;\none_hot(0, 9000000000000000000)",
        "let x = 1;\ncx.input.repeat([100000, 100000, 1, 1])",
    ] {
        let report = failure(body);
        assert_eq!(report.place.as_ref().map(|p| p.1), Some(4), "{body}: {report}");
    }
}

#[test]
fn hoarding_tensors_is_an_error_and_frees_them() {
    let before = resident();
    let report = failure("let all = [];\nloop { all.push(ones([512, 1024, 1024])); }");
    assert!(report.message.contains("memory") || report.message.contains("GiB"), "{report}");
    // Other tests of this process hold memory temporarily.
    let freed = || resident() < before + (512 << 20);
    for _ in 0..300 {
        if freed() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{before} before, {} after", resident());
}

/// Resident memory of this process in bytes; 0 if unavailable.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

#[test]
fn growing_arrays_strings_and_maps_end_in_an_error() {
    for body in [
        "let a = [];\nloop { a.push(a.len()); }",
        "let t = \"x\";\nloop { t += t; }",
        "let m = #{};\nlet i = 0;\nloop { i += 1; m[`k${i}`] = i; let n = m.len(); }",
    ] {
        let report = failure(body);
        assert!(report.place.is_some(), "{body}: {report}");
    }
}

#[test]
fn huge_sizes_are_described_in_words() {
    for body in [
        "[1].pad(9223372036854775807, \"x\")",
        "let a = []; a.pad(200, 0); let b = []; b.pad(200, a)",
        "let t = zeros([4]); t[-5..9223372036854775807]",
        "zeros([4]).narrow(0, 1, 9223372036854775807)",
        "cx.model.forward(ones([3]))",
        "cx.model.logits(zeros([]))",
        "cx.model.named(full([4], 1.0))",
        "cx.input.sum([1, 1], true)",
        "let d = []; d.pad(20000, 1); cx.input.std(d, true)",
        "objective(cx.model.forward(cx.input), |a| { let d = []; d.pad(20000, 1); a[\"input\"].std(d, true) })",
        "let t = \"x\"; t.pad(1000000, 'x'); [1, 2].all(t)",
    ] {
        let report = failure(body);
        assert!(!report.message.contains("gradscope itself"), "{body}: {report}");
    }
}

#[test]
fn sleep_and_eval_are_refused() {
    assert!(failure("sleep(100)").message.contains("cannot sleep"));
    assert!(failure("sleep(0.1)").message.contains("cannot sleep"));
    let error = host().compile(source(&one_shot("eval(\"1 + 1\")"))).expect_err("eval");
    assert!(format!("{error:#}").contains("eval"), "{error:#}");
}

#[test]
fn a_panic_in_native_code_is_a_script_error_and_the_host_survives() {
    let host = host();
    let mut session = session(&host);
    for _ in 0..3 {
        session.open(method(&host, &one_shot("probe_panic_in_native_code()")));
        assert!(session.run(&host).is_err());
    }
    session.open(method(&host, &one_shot("cx.show(image(cx.input, \"x\"))")));
    assert!(session.run(&host).is_ok());
}

/// The error of the method `main` in a folder of these scripts; empty if there is none.
fn import_error(files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let plugins = folder.path().join("plugins");
    std::fs::create_dir_all(plugins.join("lib")).expect("folders");
    for (name, text) in files {
        std::fs::write(plugins.join(name), text).expect("a script");
    }
    let host = Host::new(Folders::plugins(Some(&plugins)), Folders::models(None).embedded_only());
    let answer = host.method("main").and_then(|m| {
        let mut session = Session::new(&host, tiny(), "picture", picture())?;
        session.open(m);
        session.run(&host).map(drop)
    });
    answer.map_or_else(
        |e| e.downcast::<Report>().map_or_else(|e| format!("{e:#}"), |r| r.to_string()),
        |()| String::new(),
    )
}

const PLUGIN: &str = "const PLUGIN = #{ group: \"test\" };\n";

#[test]
fn imports_work_inside_the_folder_and_nowhere_else() {
    let main = |path: &str| format!("import \"{path}\" as l;\n{PLUGIN}fn run(cx) {{ [text(`${{l::two()}}`, \"n\")] }}");
    assert_eq!(import_error(&[("main.rhai", &main("lib/l")), ("lib/l.rhai", "fn two() { 2 }")]), "");
    for path in ["../outside", "/etc/passwd", "lib/../../outside", "lib//l", "", ".", "lib/l.rhai", "C:\\x"] {
        let told = import_error(&[("main.rhai", &main(path)), ("../outside.rhai", "fn two() { 2 }")]);
        assert!(told.contains("main") && !told.is_empty(), "{path}: {told}");
    }
}

#[test]
fn a_circular_import_is_reported_with_its_path() {
    let told = import_error(&[
        ("main.rhai", &format!("import \"lib/a\" as a;\n{PLUGIN}fn run(cx) {{ [] }}")),
        ("lib/a.rhai", "import \"lib/b\" as b;\nfn f() { 1 }"),
        ("lib/b.rhai", "import \"lib/a\" as a;\nfn f() { 1 }"),
    ]);
    assert!(told.contains("circular import: lib/a -> lib/b -> lib/a"), "{told}");
}

#[test]
fn an_error_inside_a_library_names_the_library_and_line() {
    let main = format!("import \"lib/l\" as l;\n{PLUGIN}fn run(cx) {{\n  l::f(cx.input)\n}}");
    let told = import_error(&[("main.rhai", &main), ("lib/l.rhai", "\n\nfn f(x) {\n  x.reshape([7])\n}")]);
    assert!(told.contains("lib/l:4:"), "{told}");
    assert!(told.contains("x.reshape([7])"), "{told}");
    let told = import_error(&[("main.rhai", &main), ("lib/l.rhai", "fn f(x) {\n  let = 3;\n}")]);
    assert!(told.contains("lib/l:2:"), "{told}");
}

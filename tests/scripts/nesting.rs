//! Deeply nested values: they lead to an error or a result, and never crash the program.

use crate::common::{failure, host, method, one_shot, session, source};
use gradscope::script::host::Host;
use gradscope::script::summary::Report;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// Runs a one-shot body with a time limit; returns the error, if any.
fn told_soon(host: &Host, body: &str) -> Option<String> {
    let mut session = session(host);
    session.open(method(host, &one_shot(body)));
    let guard = host.guard().clone();
    guard.start(guard.cancel_requests());
    let (over, wait) = std::sync::mpsc::channel::<()>();
    let canceller = std::thread::spawn(move || {
        if wait.recv_timeout(Duration::from_secs(3)) == Err(RecvTimeoutError::Timeout) {
            guard.cancel();
        }
    });
    let told = session.run(host).err().map(|error| format!("{error:#}"));
    drop(over);
    canceller.join().unwrap();
    host.guard().start(host.guard().cancel_requests());
    told
}

/// Runs a one-shot body; returns the error, if any.
fn told(host: &Host, body: &str) -> Option<String> {
    let mut session = session(host);
    session.open(method(host, &one_shot(body)));
    session.run(host).err().map(|error| format!("{error:#}"))
}

#[test]
fn unbounded_nesting_ends_in_an_error() {
    let host = host();
    for body in [
        // Closures nested until memory runs out.
        "let f = |x| x; for i in 0..10000000 { let g = f; f = |x| g.call(x); }",
        "let f = 0; loop { let g = f; f = || g; }",
        "let f = 0; loop { let g = [f]; f = #{ a: || g }; }",
        "let f = 0; loop { let g = #{ a: f, b: [1] }; f = || [g]; }",
        "let f = || 1; loop { f = f.curry(f); }",
        "let f = Fn(\"idle\"); loop { f = f.curry(f); }\n}\nfn idle() {",
        // Nested from the outside in: each closure receives its captured value later.
        "let c = 0; let f = || c; let set = |v| c = v;\nloop { let d = 0; let next = |v| d = v; set.call(|| d); set = next; }",
        // Through `this`.
        "let f = 0; f.nest()\n}\nfn nest() { loop { this = Fn(\"idle\").curry(this); }\n}\nfn idle() {",
        "let f = []; f.nest()\n}\nfn nest() { loop { this = [this]; }",
        // Created by closures that native functions call.
        "let a = []; a.pad(20000, 0); loop { a.reduce(|f, x| || f, 0); let b = a.map(|x| || a); a = b; }",
        "let all = []; loop { let f = 0; for i in 0..20000 { let g = f; f = || g; } all.push(f); }",
        "let m = #{}; let i = 0; loop { let n = #{}; n[`k${i}`] = m; m = n; i += 1; }",
        "let a = [1]; loop { a = [a]; }",
        "let m = #{ x: 1 }; loop { m = #{ x: m }; }",
        "let m = #{ x: 1 }; loop { let n = m; m.x = n; }",
        "let a = [[]]; loop { let b = a; a[0] = b; }",
        "let f = 0; loop { let g = f; f = [|| g, || g]; }",
    ] {
        let error = told_soon(&host, body).unwrap_or_else(|| panic!("{body} returned"));
        let known = [
            "small values",
            "memory",
            "has more than",
            "operations",
            "in use",
            "unknown function",
            "data race",
            "cancelled",
        ];
        assert!(known.iter().any(|part| error.contains(part)), "{body}: {error}");
    }
    // The host is still usable.
    assert_eq!(told(&host, "[]"), None);
}

#[test]
fn cycles_of_closures_can_be_printed_compared_thrown_and_dropped() {
    let host = host();
    let circle = "let c = 0; let f = || c; c = [f, 1];";
    for rest in [
        "let t = `${c} ${f}`; t.len > 0",
        "print(c); debug(c); debug(f);",
        "c.to_debug()",
        "switch c { 1 => 2, _ => 3 }",
        "let d = c; d.push(c);",
        "c == c",
        "c.contains(f)",
        "c.map(|x| x)",
        "c.sort(|a, b| 0)",
        "throw c",
        "throw f",
        "throw #{ c: c }",
        "try { throw c } catch (e) { throw [e] }",
        "c",
        "f",
        "text(c.to_string(), \"t\")",
        "table([c], [[c, f]], \"t\")",
        "bars([c, f], [1, 2], \"t\")",
        "line(#{ a: [1, 2] }, \"t\", #{ axis: c })",
        "heatmap(cx.input, \"t\", #{ note: c, scale: f })",
        "heatmap(cx.input, \"t\", #{ scale: c })",
        "segments(cx.input, #{ method: c })",
        "conv2d(cx.input, cx.input, #{ stride: c })",
        "neighbours(zeros([3, 2]), zeros([3, 2]), #{ metric: c })",
        "cx.used(\"x\", c)",
        "zeros(c)",
        "tensor(c)",
        "backward(cx.model.forward(cx.input), c, #{ rules: [[c, f]] })",
        "cx.show(c)",
        "answer(cx, \"saliency\", #{ params: #{ a: c } })",
        "answer(cx, \"saliency\", #{ params: c, target: c, steps: f })",
    ] {
        told(&host, &format!("{circle}\n{rest}"));
    }
    assert_eq!(told(&host, "[]"), None);
}

#[test]
fn a_deeply_nested_result_or_state_is_an_error() {
    let host = host();
    for value in [
        "let a = 1; for i in 0..200 { a = [a]; } a",
        "let a = 1; for i in 0..200 { a = #{ x: a }; } a",
        "let f = 1; for i in 0..5000 { let g = f; f = || g; } f",
        "let c = 0; let f = || c; c = f; #{ f: f }",
    ] {
        let report = failure(value);
        assert!(report.message.contains("nested more than") || report.message.contains("must return"), "{report}");
        let stepper = format!(
            "const PLUGIN = #{{ group: \"test\" }};\nfn start(cx) {{ #{{ s: {{ {value} }} }} }}\nfn step(cx, s) {{ s }}\nfn view(cx, s) {{ [] }}"
        );
        let mut session = session(&host);
        session.open(host.compile(source(&stepper)).unwrap());
        let error = format!("{:#}", session.run(&host).unwrap_err());
        assert!(error.contains("nested more than"), "{value}: {error}");
    }
}

#[test]
fn a_state_of_maximum_nesting_depth_is_stored_and_restored() {
    let host = host();
    let stepper = "const PLUGIN = #{ group: \"test\" };\nfn start(cx) { let a = 1; for i in 0..46 { a = if i % 2 == 0 { [a] } else { #{ x: a } }; } #{ s: a } }\n\
        fn step(cx, s) { s }\nfn view(cx, s) { [] }";
    let mut session = session(&host);
    session.open(host.compile(source(stepper)).unwrap());
    session.run(&host).unwrap();
    let kept = session.snapshot().unwrap();
    session.restore(&kept).unwrap();
    session.step(&host).unwrap();
}

/// Pieces of syntax, each repeated many times in its own way.
fn deep_texts(n: usize) -> Vec<String> {
    let many = |piece: &str| piece.repeat(n);
    vec![
        format!("{}1{}", many("("), many(")")),
        format!("{}1{}", many("["), many("]")),
        format!("{}1{}", many("#{a:"), many("}")),
        format!("{}1{}", many("{"), many("}")),
        format!("{}true", many("!")),
        format!("{}1", many("- ")),
        format!("{}1", many("-")),
        format!("{}1", many("+ ")),
        format!("1{}", many("+1")),
        format!("1{}", many(" - 1")),
        format!("true{}", many("&&true")),
        format!("true{}", many("||true")),
        format!("1{}", many("??1")),
        format!("2{}", many("**2")),
        format!("1{}", many("==1")),
        format!("let a=[]; a{}", many("[0]")),
        format!("let a=#{{}}; a{}", many(".a")),
        format!("let a=#{{}}; a{}", many("?.a")),
        format!("let a=[]; a{}", many(".len()")),
        format!("let f=1; f{}", many("(1)")),
        format!("{}1{}", many("|x|"), ""),
        format!("let f = {}1", many("|| ")),
        format!("{}{}", many("if true {"), many("}")),
        format!("if true {{}}{}", many(" else if true {}")),
        format!("let x = if true {{1}}{} else {{2}};", many(" else if true {1}")),
        format!("{}{}", many("while true {"), many("}")),
        format!("{}{}", many("loop {"), many("}")),
        format!("{}{}", many("for i in [1] {"), many("}")),
        format!("{}1{}", many("switch 1 { 1 => "), many("}")),
        format!("{}{}", many("try {"), many("} catch {}")),
        format!("{}\"a\"{}", many("`${"), many("}`")),
        format!("{}1{}", many("max(1,"), many(")")),
        format!("let x = 1; {}", many("x=")),
        format!("let x = 1; x = {}1", many("x = ")),
        many("fn f() {}"),
        many("let x = 1;"),
        many("/*"),
        many("\""),
        many("`"),
        many("`${"),
        many("("),
        many("["),
        many("{"),
        many("#{a:"),
        many("|"),
        many("!"),
        many("do {"),
        many("return "),
        many("throw "),
        many("import \"a\" as "),
        many("a::"),
        format!("{}f()", many("a::")),
        many("1.."),
        many("in "),
        many("fn a(x) { "),
        many("const A = "),
    ]
}

#[test]
fn deeply_nested_or_unending_syntax_is_compiled_or_rejected() {
    let host = host();
    for n in [70, 3000, 100_000] {
        for text in deep_texts(n) {
            let whole = one_shot(&text);
            if let Ok(method) = host.compile(source(&whole)) {
                let mut session = session(&host);
                session.open(method);
                drop(session.run(&host));
            }
            // Also at the top level of a file.
            drop(host.compile(source(&text)));
        }
    }
    assert_eq!(told(&host, "[]"), None);
}

#[test]
fn json_of_great_depth_is_refused() {
    for n in [10_000, 300_000] {
        let body = format!("let t = \"\"; t.pad({n}, '['); parse_json(t)");
        let report: Report = failure(&body);
        assert!(!report.message.contains("gradscope itself"), "{report}");
        drop(failure(&format!("let t = \"\"; t.pad({n}, \"{{\\\"a\\\":\"); parse_json(t)")));
    }
}

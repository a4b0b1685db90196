//! The program's commands: output, files, errors for invalid input, exit codes.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

mod card;
mod config;
mod looks;
mod methods;
mod numbers;
mod out_folder;
mod outputs;
mod rerun;
mod result;
mod without_graph;

/// Runs gradscope in a folder, without a user configuration.
fn gradscope(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.args(args).current_dir(folder).env("HOME", folder).env("XDG_CONFIG_HOME", folder);
    command.env_remove("RUST_BACKTRACE").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The output of a successful run in an empty folder.
fn printed(args: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    let out = gradscope(folder.path(), args);
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    text(&out.stdout)
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&printed(args)).unwrap()
}

/// Runs an invalid command, which must fail with this exit code, print one message to stderr and nothing to stdout, and leave no
/// files.
fn wrong(folder: &Path, args: &[&str], code: i32) -> String {
    let before = files(folder);
    let out = gradscope(folder, args);
    // On a slow machine there are additional progress reports.
    let said: String = text(&out.stderr).split_inclusive('\n').filter(|l| !l.starts_with("still running ")).collect();
    assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.starts_with("error: ") && !said.contains("panicked"), "{args:?}: {said}");
    assert_eq!(text(&out.stdout), "", "{args:?}");
    assert_eq!(files(folder), before, "{args:?} left files");
    said
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path().display().to_string()).collect();
    names.sort();
    names
}

fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
}

#[test]
fn methods_models_layers_and_classes_are_tables_and_json() {
    assert_says(&printed(&["methods"]), &["gradcam", "attribution", "layer variant relu"]);
    assert_says(&printed(&["models"]), &["squeezenet1_0", "shapes", "built in"]);
    assert_says(&printed(&["layers", "-m", "squeezenet1_0"]), &["features.3.squeeze", "conv", "16x54x54"]);
    assert_says(&printed(&["classes"]), &["0", "9"]);
    let methods = json(&["methods", "--json"]);
    let fgsm = methods.as_array().unwrap().iter().find(|m| m["name"] == "fgsm").unwrap();
    assert_eq!(fgsm["parameters"][1]["name"], "epsilon");
    assert_eq!(json(&["classes", "-m", "squeezenet1_0", "--json"])[243]["label"], "bull mastiff");
    assert_eq!(json(&["layers", "-m", "resnet18", "--json"])[1]["kind"], "normalize");
    assert_says(&printed(&["layers", "-m", "resnet18", "--modules"]), &["layer4.1", "layer4.1.relu_1", "512x7x7"]);
    let modules = json(&["layers", "-m", "resnet18", "--modules", "--json"]);
    let layer4 = modules.as_array().unwrap().iter().find(|module| module["name"] == "layer4").unwrap();
    assert_eq!((&layer4["output"], &layer4["parameters"]), (&"layer4.1.relu_1".into(), &8_393_728.into()));
    assert!(json(&["models", "--json"]).as_array().unwrap().len() > 20);
}

#[test]
fn completions_contain_commands_options_methods_and_models() {
    for (shell, names) in [("bash", true), ("zsh", true), ("fish", true), ("elvish", false), ("powershell", false)] {
        let script = printed(&["completions", shell]);
        assert_says(&script, &["selftest", "time-limit"]);
        assert!(!names || script.contains("gradcam") && script.contains("squeezenet1_0"), "{shell}");
        assert!(!script.contains("\\u{") && !script.contains("\\x1b"), "{shell}: scripts contain no escapes");
    }
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("plugins")).unwrap();
    fs::write(folder.path().join("plugins/$(touch owned).rhai"), "fn run(cx) { [] }").unwrap();
    let script = gradscope(folder.path(), &["completions", "bash"]);
    assert!(script.status.success() && !text(&script.stdout).contains("owned"));
    assert_says(&wrong(folder.path(), &["completions", "cmd"], 2), &["bash", "powershell"]);
}

#[test]
#[cfg(unix)]
fn bash_completes_a_method_with_the_printed_script() {
    let script = printed(&["completions", "bash"]);
    let ask = "COMP_WORDS=(gradscope run gradc); COMP_CWORD=2; _gradscope gradscope gradc run; echo ${COMPREPLY[@]}";
    let Ok(out) = Command::new("bash").args(["-c", &format!("{script}\n{ask}")]).output() else { return };
    assert_says(&text(&out.stdout), &["gradcam"]);
}

#[test]
fn man_writes_a_page_for_each_command() {
    let folder = TempDir::new().unwrap();
    let out = gradscope(folder.path(), &["man", "man1"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let pages = files(&folder.path().join("man1"));
    assert_eq!(text(&out.stdout), format!("wrote {} pages to man1\n", pages.len()));
    let page = |name: &str| fs::read_to_string(folder.path().join("man1").join(name)).unwrap();
    assert_says(&page("gradscope.1"), &[".TH gradscope 1", "gradscope\\-train(1)", "Examples:"]);
    assert_says(&page("gradscope-train.1"), &[".TH gradscope-train 1", "\\-\\-attack\\-steps"]);
    assert!(pages.len() > 12, "{pages:?}");
    fs::write(folder.path().join("file"), "").unwrap();
    wrong(folder.path(), &["man", "file"], 1);
}

#[test]
fn a_run_on_the_built_in_network_writes_figures_raw_values_and_a_result() {
    let folder = TempDir::new().unwrap();
    let out = gradscope(folder.path(), &["run", "gradcam", "--out", "o"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let out = folder.path().join("o");
    let result: Value = serde_json::from_str(&fs::read_to_string(out.join("result.json")).unwrap()).unwrap();
    assert_eq!(result["method"], "gradcam");
    assert_eq!(result["model"], "shapes");
    assert_eq!(result["top5"].as_array().unwrap().len(), 5);
    assert_eq!(result["figures"][0]["file"], "01-cam.png");
    assert_eq!(result["figures"][0]["raw"], "cam.npy");
    let picture = image::open(out.join("01-cam.png")).unwrap();
    assert!(picture.width() >= 128);
    let raw = gradscope::data::read_npy(&out.join("cam.npy")).unwrap();
    assert_eq!(raw.shape, [1, 1, 128, 128]);
}

#[test]
fn an_attack_reports_its_steps() {
    let result = json(&["run", "fgsm", "--set", "step=1", "--steps", "3", "--json"]);
    let steps = result["steps"].as_array().unwrap();
    assert!(steps.len() >= 2 && steps.len() <= 4);
    assert!((steps[1]["linf"].as_f64().unwrap() - 1.0).abs() < 1e-3);
    assert!(steps[1]["top_logit"].is_number() && steps[1]["goal_logit"].is_number());
    assert_eq!(result["parameters"]["step"], 1.0);
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let run =
        |seed: &str| json(&["run", "fgsm", "--set", "random_start=true", "--steps", "1", "--seed", seed, "--json"]);
    let numbers = |v: Value| v["steps"].clone();
    assert_eq!(numbers(run("1")), numbers(run("1")));
    assert_ne!(numbers(run("1")), numbers(run("2")));
}

#[test]
fn several_pictures_get_a_folder_each() {
    let folder = TempDir::new().unwrap();
    let args = ["run", "saliency", "-i", "made:shapes[0]", "-i", "made:shapes[1]", "--out", "o"];
    assert!(gradscope(folder.path(), &args).status.success());
    let names = files(&folder.path().join("o"));
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|n| Path::new(n).join("saliency.npy").is_file()));
}

#[test]
fn the_result_contains_tables_as_shown() {
    let result = json(&["run", "sparseness", "--set", "method=gradcam", "--json"]);
    let table = &result["figures"][0]["table"];
    assert_eq!(table["columns"], serde_json::json!(["quantity", "value"]));
    assert_eq!(table["rows"][0][0], "Gini index");
    let gini: f64 = table["rows"][0][1].as_f64().unwrap();
    assert!((0.0..1.0).contains(&gini), "{gini}");
}

#[test]
fn accuracy_is_printed_as_text_or_json() {
    let eval = json(&["eval", "-m", "digits", "--data", "made:digits", "--json"]);
    assert_eq!(eval["total"], 2000);
    let (correct, accuracy) = (eval["correct"].as_f64().unwrap(), eval["accuracy"].as_f64().unwrap());
    assert!((correct / 2000.0 - accuracy).abs() < 1e-9);
}

#[test]
fn check_distinguishes_valid_scripts_from_broken_ones() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("bad.rhai"), "const PLUGIN = #{ group: \"x\" };\nfn run(cx) { cx.inptu }").unwrap();
    assert!(printed(&["check", "saliency", "gradcam", "fgsm", "lrp_by_hand"]).lines().all(|l| l.starts_with("ok")));
    let out = gradscope(folder.path(), &["check", "saliency", "bad.rhai"]);
    assert_eq!(out.status.code(), Some(1));
    assert_says(&text(&out.stdout), &["ok     saliency", "wrong  bad:2:", "did you mean \"input\"?"]);
}

#[test]
fn check_reports_rules_and_edits_that_match_no_layer() {
    let folder = TempDir::new().unwrap();
    let script = |name: &str, rules: &str| {
        let body = format!("backward(cx.model.forward(cx.input), logit(cx.target), #{{ rules: [{rules}] }})");
        let text = format!("const PLUGIN = #{{ group: \"x\" }};\nfn run(cx) {{ [signed({body}.input, \"map\")] }}");
        fs::write(folder.path().join(name), text).unwrap();
        let out = gradscope(folder.path(), &["check", name]);
        assert!(out.status.success());
        let said = text_of_notes(&out);
        said.strip_prefix(&format!("ok     {name}: 1 figures\n")).unwrap().to_string()
    };
    let rule = |selector: &str| format!("[\"{selector}\", |site, r| site.vjp(r)]");
    assert_eq!(
        script("a.rhai", &rule("konv")),
        "note   a.rhai: the rule for \"konv\": no kind or layer is named \"konv\"; did you mean \"conv\"?\n"
    );
    assert_says(&script("b.rhai", &rule("konv|linear")), &["\"konv|linear\"", "did you mean \"conv\"?"]);
    assert_says(&script("c.rhai", &rule("conv: block9.*")), &["named \"block9.*\""]);
    assert_says(&script("d.rhai", &rule("linear: conv*")), &["no layer matches \"linear: conv*\""]);
    assert_says(&script("e.rhai", &rule("relus")), &["did you mean \"relu\"?"]);
    for fits in ["conv", "lrn", "conv|linear", "conv*", "conv: conv*", "*"] {
        assert_eq!(script("f.rhai", &rule(fits)), "", "{fits}");
    }
    let edit = "const PLUGIN = #{ group: \"x\" };\nfn run(cx) { \
        let t = forward(cx.model, cx.input, #{ edits: [[\"relu|konv\", |a| a]] }); [classes(t)] }";
    fs::write(folder.path().join("g.rhai"), edit).unwrap();
    let said = text_of_notes(&gradscope(folder.path(), &["check", "g.rhai"]));
    assert_says(&said, &["the edit for \"relu|konv\"", "\"conv\""]);
    let out = gradscope(folder.path(), &["run", "a.rhai", "--json"]);
    assert_says(&text(&out.stderr), &["did you mean \"conv\"?"]);
    let result: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(result["notes"][0].as_str().unwrap().contains("konv"));
}

fn text_of_notes(out: &Output) -> String {
    text(&out.stdout)
}

#[test]
fn a_pipe_gets_pictures_only_if_requested_on_the_command_line() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("config.rhai"), "#{ graphics: \"half\" }").unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
        command.args(["run", "saliency"]).args(args).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.env("GRADSCOPE_CONFIG", folder.path().join("config.rhai"));
        text(&command.output().unwrap().stdout)
    };
    assert!(!run(&[]).contains('\u{1b}'));
    assert!(run(&["--graphics", "half"]).contains("\u{1b}[38;5;"));
    let letters = run(&["--graphics", "letters"]);
    let row = |line: &str| line.len() > 20 && line.chars().all(|c| " .:-=+*#%@".contains(c));
    assert!(letters.lines().filter(|line| row(line)).count() > 10 && !letters.contains('\u{1b}'), "{letters}");
}

#[test]
fn the_result_says_how_precisely_it_was_computed() {
    let ran = |args: &[&str]| {
        let folder = TempDir::new().unwrap();
        let out = gradscope(folder.path(), &[args, &["--json"]].concat());
        assert!(out.status.success(), "{}", text(&out.stderr));
        let result: Value = serde_json::from_slice(&out.stdout).unwrap();
        let how = ["device", "precision", "exact"].map(|key| result[key].to_string()).join(" ");
        (how.replace('"', ""), result["top5"][0]["logit"].as_f64().unwrap())
    };
    let (how, logit) = ran(&["run", "saliency"]);
    assert_eq!(how, "cpu f32 false");
    for (args, expected, bound) in [
        (&["--exact", "run", "saliency"][..], "cpu f32 true", 1e-4),
        (&["run", "saliency", "--precision", "f64"], "cpu f64 true", 1e-4),
        (&["--precision", "bf16", "run", "saliency"], "cpu bf16 false", 0.1),
        (&["run", "saliency", "--precision", "f16"], "cpu f16 false", 0.01),
    ] {
        let (how, other) = ran(args);
        assert_eq!(how, expected);
        assert!(other != logit && (other - logit).abs() < bound * logit.abs(), "{args:?}: {other} and {logit}");
    }
    assert_eq!(ran(&["run", "lrp"]).0, "cpu f32 true", "lrp declares `exact: true`");
}

#[test]
fn a_precision_can_be_compared_with_f32() {
    let result = |args: &[&str]| -> (Value, String) {
        let folder = TempDir::new().unwrap();
        let out = gradscope(folder.path(), &[args, &["--check-precision", "--json"]].concat());
        assert!(out.status.success(), "{}", text(&out.stderr));
        (serde_json::from_slice(&out.stdout).unwrap(), text(&out.stderr))
    };
    for precision in ["bf16", "f16"] {
        let (result, said) = result(&["--precision", precision, "run", "saliency"]);
        let found = &result["against_f32"];
        assert!(found["same_top1"] == true && said.contains("same top-1 class"), "{found} {said}");
        let apart = found["largest_logit_difference"].as_f64().unwrap();
        assert!(apart > 0.0 && apart < 0.5, "{precision}: {apart}");
        let correlation = found["figures"][0]["correlation"].as_f64().unwrap();
        assert!(correlation > 0.97 && correlation < 1.0, "{precision}: {correlation}");
    }
    assert_eq!(result(&["run", "saliency"]).0["against_f32"], Value::Null, "f32 is not compared with itself");
}

#[test]
fn the_result_contains_the_parameters_used_not_those_requested() {
    let used = |method: &str, set: &[&str]| {
        let set = set.iter().flat_map(|pair| ["--set", pair]);
        let args: Vec<_> = ["run", method, "--data", "made:shapes", "--json"].into_iter().chain(set).collect();
        let folder = TempDir::new().unwrap();
        let out = gradscope(folder.path(), &args);
        assert!(out.status.success(), "{}", text(&out.stderr));
        let result: Value = serde_json::from_slice(&out.stdout).unwrap();
        // On a slow machine there are additional progress reports.
        let said: String =
            text(&out.stderr).split_inclusive('\n').filter(|l| !l.starts_with("still running ")).collect();
        move |name: &str| {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
            let asked = &result["asked"][name];
            (text(&result["parameters"][name]), (!asked.is_null()).then(|| text(asked)), said.clone())
        }
    };
    let pca = used("pca", &["count=12", "components=40"]);
    let layer = pca("layer").0;
    assert!(layer != "all" && !layer.is_empty(), "{layer}");
    assert_eq!(
        (pca("components").0.as_str(), pca("components").1.as_deref(), pca("count").0.as_str()),
        ("12", Some("40"), "12")
    );
    assert_says(&pca("count").2, &["components=40 is more than available; using 12"]);
    let tsne = used("tsne", &["count=12", "perplexity=1000", "early=1", "iterations=1"]);
    assert!((tsne("perplexity").0.parse::<f64>().unwrap() - 11.0 / 3.0).abs() < 1e-9);
    assert_says(&tsne("perplexity").2, &["perplexity=1000 is too large for 12 points; using 3.67"]);
    let tsne = used("tsne", &["count=12", "early=1", "iterations=1"]);
    assert_says(&tsne("perplexity").2, &["perplexity=30 is too large for 12 points"]);
    assert_eq!((tsne("reduce").0.as_str(), tsne("layer").0), ("12", layer.clone()));
    let near = used("neighbours", &["count=5000", "k=100"]);
    assert_eq!((near("count").0.as_str(), near("k").0.as_str(), near("layer").0), ("1000", "100", layer.clone()));
    assert_says(&near("count").2, &["count=5000 is more than available; using 1000"]);
    for method in ["features", "invariance"] {
        assert_eq!(used(method, &["count=20", "layer=-2"])("count").0, "20");
        assert!(used(method, &["count=20", "layer=-2"])("layer").0.parse::<f64>().is_err(), "a number is resolved");
        assert_eq!(used(method, &["count=20"])("layer").0, layer, "{method}");
    }
    assert_eq!(used("features", &["count=0"])("count"), ("1000".into(), Some("0".into()), String::new()));
    let top = used("top_pictures", &["count=6", "k=30"]);
    assert_eq!((top("k").0.as_str(), top("count").0.as_str()), ("6", "6"));
    assert!(top("channel").0.parse::<usize>().is_ok() && !top("layer").0.is_empty());
    assert!(!used("gradcam", &[])("layer").0.is_empty());
}

#[test]
fn a_picture_is_not_its_own_neighbor_but_a_copy_is() {
    let folder = TempDir::new().unwrap();
    let mut records: Vec<Vec<u8>> =
        (0..9u32)
            .map(|i| {
                (0..3073u32)
                    .map(|j| {
                        if j == 0 {
                            1
                        } else {
                            ((j * (i + 3)).wrapping_mul(2_654_435_761u32.rotate_left(i)) >> 13) as u8
                        }
                    })
                    .collect()
            })
            .collect();
    records.push(records[4].clone());
    fs::write(folder.path().join("set.bin"), records.concat()).unwrap();
    fs::create_dir(folder.path().join("files")).unwrap();
    for (i, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let image = image::RgbImage::from_fn(9, 9, |x, y| image::Rgb([(x * 20) as u8, (y * 9 * i as u32) as u8, 77]));
        image.save(folder.path().join(format!("files/{name}.png"))).unwrap();
    }
    fs::copy(folder.path().join("files/b.png"), folder.path().join("files/e.png")).unwrap();
    let near = |picture: &str, data: &str, set: &[&str]| -> Vec<(usize, f64)> {
        let set = set.iter().flat_map(|pair| ["--set", pair]);
        let args: Vec<_> =
            ["run", "neighbours", "-i", picture, "--data", data, "--json"].into_iter().chain(set).collect();
        let out = gradscope(folder.path(), &args);
        assert!(out.status.success(), "{}", text(&out.stderr));
        let result: Value = serde_json::from_slice(&out.stdout).unwrap();
        let table = &result["figures"][1]["table"]["rows"];
        let cell = |row: &Value, i: usize| row[i].as_f64().unwrap();
        table
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (cell(row, 1) as usize, cell(row, row.as_array().unwrap().len() - 1)))
            .collect()
    };
    for set in [&[][..], &["metric=cosine"], &["layer=1", "pool=flat"], &["layer=-1"]] {
        for (picture, data, own, twin, count) in [
            ("cifar10:set.bin[4]", "cifar10:set.bin", 4, Some(9), 9),
            ("cifar10:./set.bin[9]", "cifar10:set.bin", 9, Some(4), 9),
            ("files/b.png", "folder:files", 1, Some(4), 4),
            ("folder:files[4]", "folder:./files", 4, Some(1), 4),
            ("made:shapes[17]", "made:shapes", 17, None, 100),
        ] {
            if set.len() > 1 && twin.is_none() {
                continue;
            }
            let near = near(picture, data, &[set, &["k=100"]].concat());
            assert_eq!(near.len(), count, "{picture} {set:?}");
            assert!(near.iter().all(|(number, _)| *number != own), "{picture} {set:?} is its own neighbor");
            if let Some(twin) = twin {
                assert!(near[0].0 == twin && near[0].1.abs() < 1e-6, "{picture} {set:?}: {:?}", near[0]);
            }
        }
    }
    fs::copy(folder.path().join("files/b.png"), folder.path().join("b.png")).unwrap();
    let outside = near("b.png", "folder:files", &["k=2"]);
    assert_eq!(
        outside.iter().map(|n| n.0).collect::<std::collections::BTreeSet<_>>(),
        [1, 4].into(),
        "a copy is another picture"
    );
}

#[test]
fn unknown_names_are_usage_errors_that_list_valid_ones() {
    let f = TempDir::new().unwrap();
    let says = |args: &[&str], parts: &[&str]| assert_says(&wrong(f.path(), args, 2), parts);
    says(&["run", "gradcamm"], &["no method named \"gradcamm\"", "gradcam"]);
    says(&["run", "gradcam", "-m", "squeeznet1_0"], &["no architecture named", "squeezenet1_0"]);
    says(&["run", "gradcam", "-t", "nothing"], &["no class named \"nothing\"", "similar names: "]);
    says(&["run", "gradcam", "-t", "10"], &["no class 10", "10 classes, 0 to 9"]);
    says(&["run", "gradcam", "--set", "layer=conv99"], &["no layer named \"conv99\""]);
    says(&["run", "gradcam", "--set", "lay=conv1"], &["unknown parameter \"lay\"; did you mean \"layer\"?"]);
    says(&["run", "gradcam", "--set", "variant=best"], &["one of gradcam, gradcam++, layercam, xgradcam"]);
    says(&["run", "fgsm", "--set", "epsilon=-1"], &["a number from 0 to 25500, in units of 1/255", "-1"]);
    says(&["run", "fgsm", "--set", "epsilon=eight"], &["\"eight\"", "a number from 0 to 255"]);
    says(&["run", "fgsm", "--set", "epsilon"], &["name=value"]);
    says(&["run", "gradcam", "--steps", "3"], &["has no steps"]);
    for wrong in ["gpu", "cuda:first", "cpu:1", "cuda:-1"] {
        says(&["run", "gradcam", "--device", wrong], &[&format!("unknown device \"{wrong}\""), "cpu, cuda:0"]);
    }
    for (device, feature, built) in
        [("cuda:0", "cuda", cfg!(feature = "cuda")), ("metal", "metal", cfg!(feature = "metal"))]
    {
        if !built {
            says(&["run", "gradcam", "--device", device], &[device, &format!("--features {feature}")]);
        }
    }
    says(&["eval", "--data", "made:shapes", "--precision", "int8"], &["int8", "f32, f64, tf32, bf16, f16"]);
    says(&["run", "gradcam", "--precision", "tf32"], &["tf32", "CUDA", "--device cuda:0"]);
    says(&["run", "gradcam", "--plugins", "nowhere"], &["there is no folder \"nowhere\""]);
}

#[test]
fn invalid_arguments_are_reported_by_the_parser() {
    let folder = TempDir::new().unwrap();
    let out = gradscope(folder.path(), &["run", "gradcam", "--nonsense"]);
    assert_eq!(out.status.code(), Some(2));
    assert_says(&text(&out.stderr), &["--nonsense", "Usage"]);
}

#[test]
fn invalid_weight_files_fail_with_their_name() {
    let f = TempDir::new().unwrap();
    let file = |name: &str, bytes: &[u8]| fs::write(f.path().join(name), bytes).unwrap();
    file("text.safetensors", b"these are no weights");
    file("short.safetensors", b"\x40\x00\x00\x00\x00\x00\x00\x00{\"a\":{\"dtype\":\"F32\",\"shape\":[9],");
    file("evil.pth", b"\x80\x02cos\nsystem\nq\x00X\x0b\x00\x00\x00touch ownedq\x01\x85q\x02Rq\x03.");
    let says = |args: &[&str], parts: &[&str]| assert_says(&wrong(f.path(), args, 1), parts);
    says(&["run", "gradcam", "-m", "resnet20"], &["resnet20 needs weights", "-w"]);
    says(&["run", "gradcam", "-m", "resnet20", "-w", "nowhere.pth"], &["nowhere.pth"]);
    says(&["run", "gradcam", "-m", "resnet20", "-w", "text.safetensors"], &["text.safetensors"]);
    says(&["run", "gradcam", "-m", "resnet20", "-w", "short.safetensors"], &["short.safetensors"]);
    says(&["run", "gradcam", "-m", "resnet20", "-w", "evil.pth"], &["evil.pth", "system"]);
    assert!(!f.path().join("owned").exists());
}

#[test]
fn invalid_pictures_fail_with_their_name() {
    let f = TempDir::new().unwrap();
    fs::write(f.path().join("text.png"), "this is no picture").unwrap();
    let mut png = std::io::Cursor::new(vec![]);
    image::RgbImage::new(64, 64).write_to(&mut png, image::ImageFormat::Png).unwrap();
    fs::write(f.path().join("half.png"), &png.get_ref()[..png.get_ref().len() / 2]).unwrap();
    let mut bmp = std::io::Cursor::new(vec![]);
    image::RgbImage::new(1, 1).write_to(&mut bmp, image::ImageFormat::Bmp).unwrap();
    let mut huge = bmp.into_inner();
    huge[18..22].copy_from_slice(&20_000u32.to_le_bytes());
    huge[22..26].copy_from_slice(&20_000u32.to_le_bytes());
    fs::write(f.path().join("huge.bmp"), huge).unwrap();
    gradscope::data::write_npy(&f.path().join("nan.npy"), &[3, 64, 64], &vec![f32::NAN; 3 * 64 * 64]).unwrap();
    gradscope::data::write_npy(&f.path().join("flat.npy"), &[3, 1, 1], &[0.5; 3]).unwrap();
    let says = |picture: &str, parts: &[&str]| {
        assert_says(&wrong(f.path(), &["run", "gradcam", "-i", picture], 1), parts);
    };
    says("nowhere.png", &["nowhere.png"]);
    says("text.png", &["text.png", "the file is text"]);
    says("half.png", &["half.png", "damaged"]);
    says("huge.bmp", &["20000x20000"]);
    says("nan.npy", &["NaN"]);
    says(".", &["folder"]);
    says("made:nothing[0]", &["nothing"]);
    says("made:shapes[99999999]", &["99999999"]);
    says("flat.npy", &["flat.npy"]);
}

#[test]
fn a_picture_of_one_pixel_is_scaled_like_any_other() {
    let folder = TempDir::new().unwrap();
    image::RgbImage::from_pixel(1, 1, image::Rgb([9, 200, 40])).save(folder.path().join("one.png")).unwrap();
    let out = gradscope(folder.path(), &["run", "saliency", "-i", "one.png", "--json"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let said = wrong(folder.path(), &["run", "saliency", "-i", "one.png", "--no-resize"], 1);
    assert_says(&said, &["one.png"]);
}

#[test]
fn malicious_scripts_end_with_an_error_at_their_line() {
    let f = TempDir::new().unwrap();
    let script = |name: &str, body: &str| {
        let text = format!("const PLUGIN = #{{ group: \"x\" }};\nfn run(cx) {{\n  {body}\n}}");
        fs::write(f.path().join(name), text).unwrap();
    };
    script("endless.rhai", "loop { }");
    script("huge.rhai", "zeros([100000, 100000, 3])");
    script("deep.rhai", "run(cx)");
    script("broken.rhai", "let x = ;");
    for (name, parts) in [
        ("endless.rhai", ["endless:3:", "infinite loop?"]),
        ("huge.rhai", ["huge:3:", "too large"]),
        ("deep.rhai", ["deep:", "too deep"]),
        ("broken.rhai", ["broken:3:", "let x = ;"]),
    ] {
        let begun = Instant::now();
        assert_says(&wrong(f.path(), &["run", name], 1), &parts);
        assert!(begun.elapsed() < Duration::from_secs(60), "{name} took {:?}", begun.elapsed());
    }
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
    let f = TempDir::new().unwrap();
    fs::write(f.path().join("file"), "").unwrap();
    for out in ["/proc/nowhere", "file", "file/below"] {
        assert_says(&wrong(f.path(), &["run", "saliency", "--out", out], 1), &[out]);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_and_leaves_no_partial_file() {
    let f = TempDir::new().unwrap();
    // A file size limit stands in for a full disk: the first write beyond it fails.
    let exe = env!("CARGO_BIN_EXE_gradscope");
    let script = format!("trap '' XFSZ; ulimit -f 8; exec '{exe}' run saliency --out o");
    let out = Command::new("bash").args(["-c", &script]).current_dir(f.path()).env("HOME", f.path()).output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    assert_says(&text(&out.stderr), &["error: writing \"o/"]);
    assert!(!f.path().join("o/result.json").exists());
    for name in files(&f.path().join("o")) {
        assert!(fs::metadata(&name).unwrap().len() > 0 && !name.contains(".gradscope-"), "{name} is left over");
    }
}

/// The tables and the values of each step in a run's output folder.
fn results(folder: &Path) -> [Value; 2] {
    let result: Value = serde_json::from_slice(&fs::read(folder.join("result.json")).unwrap()).unwrap();
    let tables = result["figures"].as_array().unwrap().iter().map(|f| f["table"].clone()).collect();
    [tables, result["steps"].clone()]
}

#[test]
fn a_sweep_killed_halfway_resumes_with_the_same_result() {
    let folder = TempDir::new().unwrap();
    let sweep =
        "run robustness --data made:shapes --set count=64 --set batch=2 --set|set=steps=20 stop=false epsilon=2";
    let (words, set) = sweep.split_once('|').unwrap();
    let args: Vec<_> = words.split(' ').chain([set, "--out"]).collect();
    let with = |more: &[&'static str]| args.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
    assert!(gradscope(folder.path(), &with(&["whole"])).status.success());
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    let mut child =
        command.args(with(&["broken"])).current_dir(folder.path()).env("HOME", folder.path()).spawn().unwrap();
    let (state, begun) = (folder.path().join("broken/state.safetensors"), Instant::now());
    while !state.exists() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(state.exists() && !folder.path().join("broken/result.json").exists(), "it was not broken half-way");
    let out = gradscope(folder.path(), &with(&["broken", "--resume"]));
    assert!(out.status.success() && text(&out.stderr).contains("resuming after step"), "{}", text(&out.stderr));
    assert_eq!(results(&folder.path().join("broken")), results(&folder.path().join("whole")));
    assert!(!state.exists(), "the state of a finished run is left over");
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gradscope"))
        .args(["classes", "-m", "squeezenet1_0"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), text(&out.stderr)), (Some(0), String::new()));
}

#[test]
fn the_app_without_a_terminal_suggests_gradscope_run() {
    let folder = TempDir::new().unwrap();
    assert_says(&wrong(folder.path(), &[], 1), &["needs a terminal", "gradscope run"]);
}

#[test]
fn help_shows_examples() {
    assert_says(&printed(&["--help"]), &["Examples:", "gradscope run gradcam", "--no-resize"]);
    let mut out = std::io::sink();
    out.write_all(printed(&["run", "--help"]).as_bytes()).unwrap();
}

#[test]
fn a_new_method_of_each_template_runs_and_is_never_overwritten() {
    let folder = TempDir::new().unwrap();
    for kind in ["map", "rule", "attack"] {
        let name = format!("my_{kind}");
        let made = gradscope(folder.path(), &["new", &name, "--from", kind]);
        assert!(
            made.status.success() && text(&made.stdout).contains(&format!("plugins/{name}.rhai")),
            "{}",
            text(&made.stderr)
        );
        let tried = gradscope(folder.path(), &["check", &name]);
        assert!(text(&tried.stdout).starts_with("ok"), "{}", text(&tried.stdout));
        let again = gradscope(folder.path(), &["new", &name]);
        assert_eq!(again.status.code(), Some(2));
        assert!(text(&again.stderr).contains("already exists"));
    }
}

#[test]
fn a_new_method_goes_into_the_folder_of_its_group_if_it_exists() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("plugins/attack")).unwrap();
    let made = text(&gradscope(folder.path(), &["new", "mine", "--from", "attack"]).stdout);
    assert!(made.contains("plugins/attack/mine.rhai"), "{made}");
    let made = text(&gradscope(folder.path(), &["new", "other", "--from", "map"]).stdout);
    assert!(made.contains("plugins/other.rhai"), "{made}");
    let again = gradscope(folder.path(), &["new", "mine", "--from", "map"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("plugins/attack/mine.rhai\" already exists"), "{}", text(&again.stderr));
    assert!(text(&gradscope(folder.path(), &["check", "mine", "other"]).stdout).lines().all(|l| l.starts_with("ok")));
}

#[test]
fn the_reference_can_be_searched() {
    let folder = TempDir::new().unwrap();
    let found = text(&gradscope(folder.path(), &["api", "gaussian"]).stdout);
    assert!(found.contains("gaussian_blur(sigma)") && found.contains("gaussian_blur(Tensor, "), "{found}");
    assert!(!found.contains("heatmap"), "{found}");
    let noun = text(&gradscope(folder.path(), &["api", "site"]).stdout);
    assert_says(&noun, &["site\n", "Site.successors -> array", "site.vjp(r / site.y"]);
    assert!(!noun.contains("gaussian"), "{noun}");
    let nothing = gradscope(folder.path(), &["api", "zzz"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(text(&nothing.stderr).contains("\"zzz\""));
    assert!(gradscope(folder.path(), &["api", "--definitions", "defs"]).status.success());
    assert!(folder.path().join("defs").read_dir().unwrap().count() > 0);
}

/// Writes twelve built-in pictures of three classes to folders of these names.
fn shapes(folder: &Path, names: [&str; 3]) {
    let set = gradscope::data::source::open("made:shapes").unwrap();
    for (class, name) in [7, 0, 5].into_iter().zip(names) {
        let own = (0..set.len()).filter(|&i| set.label(i) == class);
        fs::create_dir_all(folder.join(name)).unwrap();
        for i in own.take(4) {
            set.picture(i).unwrap().thumbnail(64).unwrap().save(folder.join(name).join(format!("{i}.png"))).unwrap();
        }
    }
}

#[test]
fn folders_named_by_class_name_and_by_index_give_the_same_accuracy() {
    let folder = TempDir::new().unwrap();
    shapes(&folder.path().join("names"), ["Heart", "DISC", "ring"]);
    shapes(&folder.path().join("numbers"), ["7", "0", "5"]);
    shapes(&folder.path().join("strangers"), ["heart", "disk", "ring"]);
    let eval = |data: &str| gradscope(folder.path(), &["eval", "--data", &format!("folder:{data}"), "--json"]);
    let (named, numbered) = (eval("names"), eval("numbers"));
    let told = |out: &Output| serde_json::from_slice::<Value>(&out.stdout).unwrap();
    assert_eq!(told(&named)["correct"], told(&numbered)["correct"]);
    assert!(told(&named)["correct"].as_u64().unwrap() >= 10, "{}", told(&named));
    assert_eq!((&told(&named)["labels"], &told(&numbered)["labels"]), (&"by name".into(), &"by number".into()));
    assert_says(&text(&named.stderr), &["matched with those of the network \"shapes\" by name"]);
    let said = wrong(folder.path(), &["eval", "--data", "folder:strangers"], 1);
    assert_says(&said, &["no class \"disk\"", "\"disc\" (0)", "\"square\"", "\"heart\""]);
}

#[test]
fn methods_on_a_folder_use_the_same_classes_and_report_file_names() {
    let folder = TempDir::new().unwrap();
    shapes(&folder.path().join("names"), ["Heart", "DISC", "ring"]);
    let run = |args: &[&str]| {
        let out = gradscope(folder.path(), &[&["run"], args, &["--data", "folder:names", "--json"]].concat());
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
        (serde_json::from_slice::<Value>(&out.stdout).unwrap(), text(&out.stderr))
    };
    let (told, said) = run(&["class_accuracy"]);
    assert_says(&said, &["\"folder:names\" are matched with those of the network \"shapes\" by name"]);
    assert_eq!((&told["data"]["labels"], &told["data"]["pictures"]), (&"by name".into(), &12.into()));
    let rows = told["figures"][0]["table"]["rows"].as_array().unwrap().clone();
    let named: Vec<_> = rows.iter().map(|row| row[0].as_str().unwrap()).collect();
    assert_eq!(named, ["disc", "ring", "heart"]);
    let (told, _) = run(&["neighbours", "-i", "folder:names[0]", "--set", "k=3"]);
    assert!(told["picture"]["file"].as_str().unwrap().starts_with("DISC/"), "{}", told["picture"]);
    let table = &told["figures"].as_array().unwrap().iter().find(|f| f["title"] == "neighbours").unwrap()["table"];
    assert_eq!(table["columns"][2], "file");
    assert!(table["rows"][0][2].as_str().unwrap().ends_with(".png"), "{table}");
}

#[test]
fn a_removed_prefix_is_reported_once_and_recorded_in_the_result() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints");
    let at = |name: &str| fixtures.join(name).display().to_string();
    let f = TempDir::new().unwrap();
    let run = |weights: &str| {
        let args = ["run", "saliency", "-m", &at("tiny.rhai"), "-w", &at(weights), "--out", "result", "--force"];
        let out = gradscope(f.path(), &args);
        assert!(out.status.success(), "{}", text(&out.stderr));
        let result: Value = serde_json::from_slice(&fs::read(f.path().join("result/result.json")).unwrap()).unwrap();
        (text(&out.stderr), result["weights"]["taken"].clone())
    };
    let (said, taken) = run("prefix0.pth");
    assert_eq!(said.matches("weights of tiny: without the prefix \"model.\"\n").count(), 1, "{said}");
    assert_eq!(taken, "without the prefix \"model.\"");
    let (said, taken) = run("ema_first.pth:model_ema");
    assert!(said.contains("using \"model_ema\"; \"model\" fits too (select with FILE:KEY)"), "{said}");
    assert!(taken.as_str().unwrap().starts_with("using \"model_ema\""));
    let (said, taken) = run("module.pth");
    assert!(!said.contains("weights of") && taken.is_null(), "{said}");
}

#[test]
fn a_line_is_read_as_another_word_after_a_small_perturbation() {
    let result = json(&["run", "read_as", "-m", "reader", "-i", "made:words[2]", "--set", "word=sensor", "--json"]);
    let table = result["figures"].as_array().unwrap().iter().find(|f| f["title"] == "what is read").unwrap();
    assert_eq!(table["table"]["rows"][0][1], "tensor");
    assert!(result["done"].as_str().unwrap().starts_with("read as \"sensor\", Linf "), "{}", result["done"]);
    let steps = result["steps"].as_array().unwrap();
    let read: Vec<_> = steps.iter().filter(|step| step["read"] == 1.0).collect();
    let least = read.iter().map(|step| step["linf"].as_f64().unwrap()).fold(f64::MAX, f64::min);
    assert!(least < 45.0, "{least}");
    // The text read is likely: p(sensor) > 0.1 wherever the best path gives it.
    assert!(read.iter().all(|step| step["loss"].as_f64().unwrap() < 2.3), "{read:?}");
    let f = TempDir::new().unwrap();
    let said = wrong(f.path(), &["run", "read_as", "-m", "reader", "--set", "word=bank"], 1);
    assert_says(&said, &["the network cannot read \"b\"; its letters are adegilnorstuy"]);
}

#[test]
fn a_waveform_is_heard_as_another_and_its_snr_is_reported() {
    let result = json(&["run", "inaudible", "-m", "waves", "-i", "made:waves[0]", "--json"]);
    assert!(result["done"].as_str().unwrap().starts_with("heard as triangle, SNR 2"), "{}", result["done"]);
    let steps = result["steps"].as_array().unwrap();
    assert!(steps.last().unwrap()["best_snr"].as_f64().unwrap() > 20.0);
    // SNR = 20 log10(signal / change), so the signal is the same for any change.
    let signal = |step: &Value| step["snr"].as_f64().map(|snr| snr + 20.0 * step["l2"].as_f64().unwrap().log10());
    let signals: Vec<_> = steps.iter().filter_map(signal).collect();
    assert!(signals.len() > 50 && signals.iter().all(|s| (s - signals[0]).abs() < 1e-3), "{signals:?}");
}

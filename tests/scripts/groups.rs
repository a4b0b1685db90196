//! Plugin folders: subfolders are groups, and a method is called by its file name alone.

use crate::common::host;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// The source of a method with this declaration.
fn method(declared: &str) -> String {
    format!("//! Shows the input.\nconst PLUGIN = #{{ {declared} }};\nfn run(cx) {{ image(cx.input, \"input\") }}\n")
}

/// A folder with these files, and a host that searches it first.
fn folder_with(files: &[(&str, &str)]) -> (Host, TempDir) {
    let folder = TempDir::new().unwrap();
    for (path, declared) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, method(declared)).unwrap();
    }
    (host_of(folder.path()), folder)
}

fn host_of(folder: &Path) -> Host {
    Host::new(Folders::plugins(Some(folder)), Folders::models(None).embedded_only())
}

#[test]
fn a_methods_group_is_declared_or_that_of_its_folder_or_attribution() {
    let files = [
        ("alone.rhai", ""),
        ("alone_of_a_group.rhai", "group: \"fidelity\""),
        ("attack/mine.rhai", ""),
        ("data_set/other.rhai", ""),
        ("project/probe.rhai", "group: \"attack\""),
    ];
    let (host, folder) = folder_with(&files);
    for (name, group) in [
        ("alone", "attribution"),
        ("alone_of_a_group", "fidelity"),
        ("mine", "attack"),
        ("other", "data set"),
        ("probe", "attack"),
    ] {
        let method = host.method(name).unwrap();
        assert_eq!((&*method.group, method.attack), (group, group == "attack"), "{name}");
        assert!(host.methods().iter().any(|row| row.name == name && row.group == group), "{name}");
    }
    let by_file = folder.path().join("attack/mine.rhai");
    assert_eq!(host.method(&by_file.to_string_lossy()).unwrap().group, "attack");
}

#[test]
fn methods_grouped_by_folder_are_choices_too() {
    let (_, folder) =
        folder_with(&[("odd/a.rhai", ""), ("b.rhai", "group: \"odd\""), ("odd/c.rhai", "group: \"even\"")]);
    let asks = "params: [param(\"method\", method(\"odd\"), \"who is asked\")]";
    fs::write(folder.path().join("asks.rhai"), method(asks)).unwrap();
    let asks = host_of(folder.path()).method("asks").unwrap();
    assert_eq!(asks.params[0].kind.text(), "one of a, b");
}

#[test]
fn two_files_of_one_name_are_reported_and_do_not_hide_others() {
    let (host, _folder) = folder_with(&[("attack/twin.rhai", ""), ("odd/twin.rhai", ""), ("odd/other.rhai", "")]);
    let error = format!("{:#}", host.method("twin").unwrap_err());
    let both = ["two scripts are named \"twin\"", "attack/twin.rhai", "odd/twin.rhai"];
    assert!(both.iter().all(|part| error.contains(part)), "{error}");
    let rows = host.methods();
    assert!(rows.iter().any(|row| row.name == "twin" && row.broken.is_some() && row.summary.contains("two scripts")));
    assert_eq!(host.method("other").unwrap().group, "odd");
}

#[test]
fn a_users_file_overrides_the_embedded_one_in_any_folder() {
    for place in ["fgsm.rhai", "attack/fgsm.rhai", "mine/fgsm.rhai"] {
        let (host, folder) = folder_with(&[(place, "group: \"attack\"")]);
        let fgsm = host.method("fgsm").unwrap();
        assert_eq!(fgsm.source.path, Some(folder.path().join(place)));
        assert_eq!(fgsm.summary(), "Shows the input.");
        assert_eq!(host.methods().iter().filter(|row| row.name == "fgsm").count(), 1);
    }
}

#[test]
fn hidden_files_editor_files_libraries_and_deeper_folders_are_not_methods() {
    let (host, _folder) = folder_with(&[
        (".git/hook.rhai", ""),
        (".hidden.rhai", ""),
        ("attack/.hidden.rhai", ""),
        ("attack/seen.rhai~", ""),
        ("attack/.seen.rhai.swp", ""),
        ("attack/seen.rhai", ""),
        ("lib/library.rhai", ""),
        ("attack/deeper/deep.rhai", ""),
    ]);
    let own = host.methods().into_iter().filter(|row| row.path.is_some()).map(|row| row.name);
    let own: Vec<_> = own.filter(|name| !shipped().contains_key(name)).collect();
    assert_eq!(own, ["seen"]);
    for name in ["hook", "library", "deep"] {
        assert!(format!("{:#}", host.method(name).unwrap_err()).contains("no method named"), "{name}");
    }
    assert!(format!("{:#}", host.method("attack/seen").unwrap_err()).contains("did you mean \"seen\"?"));
}

#[cfg(unix)]
#[test]
fn circular_and_dangling_symlinks_are_harmless() {
    use std::os::unix::fs::symlink;
    let (host, folder) = folder_with(&[("attack/mine.rhai", ""), ("alone.rhai", "")]);
    let at = |path: &str| folder.path().join(path);
    symlink(folder.path(), at("attack/up")).unwrap();
    symlink(folder.path(), at("itself")).unwrap();
    symlink(at("attack"), at("same")).unwrap();
    symlink(at("b"), at("a")).unwrap();
    symlink(at("a"), at("b")).unwrap();
    symlink(at("nothing"), at("nowhere")).unwrap();
    symlink(at("nothing.rhai"), at("attack/.#mine.rhai")).unwrap();
    symlink(at("alone.rhai"), at("attack/link.rhai")).unwrap();
    assert_eq!(host.method("mine").unwrap().group, "attack");
    assert_eq!(host.method("link").unwrap().group, "attack");
    assert_eq!(host.method("alone").unwrap().group, "attribution");
    assert!(host.methods().iter().all(|row| row.broken.is_none()));
}

/// The shipped methods: name and files.
fn shipped() -> BTreeMap<String, Vec<String>> {
    let mut files = BTreeMap::<_, Vec<_>>::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins");
    for folder in fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir() && !p.ends_with("lib")) {
        for file in fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()) {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let folder = folder.file_name().unwrap().to_string_lossy().replace('_', " ");
            files.entry(name).or_default().push(folder);
        }
    }
    files
}

#[test]
fn every_shipped_method_is_in_its_groups_folder_and_has_a_unique_name() {
    let host = host();
    let shipped = shipped();
    assert_eq!(host.plugins().names(), shipped.keys().cloned().collect::<Vec<_>>(), "all are in folders");
    for (name, folders) in shipped {
        assert_eq!([host.method(&name).unwrap().group], *folders, "{name}");
    }
}

//! Rules for the contents of source files.

use crate::tree::{TextFile, report, tracked_text};

const MAX_LINES: usize = 600;

/// Reports `rule` with every (file, line, what) that `find` names.
fn each_line(files: &[TextFile], rule: &str, find: impl Fn(&TextFile, &str) -> Option<String>) {
    let mut findings = Vec::new();
    for file in files {
        let found = file.code_lines().filter_map(|(number, line)| Some((number, find(file, line)?)));
        findings.extend(found.map(|(number, what)| format!("{}:{number}: {what}", file.path)));
    }
    report(&findings, rule);
}

fn rust_files(wanted: impl Fn(&str) -> bool) -> Vec<TextFile> {
    tracked_text().into_iter().filter(|file| file.is_rust() && wanted(&file.path)).collect()
}

/// The file that speaks about forbidden words can't avoid them.
fn is_this_file(path: &str) -> bool {
    path == "tests/tests/tidy/sources.rs"
}

#[test]
fn files_are_short() {
    let counted = |file: &TextFile| ["rs", "py", "sh"].iter().any(|e| file.has_extension(e));
    let long = tracked_text().into_iter().filter(counted).filter_map(|file| {
        let lines = file.text.lines().count();
        (lines > MAX_LINES).then(|| format!("{}: {lines} lines", file.path))
    });
    report(&long.collect::<Vec<_>>(), "no file has more than 600 lines");
}

#[test]
fn libraries_do_not_print() {
    let is_library = |p: &str| p.starts_with("crates/") && p.contains("/src/") && !p.ends_with("/tests.rs");
    let files = rust_files(|p| is_library(p) && !p.starts_with("crates/cli/"));
    let macros = ["println!", "eprintln!", "print!", "eprint!", "dbg!"];
    each_line(&files, "only the binary prints", |_, line| {
        macros
            .iter()
            .find(|name| line.starts_with(*name) || line.contains(&format!(" {name}")))
            .map(|m| (*m).into())
    });
}

#[test]
fn only_the_backend_module_names_a_backend() {
    let bridge = "crates/model/src/cpu/fused/bridge.rs";
    let files =
        rust_files(|p| p != bridge && !p.starts_with("crates/trainer/src/device/") && !is_this_file(p));
    let names = ["flex", "wgpu", "vulkan", "cuda", "libtorch", "cpu"];
    each_line(&files, "a device is named in crates/trainer/src/device", |_, line| {
        names.iter().map(|name| format!("Device::{name}(")).find(|call| line.contains(call.as_str()))
    });
    // Without the CPU backend nothing calls what lies below the bridge.
    let files: Vec<_> = files.into_iter().filter(|file| file.path != "crates/model/src/cpu/mod.rs").collect();
    let features = ["flex", "wgpu", "vulkan", "cuda", "tch", "fusion", "autotune"];
    each_line(&files, "a backend feature is read in crates/trainer/src/device", |_, line| {
        features.iter().map(|name| format!("feature = \"{name}\"")).find(|f| line.contains(f.as_str()))
    });
}

/// A default method that isn't forwarded hides what the environment inside says.
#[test]
fn environments_around_others_forward_every_method() {
    let method = |line: &str| -> Option<String> {
        let name = line.strip_prefix("    fn ")?.split(['(', '<']).next()?;
        Some(name.to_string())
    };
    let files = rust_files(|p| p.starts_with("crates/") && p.contains("/src/"));
    let read = |file: &TextFile, head: &str| -> Vec<String> {
        let inside = file.text.split(head).nth(1).expect("it is in the file");
        inside.lines().take_while(|line| *line != "}").filter_map(method).collect()
    };
    let seam = files.iter().find(|file| file.path == "crates/envs/src/env.rs").expect("the seam");
    let mut methods = read(seam, "pub trait Env");
    assert!(methods.len() >= 15 && methods.contains(&"take_log".into()), "{methods:?}");
    // Their defaults read `tasks`, which has no default.
    methods.retain(|name| !["train", "held_out", "tools"].contains(&name.as_str()));
    let around =
        |file: &&TextFile| file.text.contains("impl Env for ") && file.text.contains(": Box<dyn Env>,\n");
    let found: Vec<&TextFile> = files.iter().filter(around).collect();
    let paths: Vec<&str> = found.iter().map(|file| file.path.as_str()).collect();
    assert!(
        paths.contains(&"crates/envs/src/flaky.rs") && paths.contains(&"crates/mcp/src/env.rs"),
        "{paths:?}"
    );
    let forwarded: Vec<String> = {
        let written = seam.text.split("macro_rules! forward_env").nth(1).expect("it is beside the seam");
        let lines = written.lines().take_while(|line| *line != "}");
        lines.filter_map(|line| method(line.strip_prefix("    ")?)).collect()
    };
    assert!(forwarded.len() >= 9, "{forwarded:?}");
    let missing = |file: &&TextFile| {
        let mut given = read(file, "impl Env for ");
        if file.text.contains("forward_env!();") {
            given.extend(forwarded.iter().cloned());
        }
        let path = file.path.clone();
        let absent = methods.iter().filter(move |name| !given.contains(name));
        absent.map(move |name| format!("{path}: {name}")).collect::<Vec<_>>()
    };
    let missing: Vec<String> = found.iter().flat_map(missing).collect();
    report(&missing, "an environment around another one forwards every method of `Env`");
}

#[test]
fn every_crate_says_what_it_is() {
    let silent = rust_files(|p| p.ends_with("/src/lib.rs") || p.ends_with("/src/main.rs"));
    let silent = silent
        .iter()
        .filter(|file| !file.text.starts_with("//! ") && !file.text.starts_with("#![doc"))
        .map(|file| file.path.clone());
    report(&silent.collect::<Vec<_>>(), "a crate opens with a doc comment");
}

#[test]
fn the_overview_names_every_crate() {
    let roots = rust_files(|path| path.starts_with("crates/") && path.ends_with("/src/lib.rs"));
    let overview = rust_files(|path| path == "crates/cli/src/main.rs");
    let named = |path: &&str| overview[0].text.contains(&format!("](../turnwise_{path}/index.html)"));
    let crates = roots.iter().filter_map(|file| file.path.split('/').nth(1));
    let missing: Vec<String> = crates.filter(|name| !named(name)).map(str::to_string).collect();
    report(&missing, "the front page of the API documentation (crates/cli/src/main.rs) lacks crates");
}

#[test]
fn nothing_is_left_for_later() {
    let files = rust_files(|p| !is_this_file(p));
    let words = ["todo!(", "unimplemented!(", "#[ignore", "dbg!("];
    each_line(&files, "work is finished or not there", |_, line| {
        words.iter().find(|word| line.contains(*word)).map(|word| (*word).into())
    });
}

#[test]
fn files_are_named_for_what_they_hold() {
    let empty = ["utils", "util", "common", "helpers", "helper", "misc", "base"];
    let stem =
        |path: &str| path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs").map(str::to_string));
    let unnamed = rust_files(|p| stem(p).is_some_and(|stem| empty.contains(&stem.as_str())));
    report(&unnamed.into_iter().map(|file| file.path).collect::<Vec<_>>(), "these names say nothing");
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let files: Vec<_> = tracked_text().into_iter().filter(|file| !is_this_file(&file.path)).collect();
    let places = ["/home/", "/Users/", "/root/.", "/work/", "C:\\Users"];
    let mut findings = Vec::new();
    for file in &files {
        for (number, line) in file.text.lines().enumerate() {
            let found = places.iter().find(|place| line.contains(*place));
            findings.extend(found.map(|place| format!("{}:{}: {place}", file.path, number + 1)));
        }
    }
    report(&findings, "paths of one machine");
}

#[test]
fn every_corpus_of_a_fuzz_target_is_replayed_by_a_test() {
    let files = tracked_text();
    let text = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| &*file.text);
    let targets = text("fuzz/src/main.rs").lines().filter_map(|line| {
        line.strip_prefix("    (\"").and_then(|rest| rest.split_once('"')).map(|(name, _)| name)
    });
    // Call formats are replayed all together, and cut into pieces.
    let formats = text("crates/tools/src/format/mod.rs");
    let is_replayed = |name: &str| {
        let call = format!("replay(\"{name}\"");
        name == "lexer"
            || formats.contains(&format!("\"{name}\" => "))
            || files.iter().any(|file| file.is_rust() && file.text.contains(&call))
    };
    let targets: Vec<&str> = targets.collect();
    assert!(targets.len() > 20, "{targets:?}");
    let missing: Vec<String> =
        targets.into_iter().filter(|name| !is_replayed(name)).map(String::from).collect();
    report(&missing, "targets of fuzz/src/main.rs whose corpus no test replays");
}

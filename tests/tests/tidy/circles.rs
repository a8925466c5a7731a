//! Circles of imports between files of one crate: such files can't be read, tested or moved one at a time.
//!
//! A file imports another one if it names an item of it by `use`, or by a path that begins with `crate::` or
//! `super::`. An item that a file re-exports counts as one of the file that declares it. A module and those
//! inside it may name each other, and tests may name anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::{Module, is_inside, paths, spelled};
use crate::tree::{TextFile, report, tracked_text};

/// The files of a crate, each with the items that it names.
#[derive(Default)]
struct Crate {
    /// The paths that a file names.
    named: BTreeMap<Module, Vec<Module>>,
    /// The names that a file brings into its scope, with their paths.
    imported: BTreeMap<Module, BTreeMap<String, Module>>,
}

impl Crate {
    /// Takes in a file, whose path is relative to `src/`.
    fn add(&mut self, file: &str, text: &str) {
        let mut module: Module = file.trim_end_matches(".rs").split('/').map(str::to_string).collect();
        if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            module.pop();
        }
        let found = paths(text, &module);
        let imported = found.iter().filter_map(|(path, name)| Some((name.clone()?, path.clone())));
        self.imported.insert(module.clone(), imported.collect());
        self.named.insert(module, found.into_iter().map(|(path, _)| path).collect());
    }

    /// The file that declares the item of a path.
    fn declares(&self, path: &[String], seen: &mut BTreeSet<Module>) -> Option<Module> {
        if !seen.insert(path.to_vec()) {
            return None;
        }
        let module = self.file(path)?;
        let elsewhere = path[module.len()..].split_first().and_then(|(name, rest)| {
            let from = self.imported[module].get(name)?;
            // Names of other crates look as if they were inside the module.
            let is_ours = self.file(from).is_some_and(|file| file != module);
            is_ours.then(|| self.declares(&[from, rest].concat(), seen)).flatten()
        });
        Some(elsewhere.unwrap_or_else(|| module.to_vec()))
    }

    /// The file that a path leads into.
    fn file<'p>(&self, path: &'p [String]) -> Option<&'p [String]> {
        (0..=path.len()).rev().map(|length| &path[..length]).find(|prefix| self.named.contains_key(*prefix))
    }

    /// The files that each file imports, but for its parents and children.
    fn imports(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let of_file = |(module, named): (&'_ Module, &Vec<Module>)| -> BTreeSet<Module> {
            let files = named.iter().filter_map(|path| self.declares(path, &mut BTreeSet::new()));
            files.filter(|other| !is_inside(other, module) && !is_inside(module, other)).collect()
        };
        self.named.iter().map(|(module, named)| (module, of_file((module, named)))).collect()
    }

    /// Files that reach each other, each group with the imports inside it.
    fn circles(&self) -> Vec<BTreeMap<Module, BTreeSet<Module>>> {
        let imports = self.imports();
        let reached = |from: &Module| {
            let (mut reached, mut open) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(module) = open.pop() {
                for next in imports.get(&module).into_iter().flatten() {
                    if reached.insert(next.clone()) {
                        open.push(next.clone());
                    }
                }
            }
            reached
        };
        let reached: BTreeMap<&Module, BTreeSet<Module>> =
            imports.keys().map(|module| (*module, reached(module))).collect();
        let group = |module: &Module| -> BTreeSet<&Module> {
            let back = |other: &&Module| reached.get(*other).is_some_and(|from| from.contains(module));
            reached[module].iter().filter(back).collect()
        };
        let groups: BTreeSet<BTreeSet<&Module>> =
            imports.keys().map(|module| group(module)).filter(|group| !group.is_empty()).collect();
        let inside = |group: BTreeSet<&Module>| {
            let edges = |module: &&Module| {
                let edges = imports[*module].iter().filter(|other| group.contains(other)).cloned().collect();
                ((*module).clone(), edges)
            };
            group.iter().map(edges).collect()
        };
        groups.into_iter().map(inside).collect()
    }
}

/// The crates of the repository by their folders. Files of tests are left out.
fn crates(files: &[TextFile]) -> BTreeMap<String, Crate> {
    let mut crates: BTreeMap<String, Crate> = BTreeMap::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let Some((folder, inner)) = file.path.split_once("/src/") else { continue };
        let is_test = inner.split('/').any(|part| ["tests.rs", "tests", "testing.rs", "bin"].contains(&part));
        if !is_test {
            crates.entry(folder.into()).or_default().add(inner, &file.text);
        }
    }
    crates
}

/// Lines such as `a → b`.
fn shown(circle: &BTreeMap<Module, BTreeSet<Module>>) -> String {
    let lines = circle.iter().map(|(module, others)| {
        let others: Vec<String> = others.iter().map(|other| spelled(other)).collect();
        format!("\n    {} → {}", spelled(module), others.join(", "))
    });
    lines.collect()
}

#[test]
fn no_files_import_each_other() {
    let mut findings = Vec::new();
    for (folder, files) in crates(&tracked_text()) {
        findings.extend(files.circles().iter().map(|circle| format!("{folder}/src:{}", shown(circle))));
    }
    report(&findings, "files that import each other (tests/tests/tidy/circles.rs)");
}

#[test]
fn circles_are_found_and_nothing_else() {
    let check = |files: &[(&str, &str)], expect: &[&str]| {
        let mut all = Crate::default();
        for (file, text) in files {
            all.add(file, text);
        }
        let found: Vec<String> = all.circles().iter().map(shown).collect();
        let expect: Vec<String> = expect.iter().map(ToString::to_string).collect();
        assert_eq!(found, expect, "{files:?}");
    };
    check(&[("a.rs", "use crate::b::B;\n"), ("b.rs", "use crate::c::C;\n"), ("c.rs", "struct C;\n")], &[]);
    let circle = ["\n    a → b\n    b → a"];
    check(&[("a.rs", "use crate::b::B;\n"), ("b.rs", "fn b() { super::a::a() }\n")], &circle);
    check(&[("a.rs", "use crate::{\n    b::{self, B},\n};\n"), ("b.rs", "use crate::a;\n")], &circle);
    // An item that is re-exported.
    let lib = ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B as Other;\n");
    check(&[lib, ("a.rs", "use crate::Other;\n"), ("b.rs", "use crate::A;\n")], &circle);
    // A module and those inside it.
    check(&[("a/mod.rs", "mod b;\nuse b::B;\n"), ("a/b.rs", "use super::A;\n")], &[]);
    // Comments and tests.
    let tests = "// use crate::a::A;\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n    use crate::a::A;\n}\n";
    check(&[("a.rs", "use crate::b::B;\n"), ("b.rs", tests)], &[]);
}

//! Paths of items as sources name them.

/// A path inside a crate: the modules that lead to a file or an item.
pub(crate) type Module = Vec<String>;

/// Whether a module is another one or lies inside it.
pub(crate) fn is_inside(module: &[String], other: &[String]) -> bool {
    module.starts_with(other)
}

/// `a::b`.
pub(crate) fn spelled(module: &[String]) -> String {
    module.join("::")
}

/// The paths that the text of a module names inside its crate, each with the name that a `use` gives it.
pub(crate) fn paths(text: &str, module: &[String]) -> Vec<(Module, Option<String>)> {
    let code = code(text);
    let (mut found, mut rest) = (Vec::new(), String::new());
    for statement in code.split_inclusive(';') {
        match statement.rfind("use ").filter(|&at| begins_statement(statement, at)) {
            Some(at) => {
                rest.push_str(&statement[..at]);
                let tree: String = statement[at + 4..]
                    .trim_end_matches(';')
                    .split_whitespace()
                    .fold(String::new(), |tree, word| if word == "as" { tree + " as " } else { tree + word });
                found.extend(leaves(&tree).into_iter().map(|(path, name)| (path, Some(name))));
            }
            None => rest.push_str(statement),
        }
    }
    found.extend(inline(&rest).into_iter().map(|path| (path, None)));
    let absolute = |(path, name): (Vec<String>, _)| Some((absolute(path, module)?, name));
    found.into_iter().filter_map(absolute).collect()
}

/// The text without comments and without its tests.
fn code(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let is_tests = |at: usize| {
        let mut below = lines[at + 1..].iter().skip_while(|line| line.starts_with("#["));
        lines[at] == "#[cfg(test)]" && below.next().is_some_and(|line| line.ends_with('{'))
    };
    let end = (0..lines.len()).find(|&at| is_tests(at)).unwrap_or(lines.len());
    lines[..end].join("\n")
}

/// Whether a `use` at this byte is a statement, and not a part of a word or a text.
fn begins_statement(text: &str, at: usize) -> bool {
    let line = text[..at].rsplit('\n').next().unwrap_or_default().trim_start();
    line.is_empty() || (line.starts_with("pub") && line.ends_with(' ') && !line.trim_end().contains(' '))
}

/// Every path of a tree of imports, with the name that it gets: `a::{b, c as d}` is `a::b` and `a::c`.
fn leaves(tree: &str) -> Vec<(Vec<String>, String)> {
    let Some(open) = tree.find('{') else {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, tree));
        let path: Vec<String> = path.split("::").map(str::to_string).collect();
        let name = name.rsplit("::").next().unwrap_or_default().to_string();
        return vec![(path, name)];
    };
    let head: Vec<String> =
        tree[..open].split("::").filter(|part| !part.is_empty()).map(str::to_string).collect();
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    for (at, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                for (path, name) in leaves(&inner[start..at]) {
                    match path.as_slice() {
                        [only] if only.is_empty() => {}
                        [only] if only == "self" => {
                            found.push((head.clone(), head.last().cloned().unwrap_or_default()));
                        }
                        _ => found.push(([head.clone(), path].concat(), name)),
                    }
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// Paths outside `use` that begin with `crate::` or `super::`.
fn inline(code: &str) -> Vec<Vec<String>> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let words: Vec<&str> = code.split(|letter: char| !is_word(letter) && letter != ':').collect();
    let path = |word: &&str| -> Option<Vec<String>> {
        let parts: Vec<String> =
            word.split("::").take_while(|part| !part.is_empty()).map(str::to_string).collect();
        let begins = parts.first().is_some_and(|first| first == "crate" || first == "super");
        (begins && parts.len() > 1).then_some(parts)
    };
    words.iter().filter_map(path).collect()
}

/// The path from the root of the crate; none for a path into another crate. A name that is none of these is
/// looked for inside the module, where a `use` may begin with a child.
fn absolute(mut path: Vec<String>, module: &[String]) -> Option<Module> {
    let mut base = module.to_vec();
    if path.last().is_some_and(|last| last == "*") {
        path.pop();
    }
    match path.first()?.as_str() {
        "crate" => return Some(path.split_off(1)),
        "self" => path.remove(0),
        "super" => {
            while path.first().is_some_and(|first| first == "super") {
                base.pop()?;
                path.remove(0);
            }
            String::new()
        }
        _ => String::new(),
    };
    base.extend(path);
    Some(base)
}

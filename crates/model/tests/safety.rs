//! `docs/safety.md` names tests that exist, and some for each money rule.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Names of functions in the sources below `dir` that begin like a rule.
fn functions(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).expect("a directory of the project") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                functions(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let names = text.split("fn m").skip(1).map(|rest| {
                let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
                format!("m{}", &rest[..end.unwrap_or(rest.len())])
            });
            found.extend(names);
        }
    }
}

#[test]
fn the_safety_page_names_tests_that_exist_and_some_for_each_rule() {
    let mut tests = BTreeSet::new();
    functions(&root().join("crates"), &mut tests);
    functions(&root().join("tests"), &mut tests);
    let page = fs::read_to_string(root().join("docs/safety.md")).unwrap();
    for rule in 1..=12 {
        let row = page.lines().find(|line| line.starts_with(&format!("| M{rule} |"))).expect("a row for each rule");
        let named: Vec<&str> = row.split('`').filter(|word| word.starts_with(&format!("m{rule}_"))).collect();
        assert!(named.len() >= 2, "M{rule} names {named:?}");
        for name in named {
            assert!(tests.contains(name), "there is no test {name}");
        }
    }
}

//! `docs/safety.md` names tests that exist, and some for each money rule.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Names of functions in the sources below `dir`.
fn functions(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).expect("a directory of the project") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                functions(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let names = text.split("fn ").skip(1).map(|rest| rest.split(|letter| !is_of_a_name(letter)).next());
            found.extend(names.flatten().map(str::to_owned));
        }
    }
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
}

#[test]
fn the_safety_page_names_tests_that_exist_and_some_for_each_rule() {
    let mut tests = BTreeSet::new();
    functions(&root().join("crates"), &mut tests);
    functions(&root().join("tests"), &mut tests);
    let page = fs::read_to_string(root().join("docs/safety.md")).unwrap();
    // A name of four words or more is a test's.
    let is_test = |word: &&str| word.matches('_').count() >= 3 && word.chars().all(is_of_a_name);
    let named: Vec<&str> = page.split('`').filter(is_test).collect();
    assert!(named.len() > 40, "the page names {named:?}");
    for name in named {
        assert!(tests.contains(name), "there is no test {name}");
    }
    for rule in 1..=17 {
        let row = page.lines().find(|line| line.starts_with(&format!("| M{rule} |"))).expect("a row for each rule");
        let named: Vec<&str> = row.split('`').filter(|word| word.starts_with(&format!("m{rule}_"))).collect();
        assert!(named.len() >= 2, "M{rule} names {named:?}");
    }
}

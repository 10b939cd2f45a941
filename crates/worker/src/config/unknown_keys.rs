//! Keys that do not exist: a mistyped limit must not be a limit that is not there.

use toml::{Table, Value};

use super::Problem;
use super::schema::{Node, Schema};

/// Below this a name is another name, not a slip of the finger.
const ALIKE: f64 = 0.8;

/// Every key of the table that the schema does not know.
pub(super) fn problems(table: &Table, schema: &Schema) -> Vec<Problem> {
    let mut found = Vec::new();
    walk(table, schema.root(), "", &mut found);
    found
}

fn walk(table: &Table, node: Node<'_>, path: &str, found: &mut Vec<Problem>) {
    for (key, value) in table {
        let path = below(path, key);
        match node.property(key).or_else(|| node.entry()) {
            None => found.push(unknown(node, &path, key)),
            Some(child) => walk_value(value, child, &path, found),
        }
    }
}

fn walk_value(value: &Value, node: Node<'_>, path: &str, found: &mut Vec<Problem>) {
    match (value, node.item()) {
        // A table where none belongs is a wrong type, which is said elsewhere.
        (Value::Table(table), _) if !node.keys().is_empty() || node.entry().is_some() => walk(table, node, path, found),
        (Value::Array(items), Some(item)) => {
            for (index, value) in items.iter().enumerate() {
                walk_value(value, item, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// `key`, the last part of `path`, is not among the keys of `node`.
pub(super) fn unknown(node: Node<'_>, path: &str, key: &str) -> Problem {
    let section = path.strip_suffix(key).unwrap_or_default();
    let hint = match nearest(key, node.keys().into_iter()) {
        Some(near) => format!("did you mean `{section}{near}`?"),
        None => {
            elsewhere(node, section, key).unwrap_or_else(|| format!("the keys here are {}", node.keys().join(", ")))
        }
    };
    Problem::at(path, "is not a known key", hint)
}

/// A key that exists one table further down, such as `attempts`, which belongs into `retry`.
fn elsewhere(node: Node<'_>, section: &str, key: &str) -> Option<String> {
    let table = node
        .keys()
        .into_iter()
        .find(|table| node.property(table).is_some_and(|child| !child.is_secret() && child.keys().contains(&key)))?;
    Some(format!("did you mean `{section}{table}.{key}`?"))
}

/// The candidate most like `word`, if it is like it at all.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .map(|candidate| (strsim::jaro_winkler(&word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}

pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

//! `WORKER__SECTION__KEY`: the environment over the file.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::schema::{Node, Schema};
use super::unknown_keys::{below, unknown};
use super::{Environment, Problem};

const PREFIX: &str = "WORKER__";
const SEPARATOR: &str = "__";

/// Whether the environment sets anything.
pub(super) fn any(environment: &Environment) -> bool {
    environment.with_prefix(PREFIX).next().is_some()
}

/// Puts every override into the table; says which key was set by which variable.
pub(super) fn apply(
    table: &mut Table,
    environment: &Environment,
    schema: &Schema,
) -> Result<BTreeMap<String, String>, Problem> {
    let mut set = BTreeMap::new();
    for (name, text) in environment.with_prefix(PREFIX) {
        let variable = format!("{PREFIX}{name}");
        let key = apply_one(table, name, text, schema.root())
            .map_err(|problem| Problem { set_by: Some(variable.clone()), ..problem })?;
        set.insert(key, variable);
    }
    Ok(set)
}

fn apply_one(table: &mut Table, name: &str, text: &str, root: Node<'_>) -> Result<String, Problem> {
    let mut parts = name.split(SEPARATOR).map(str::to_lowercase).peekable();
    let (mut table, mut node, mut path) = (table, root, String::new());
    while let Some(part) = parts.next() {
        let key = spelled_as_in(table, node, &part);
        path = below(&path, &key);
        let Some(child) = node.property(&key).or_else(|| node.entry().filter(|_| !key.is_empty())) else {
            return Err(unknown(node, &path, &key));
        };
        if parts.peek().is_none() {
            table.insert(key, value(text, child));
            return Ok(path);
        }
        if child.keys().is_empty() && child.entry().is_none() {
            return Err(Problem::at(path, "has no keys below it", "one `__` for every dot of the key"));
        }
        let below = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
        // Where a secret comes from is replaced, not added to.
        if child.is_secret() || !below.is_table() {
            *below = Value::Table(Table::new());
        }
        (table, node) = (below.as_table_mut().expect("it was just made one"), child);
    }
    Err(Problem::whole("is overridden by a name without a key", "write WORKER__SECTION__KEY"))
}

/// Variables cannot hold a dash, so `FIN_PAY` also finds `[providers.fin-pay]`.
fn spelled_as_in(table: &Table, node: Node<'_>, part: &str) -> String {
    let free = node.property(part).is_none() && node.entry().is_some();
    let existing = free.then(|| table.keys().find(|key| key.replace('-', "_") == part)).flatten();
    existing.map_or_else(|| part.to_owned(), Clone::clone)
}

/// A TOML value where it can be one. Where text belongs it stays as it is, so that `95221` is a channel and not a number;
/// quotes around it are TOML's, except around a secret.
fn value(text: &str, node: Node<'_>) -> Value {
    let as_toml = || toml::from_str::<Table>(&format!("value = {text}")).ok()?.remove("value");
    let as_text = || Value::String(text.to_owned());
    if node.is_secret() {
        return as_text();
    }
    if node.takes_text() {
        return as_toml().filter(Value::is_str).unwrap_or_else(as_text);
    }
    as_toml().unwrap_or_else(as_text)
}

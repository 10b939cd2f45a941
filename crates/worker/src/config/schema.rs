//! The JSON Schema of the configuration, for `worker schema config` and for knowing which keys there are.

use serde_json::Value;

use super::file::File;

/// The JSON Schema of `worker.toml`.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(File).to_value();
    without_null(&mut schema);
    schema
}

/// TOML has no null; what schemars allows for an `Option` is only the key's absence.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(members) => {
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            if let Some(Value::Array(choices)) = members.get_mut("enum") {
                choices.retain(|choice| !choice.is_null());
            }
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    members.remove("anyOf");
                    for (name, value) in only {
                        members.entry(name).or_insert(value);
                    }
                }
            }
            members.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

/// The schema, ready to be walked beside a configuration.
pub(super) struct Schema(Value);

/// The schema of one place in the configuration.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    whole: &'a Value,
    here: &'a Value,
}

impl Schema {
    pub(super) fn new() -> Self {
        Self(json_schema())
    }

    pub(super) fn root(&self) -> Node<'_> {
        Node { whole: &self.0, here: &self.0 }
    }
}

impl<'a> Node<'a> {
    /// The value of a named key.
    pub(super) fn property(self, key: &str) -> Option<Self> {
        self.variants().iter().find_map(|schema| schema.get("properties")?.get(key)).map(|here| self.at(here))
    }

    /// The values of a table whose keys are free, as the providers' names are.
    pub(super) fn entry(self) -> Option<Self> {
        self.variants()
            .iter()
            .find_map(|schema| schema.get("additionalProperties").filter(|entry| entry.is_object()))
            .map(|here| self.at(here))
    }

    /// The elements of an array.
    pub(super) fn item(self) -> Option<Self> {
        self.variants().iter().find_map(|schema| schema.get("items")).map(|here| self.at(here))
    }

    /// The named keys there are.
    pub(super) fn keys(self) -> Vec<&'a str> {
        self.variants()
            .iter()
            .filter_map(|schema| schema.get("properties")?.as_object())
            .flat_map(|properties| properties.keys().map(String::as_str))
            .collect()
    }

    pub(super) fn takes_text(self) -> bool {
        self.takes("string")
    }

    /// Text, or a table that says where the text is.
    pub(super) fn is_secret(self) -> bool {
        self.takes("string") && self.takes("object")
    }

    fn takes(self, kind: &str) -> bool {
        self.variants().iter().any(|schema| schema.get("type").is_some_and(|name| name == kind))
    }

    fn at(self, here: &'a Value) -> Self {
        Self { whole: self.whole, here }
    }

    /// This schema and all it refers to or chooses from.
    fn variants(self) -> Vec<&'a Value> {
        let mut open = vec![self.here];
        let mut found = Vec::new();
        while let Some(schema) = open.pop() {
            let referred = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#'));
            open.extend(referred.and_then(|pointer| self.whole.pointer(pointer)));
            for word in ["anyOf", "oneOf", "allOf"] {
                open.extend(schema.get(word).and_then(Value::as_array).into_iter().flatten());
            }
            found.push(schema);
        }
        found
    }
}

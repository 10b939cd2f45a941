//! JSON as the intake reads it: no duplicate keys at any depth, no NUL, nothing nested without end.
//!
//! The grammar is serde_json's; this module only looks at members one by one as raw text, so that the happy path builds
//! no tree and a refusal can name the place. It must not know what a job is, and no fault repeats a value.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::fmt::Write as _;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Levels a message may nest, itself included. The outcome nests `metadata` one level deeper than the job, and 128 is
/// where common JSON readers stop.
pub(super) const DEPTH_MAX: usize = 120;

const SHOWN_NAME_MAX: usize = 40;
const SHOWN_PATH_MAX: usize = 160;

/// The kind of a JSON value, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// The kind of a value that serde_json has already read; leading white space is allowed.
    pub(super) fn of(raw: &str) -> Option<Self> {
        match raw.trim_ascii_start().as_bytes().first()? {
            b'n' => Some(Self::Null),
            b't' | b'f' => Some(Self::Boolean),
            b'-' | b'0'..=b'9' => Some(Self::Number),
            b'"' => Some(Self::String),
            b'[' => Some(Self::Array),
            b'{' => Some(Self::Object),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// What is wrong with a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadString {
    /// It contains U+0000.
    Nul,
    /// An escape that stands for no character, such as half a surrogate pair.
    Escape,
}

impl fmt::Display for BadString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nul => "contains a NUL character",
            Self::Escape => "contains an escape that stands for no character",
        })
    }
}

/// A value that the strict rules refuse, with the path to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The path, fit to be shown: cut, escaped, long digit runs masked.
    pub(super) path: String,
    /// What is wrong, to be read after the path.
    pub(super) what: String,
}

/// The text of a string value. Borrowed unless it has escapes.
///
/// # Errors
///
/// What is wrong with it. `raw` must be a string that serde_json has read as such.
pub(super) fn string(raw: &str) -> Result<Cow<'_, str>, BadString> {
    let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    match serde_json::from_str::<String>(raw) {
        Ok(text) if text.contains('\0') => Err(BadString::Nul),
        Ok(text) => Ok(Cow::Owned(text)),
        Err(_not_a_character) => Err(BadString::Escape),
    }
}

/// Calls `on_member` with each key and the raw text of its value, duplicates included.
///
/// # Errors
///
/// serde_json's, where `text` is not one JSON object; members before the fault have been seen by then.
pub(super) fn members<'a>(
    text: &'a str,
    on_member: impl FnMut(Cow<'a, str>, &'a str),
) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_map(Members(on_member))?;
    reader.end()
}

/// Holds `raw` and everything inside it against the strict rules. `path` names `raw`, `depth` is the level it stands on.
///
/// # Errors
///
/// The first fault. `raw` must be a value whose grammar serde_json has checked.
pub(super) fn check(raw: &str, path: &Path<'_>, depth: usize) -> Result<(), Fault> {
    match Kind::of(raw) {
        Some(Kind::Object | Kind::Array) if depth > DEPTH_MAX => Err(path.fault("is nested too deeply")),
        Some(Kind::Object) => check_object(raw, path, depth),
        Some(Kind::Array) => check_array(raw, path, depth),
        Some(Kind::String) => string(raw).map(drop).map_err(|bad| path.fault(bad.to_string())),
        Some(Kind::Number) if !is_representable(raw) => Err(path.fault("is a number out of range")),
        _ => Ok(()),
    }
}

fn check_object(raw: &str, path: &Path<'_>, depth: usize) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    let mut first = Ok(());
    let read = members(raw, |key, value| {
        if first.is_ok() {
            let here = Path::Member(path, &key);
            first = if seen.contains(&key) {
                Err(here.fault("appears twice"))
            } else if key.contains('\0') {
                Err(here.fault("has a NUL character in its name"))
            } else {
                check(value, &here, depth + 1)
            };
            seen.insert(key);
        }
    });
    first.and(read.map_err(|error| path.fault(format!("cannot be read: {error}"))))
}

fn check_array(raw: &str, path: &Path<'_>, depth: usize) -> Result<(), Fault> {
    let mut index = 0;
    let mut first = Ok(());
    let mut reader = serde_json::Deserializer::from_str(raw);
    let read = reader.deserialize_seq(Items(|value| {
        if first.is_ok() {
            first = check(value, &Path::Item(path, index), depth + 1);
            index += 1;
        }
    }));
    first.and(read.map_err(|error| path.fault(format!("cannot be read: {error}"))))
}

/// A number that no double can hold is refused: most readers of the outcome could not read it.
fn is_representable(raw: &str) -> bool {
    raw.len() < 20 && !raw.contains(['e', 'E']) || raw.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Where a value stands, kept on the stack.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root(&'a str),
    Member(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl Path<'_> {
    fn fault(&self, what: impl Into<String>) -> Fault {
        let mut path = String::new();
        self.write(&mut path);
        if path.len() > SHOWN_PATH_MAX {
            path.truncate(path.floor_char_boundary(SHOWN_PATH_MAX));
            path.push('…');
        }
        Fault { path, what: what.into() }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Root(name) => out.push_str(name),
            Self::Member(parent, name) => {
                parent.write(out);
                out.push('.');
                out.push_str(&shown(name));
            }
            Self::Item(parent, index) => {
                parent.write(out);
                write!(out, "[{index}]").expect("a string takes any text");
            }
        }
    }
}

/// A name from a message, fit to be shown: escaped, cut, and with long runs of digits masked, since a misplaced value
/// may be somebody's phone number.
pub(super) fn shown(name: &str) -> String {
    let mut out = String::new();
    let mut chars = name.chars();
    for char in chars.by_ref().take(SHOWN_NAME_MAX) {
        out.extend(char.escape_debug());
    }
    if chars.next().is_some() {
        out.push('…');
    }
    if out.bytes().filter(u8::is_ascii_digit).count() >= 5 {
        out = out.chars().map(|char| if char.is_ascii_digit() { '*' } else { char }).collect();
    }
    out
}

struct Members<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de str)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Text)? {
            (self.0)(key, map.next_value::<&RawValue>()?.get());
        }
        Ok(())
    }
}

struct Items<F>(F);

impl<'de, F: FnMut(&'de str)> Visitor<'de> for Items<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<&RawValue>()? {
            (self.0)(value.get());
        }
        Ok(())
    }
}

/// A key, borrowed where it has no escapes; serde's own `Cow` always copies.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(raw: &str) -> Option<(String, String)> {
        check(raw, &Path::Root("metadata"), 2).err().map(|fault| (fault.path, fault.what))
    }

    fn named(path: &str, what: &str) -> Option<(String, String)> {
        Some((path.to_owned(), what.to_owned()))
    }

    #[test]
    fn ordinary_values_pass() {
        for raw in [
            "{}",
            r#"{"a":1,"b":[1,-2.5e3,true,false,null,"x",{"a":1}],"c":{"a":{"a":{}}}}"#,
            r#"{"emoji":"\ud83d\ude00","back":"\\u0000","slash":"\/"}"#,
            r#"{"big":123456789012345678901234567890, "tiny":1e-999}"#,
            " {\n\t\"a\" : [ ] }",
        ] {
            assert_eq!(fault(raw), None, "{raw}");
        }
    }

    #[test]
    fn a_duplicate_is_named_by_its_path_at_any_depth() {
        assert_eq!(fault(r#"{"a":1,"a":1}"#), named("metadata.a", "appears twice"));
        assert_eq!(fault(r#"{"a":[{"b":{}},{"b":{"c":1,"d":2,"c":3}}]}"#), named("metadata.a[1].b.c", "appears twice"));
        assert_eq!(fault(r#"{"a":1,"\u0061":1}"#), named("metadata.a", "appears twice"));
    }

    #[test]
    fn nul_is_found_in_keys_and_values_and_not_in_an_escaped_backslash() {
        assert_eq!(fault(r#"{"a":["x\u0000"]}"#), named("metadata.a[0]", "contains a NUL character"));
        assert_eq!(fault(r#"{"a\u0000":1}"#), named(r"metadata.a\0", "has a NUL character in its name"));
        assert_eq!(fault(r#"{"a":"\\u0000"}"#), None);
    }

    #[test]
    fn half_a_surrogate_pair_is_refused() {
        assert_eq!(fault(r#"{"a":"\ud83d"}"#), named("metadata.a", "contains an escape that stands for no character"));
    }

    #[test]
    fn a_number_beyond_every_double_is_refused() {
        assert_eq!(fault(r#"{"a":1e999}"#), named("metadata.a", "is a number out of range"));
        assert_eq!(fault(&format!(r#"{{"a":{}}}"#, "9".repeat(400))), named("metadata.a", "is a number out of range"));
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(fault(&nested(DEPTH_MAX - 1)), None);
        let (path, what) = fault(&nested(DEPTH_MAX)).expect("one level too many");
        assert_eq!(what, "is nested too deeply");
        assert!(path.starts_with("metadata[0][0]") && path.chars().count() <= SHOWN_PATH_MAX + 1, "{path}");
    }

    #[test]
    fn shown_names_are_short_escaped_and_without_phone_numbers() {
        assert_eq!(shown("notafter"), "notafter");
        assert_eq!(shown("a\n\"b"), "a\\n\\\"b");
        assert_eq!(shown("081234567890"), "************");
        assert_eq!(shown(&"é".repeat(41)), format!("{}…", "é".repeat(40)));
    }

    #[test]
    fn members_before_a_syntax_error_are_still_seen() {
        let mut keys = Vec::new();
        let read = members(r#"{"a":1,"b":{"c":2},"d"#, |key, _raw| keys.push(key));
        assert!(read.is_err());
        assert_eq!(keys, ["a", "b"]);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            "[^\0]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::hash_map("[a-z\"\\\\é]{0,6}", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_serde_json_writes_passes(value in json()) {
            prop_assert_eq!(fault(&value.to_string()), None);
        }

        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let mut count = 0;
            if members(&text, |_key, _raw| count += 1).is_ok() {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
            }
        }
    }
}

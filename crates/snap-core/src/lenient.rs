//! Reads the scalars of a provider's answer, where a string may come as a number. Only from text: the digits of a number
//! are taken as they were written.

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::Private;

/// A string, or a number or boolean as it was written; null is nothing.
///
/// # Errors
/// An array or an object: an answer of that shape is not understood, and must not pass for one without the field.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    // The raw text keeps every digit of a long number, which a float would not.
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    match raw.as_bytes().first() {
        Some(b'"') => unquoted(raw).map(Some).ok_or_else(|| de::Error::custom("unreadable string")),
        Some(b'{' | b'[') | None => Err(de::Error::custom("expected a string or a number")),
        Some(_) if raw == "null" => Ok(None),
        Some(_) => Ok(Some(raw.to_owned())),
    }
}

/// The text of a JSON string, which hardly ever holds an escape.
fn unquoted(raw: &str) -> Option<String> {
    match raw.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.contains('\\') => Some(plain.to_owned()),
        _ => serde_json::from_str(raw).ok(),
    }
}

/// As [`text`], for what must not be shown.
pub(crate) fn private<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Private>, D::Error> {
    Ok(text(deserializer)?.map(Private::from))
}

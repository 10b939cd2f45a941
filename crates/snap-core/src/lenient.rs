//! Reads the scalars of a provider's answer, where a string may come as a number.

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::Private;

/// A string, or a number or boolean as it was written; null is nothing.
///
/// # Errors
/// An array or an object: an answer of that shape is not understood, and must not pass for one without the field.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    // The raw text keeps every digit of a long number, which a float would not.
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let raw = raw.get();
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).map(Some).map_err(|_unquoted| de::Error::custom("unreadable string")),
        Some(b'{' | b'[') | None => Err(de::Error::custom("expected a string or a number")),
        Some(_) if raw == "null" => Ok(None),
        Some(_) => Ok(Some(raw.to_owned())),
    }
}

/// As [`text`], for what must not be shown.
pub(crate) fn private<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Private>, D::Error> {
    Ok(text(deserializer)?.map(Private::from))
}

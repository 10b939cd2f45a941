//! Reads a provider's answer, which may be anything.

use serde::{Deserialize, de::DeserializeOwned};

use crate::{ResponseCode, lenient};

/// A body that is no answer of the kind expected. Carries a position, never the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableAnswer {
    /// Not a JSON object.
    #[error("the answer is not a JSON object")]
    NotAnObject,
    /// Broken JSON, a member twice, or an object or array where a text belongs.
    #[error("the answer is unreadable at line {line} column {column}")]
    At {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
}

/// Reads one of the response models of this crate: unknown members are ignored, missing ones are `None`.
///
/// Never recurses into what it ignores, so depth costs nothing. The caller limits the size.
///
/// # Errors
/// [`UnreadableAnswer`].
pub fn parse_answer<T: DeserializeOwned>(body: &[u8]) -> Result<T, UnreadableAnswer> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(UnreadableAnswer::NotAnObject);
    }
    serde_json::from_slice(body).map_err(|error| UnreadableAnswer::At { line: error.line(), column: error.column() })
}

/// What every answer begins with, whatever the service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerHead {
    /// The response code as answered, even if it is none.
    #[serde(default, deserialize_with = "lenient::text")]
    pub response_code: Option<String>,
    /// For people; never decides anything.
    #[serde(default, deserialize_with = "lenient::text")]
    pub response_message: Option<String>,
}

impl AnswerHead {
    /// The response code, if it is one.
    pub fn code(&self) -> Option<ResponseCode> {
        code(self.response_code.as_deref())
    }
}

pub(crate) fn code(text: Option<&str>) -> Option<ResponseCode> {
    text.and_then(|text| ResponseCode::parse(text).ok())
}

/// The body of a request: compact, members in the order of its model. Sign and send exactly these bytes.
pub(crate) fn body_of(request: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(request).expect("a request model holds nothing but texts and structs")
}

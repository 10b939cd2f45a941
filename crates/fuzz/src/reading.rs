//! JSON and texts read a second time, by the shortest way there is, to hold the parsers' answers against.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value with every member as it stands, those that stand twice included.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool,
    Number,
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    /// The value, as common readers read it.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(crate) fn members(&self) -> &[(String, Self)] {
        if let Self::Object(members) = self { members } else { &[] }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    fn inside(&self) -> Vec<&Self> {
        match self {
            Self::List(items) => items.iter().collect(),
            Self::Object(members) => members.iter().map(|(_, value)| value).collect(),
            _ => Vec::new(),
        }
    }

    /// Some member stands twice in an object, here or deeper.
    pub(crate) fn has_twice(&self) -> bool {
        let members = self.members();
        let here = (1..members.len()).any(|at| members[..at].iter().any(|(key, _)| *key == members[at].0));
        here || self.inside().iter().any(|inner| inner.has_twice())
    }

    /// A NUL stands in a name or a text, here or deeper.
    pub(crate) fn has_nul(&self) -> bool {
        self.text().is_some_and(|text| text.contains('\0'))
            || self.members().iter().any(|(key, _)| key.contains('\0'))
            || self.inside().iter().any(|inner| inner.has_nul())
    }

    /// Levels of objects and lists.
    pub(crate) fn depth(&self) -> usize {
        let is_level = usize::from(matches!(self, Self::List(_) | Self::Object(_)));
        is_level + self.inside().iter().map(|inner| inner.depth()).max().unwrap_or(0)
    }

    /// Every text that stands as a value, here or deeper.
    pub(crate) fn values(&self) -> Vec<&str> {
        self.text().into_iter().chain(self.inside().into_iter().flat_map(Self::values)).collect()
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Bool)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

/// Runs of at least `least` digits, each whole.
pub(crate) fn digit_runs(text: &str, least: usize) -> impl Iterator<Item = &str> {
    text.split(|sign: char| !sign.is_ascii_digit()).filter(move |run| run.len() >= least)
}

/// No run of digits that is as long as a phone number stands in `said` and in `input`.
pub(crate) fn repeats_no_number(said: &str, input: &str) {
    for run in digit_runs(said, 8) {
        assert!(!input.contains(run), "a number of the input came back: {said:?}");
    }
}

/// One line without control characters, short enough to be read.
pub(crate) fn is_fit_to_show(said: &str, longest: usize) {
    assert!(!said.contains(char::is_control), "control characters: {said:?}");
    assert!(said.chars().count() <= longest, "more than {longest} characters: {said:?}");
}

/// Minor units of digits, with a point and decimals or without; decimals beyond two must be zero. Any number of digits.
pub(crate) fn minor_units(text: &str) -> Option<u128> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "00"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = whole == "0" || !whole.starts_with('0');
    if !is_number(whole) || !is_number(decimals) || !is_plain || whole.len() > 30 {
        return None;
    }
    let cents: String = decimals.chars().chain("00".chars()).take(2).collect();
    let rest_is_zero = decimals.bytes().skip(2).all(|byte| byte == b'0');
    rest_is_zero.then(|| format!("{whole}{cents}").parse().ok()).flatten()
}

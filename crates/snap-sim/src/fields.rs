//! The fields of a request body as they are on the wire, right or wrong.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::refusal::Refusal;

/// Every field any of the services looks at.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Fields<'a> {
    #[serde(borrow)]
    pub(crate) grant_type: Text<'a>,
    #[serde(borrow)]
    pub(crate) partner_reference_no: Text<'a>,
    #[serde(borrow)]
    pub(crate) customer_number: Text<'a>,
    #[serde(borrow)]
    pub(crate) customer_name: Text<'a>,
    #[serde(borrow)]
    pub(crate) amount: Object<Money<'a>>,
    #[serde(borrow)]
    pub(crate) fee_amount: Object<Money<'a>>,
    #[serde(borrow)]
    pub(crate) transaction_date: Text<'a>,
    #[serde(borrow)]
    pub(crate) notes: Text<'a>,
    #[serde(borrow)]
    pub(crate) additional_info: Object<Info<'a>>,
    #[serde(borrow)]
    pub(crate) original_partner_reference_no: Text<'a>,
    #[serde(borrow)]
    pub(crate) original_reference_no: Text<'a>,
    #[serde(borrow)]
    pub(crate) original_external_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) service_code: Text<'a>,
}

impl<'a> Fields<'a> {
    /// Reads a body; a body that is no JSON object or names a field twice is a bad request.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice::<Object<Self>>(body) {
            Ok(Object::Here(fields)) => Ok(fields),
            Ok(_) | Err(_) => Err(Refusal::bad_request("body")),
        }
    }
}

/// `value` and `currency`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Money<'a> {
    #[serde(borrow)]
    pub(crate) value: Text<'a>,
    #[serde(borrow)]
    pub(crate) currency: Text<'a>,
}

/// `additionalInfo`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Info<'a> {
    #[serde(borrow)]
    pub(crate) beneficiary_provider: Text<'a>,
    #[serde(borrow)]
    pub(crate) beneficiary_email: Text<'a>,
}

/// A field that should be a string.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    /// Absent or null.
    #[default]
    Missing,
    /// A string.
    Here(Cow<'a, str>),
    /// Something else.
    Wrong,
}

/// A field that should be an object.
#[derive(Debug, Default)]
pub(crate) enum Object<T> {
    /// Absent or null.
    #[default]
    Missing,
    /// An object.
    Here(T),
    /// Something else.
    Wrong,
}

impl<'a> Text<'a> {
    /// A mandatory string of 1 to `max` characters.
    pub(crate) fn required(&self, name: &'static str, max: usize) -> Result<&str, Refusal> {
        self.optional(name, max)?.ok_or(Refusal::missing(name))
    }

    /// An optional string of at most `max` characters; an empty one counts as absent.
    pub(crate) fn optional(&self, name: &'static str, max: usize) -> Result<Option<&str>, Refusal> {
        match self {
            Self::Missing => Ok(None),
            Self::Here(text) if text.is_empty() => Ok(None),
            Self::Here(text) if text.len() <= max || text.chars().count() <= max => Ok(Some(text)),
            Self::Here(_) | Self::Wrong => Err(Refusal::format(name)),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text::Here(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text::Here(Cow::Owned(text.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Text<'de>, E> {
                Ok(Text::Missing)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Text<'de>, E> {
                Ok(Text::Wrong)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Text<'de>, E> {
                Ok(Text::Wrong)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Text<'de>, E> {
                Ok(Text::Wrong)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Text<'de>, E> {
                Ok(Text::Wrong)
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Text<'de>, M::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text::Wrong)
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Text<'de>, S::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text::Wrong)
            }
        }
        from.deserialize_any(Reader)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_str<E>(self, _: &str) -> Result<Object<T>, E> {
                Ok(Object::Wrong)
            }
            fn visit_unit<E>(self) -> Result<Object<T>, E> {
                Ok(Object::Missing)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Object<T>, E> {
                Ok(Object::Wrong)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Object<T>, E> {
                Ok(Object::Wrong)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Object<T>, E> {
                Ok(Object::Wrong)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Object<T>, E> {
                Ok(Object::Wrong)
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Object<T>, M::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Object::Here)
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Object<T>, S::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Object::Wrong)
            }
        }
        from.deserialize_any(Reader(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_there_absent_or_of_another_kind() {
        let fields = Fields::read(br#"{"notes":"a b","customerName":null,"serviceCode":38,"extra":[1],"amount":{"value":"1.00"},"feeAmount":"0.00","additionalInfo":[]}"#).unwrap();
        assert_eq!(fields.notes, Text::Here("a b".into()));
        assert_eq!(fields.customer_name, Text::Missing);
        assert_eq!(fields.transaction_date, Text::Missing);
        assert_eq!(fields.service_code, Text::Wrong);
        assert!(matches!(fields.amount, Object::Here(Money { value: Text::Here(_), currency: Text::Missing })));
        assert!(matches!(fields.fee_amount, Object::Wrong));
        assert!(matches!(fields.additional_info, Object::Wrong));
    }

    #[test]
    fn a_body_that_is_no_object_or_names_a_field_twice_is_a_bad_request() {
        for body in ["", "[]", "\"x\"", "null", "{", r#"{"notes":"a","notes":"b"}"#, "{}x"] {
            assert_eq!(Fields::read(body.as_bytes()).unwrap_err().case.to_string(), "400xx00", "{body}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let text = Text::Here("éé".into());
        assert_eq!(text.required("x", 2), Ok("éé"));
        assert_eq!(text.required("x", 1), Err(Refusal::format("x")));
        assert_eq!(Text::Here("".into()).required("x", 1), Err(Refusal::missing("x")));
        assert_eq!(Text::Wrong.optional("x", 1), Err(Refusal::format("x")));
    }
}

//! To whom an attempt was sent (M14).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An account at a provider, as a digest: 16 hexadecimal digits in every text. What it is a digest of is the caller's to know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(u64);

impl Account {
    /// Hexadecimal digits of the text.
    const DIGITS: usize = 16;

    /// From the first eight bytes of a digest.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }

    /// From its text.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == Self::DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if plain { u64::from_str_radix(text, 16).ok().map(Self) } else { None }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({self})")
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // On the stack: it is written with every record of a job that was sent.
        let mut text = [0; Self::DIGITS];
        for (place, digit) in text.iter_mut().enumerate() {
            let nibble = (self.0 >> (60 - 4 * place)) & 0xf;
            *digit = b"0123456789abcdef"[usize::try_from(nibble).expect("four bits")];
        }
        serializer.serialize_str(std::str::from_utf8(&text).expect("hexadecimal digits"))
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an account"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_written_and_read_as_sixteen_digits() {
        let account = Account::from_bytes([0, 1, 2, 0xab, 4, 5, 6, 0xff]);
        let text = serde_json::to_string(&account).unwrap();
        assert_eq!(text, "\"000102ab040506ff\"");
        assert_eq!(serde_json::from_str::<Account>(&text).unwrap(), account);
        assert_eq!(
            (account.to_string(), format!("{account:?}")),
            (text.trim_matches('"').to_owned(), "Account(000102ab040506ff)".to_owned())
        );
        for bad in ["", "0", "000102ab040506fg", "000102ab040506ff0", "+00102ab040506ff"] {
            assert_eq!(Account::parse(bad), None, "{bad}");
        }
    }
}

//! A text that must not reach a log.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name, phone number, e-mail address or token: goes over the wire as it is, and is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private(String);

impl Private {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text itself, moved out.
    pub fn into_exposed(self) -> String {
        self.0
    }
}

impl From<String> for Private {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Private {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_out_whole_and_shows_nothing() {
        let private = Private::from("BUDI");
        assert_eq!(format!("{private:?}"), "[private]");
        assert_eq!((private.expose(), private.clone().into_exposed().as_str()), ("BUDI", "BUDI"));
        assert_eq!(Private::from("BUDI".to_owned()), private);
    }
}

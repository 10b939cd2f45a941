//! Secrets: where they come from, and the values behind them.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{ConfigError, Environment, Problem};

/// A secret and where it comes from; the value is read when it is asked for.
#[derive(Clone, Debug)]
pub struct Secret {
    config_file: PathBuf,
    key: String,
    source: SecretSource,
    /// Already at hand: the plain text, or the environment's.
    value: Option<SecretString>,
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// It stands in the configuration itself.
    Plain,
    /// The environment variable of this name.
    Env(String),
    /// This file, resolved against the configuration's folder.
    File(PathBuf),
}

/// As it stands in the file.
#[derive(Clone, Debug)]
pub(super) enum RawSecret {
    Plain(SecretString),
    Env(String),
    File(PathBuf),
}

impl Secret {
    pub(super) fn new(raw: RawSecret, key: String, config_file: &Path, environment: &Environment) -> Self {
        let (source, value) = match raw {
            RawSecret::Plain(text) => (SecretSource::Plain, Some(text)),
            RawSecret::Env(name) => {
                let value = environment.get(&name).filter(|value| !value.is_empty()).map(SecretString::from);
                (SecretSource::Env(name), value)
            }
            RawSecret::File(path) => (SecretSource::File(beside(config_file, &path)), None),
        };
        Self { config_file: config_file.to_owned(), key, source, value }
    }

    /// Where it comes from.
    #[must_use]
    pub fn source(&self) -> &SecretSource {
        &self.source
    }

    /// The file that names it.
    pub(super) fn config_file(&self) -> &Path {
        &self.config_file
    }

    /// The key path of the setting.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What was revealed cannot be used; `what` must not repeat it.
    pub(super) fn unusable(&self, what: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        ConfigError::about(&self.config_file, Problem::at(self.key.clone(), what, hint))
    }

    /// The value; one line break at the end of a file does not belong to it.
    ///
    /// # Errors
    /// [`ConfigError`] where the variable is not set or the file cannot be read or is empty.
    pub fn reveal(&self) -> Result<SecretString, ConfigError> {
        let problem = |what: String, hint: String| self.unusable(what, hint);
        match (&self.value, &self.source) {
            (Some(value), _) => Ok(value.clone()),
            (None, SecretSource::Plain) => Err(problem("is empty".to_owned(), "give it a value".to_owned())),
            (None, SecretSource::Env(name)) => Err(problem(
                format!("comes from the environment variable {name}, which is not set"),
                format!("set {name}, or name a file with {{ file = \"…\" }}"),
            )),
            (None, SecretSource::File(path)) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    problem(
                        format!("comes from {}, which cannot be read: {error}", path.display()),
                        "relative paths are relative to the configuration file".to_owned(),
                    )
                })?;
                let line =
                    text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
                if line.is_empty() {
                    let hint = "put the secret there, and nothing else".to_owned();
                    return Err(problem(format!("comes from {}, which is empty", path.display()), hint));
                }
                Ok(SecretString::from(line))
            }
        }
    }
}

/// `path` as the configuration means it: relative to its folder.
pub(super) fn beside(config_file: &Path, path: &Path) -> PathBuf {
    config_file.parent().unwrap_or(Path::new("")).join(path)
}

impl<'de> Deserialize<'de> for RawSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawSecretVisitor)
    }
}

struct RawSecretVisitor;

const EXPECTED: &str = "must be { env = \"NAME\" }, { file = \"path\" } or text in quotes";

/// A secret written without quotes must not come back in a message, so other types are refused by hand.
impl<'de> Visitor<'de> for RawSecretVisitor {
    type Value = RawSecret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RawSecret, E> {
        Ok(RawSecret::Plain(SecretString::from(text)))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<RawSecret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<RawSecret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<RawSecret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawSecret, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            let secret = match key.as_str() {
                "env" => RawSecret::Env(map.next_value()?),
                "file" => RawSecret::File(map.next_value()?),
                _ => return Err(de::Error::custom(EXPECTED)),
            };
            if found.replace(secret).is_some() {
                return Err(de::Error::custom("must have either `env` or `file`, not both"));
            }
        }
        found.ok_or_else(|| de::Error::custom(EXPECTED))
    }
}

impl schemars::JsonSchema for RawSecret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let from = |what: &str, description: &str| {
            serde_json::json!({
                "type": "object",
                "properties": { what: { "type": "string", "description": description } },
                "required": [what],
                "additionalProperties": false,
            })
        };
        schemars::json_schema!({
            "description": "A secret: an environment variable, a file, or (not recommended) the text itself.",
            "anyOf": [
                from("env", "Name of the environment variable."),
                from("file", "Path of the file, relative to the configuration file."),
                { "type": "string" },
            ],
        })
    }
}

//! What is wrong with a configuration, said so that it can be put right.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::output::plain_text;

/// One thing that is wrong. `Display` ends with `hint:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key at fault (`providers.finpay.base_url`); none where it is the file as a whole.
    pub key: Option<String>,
    /// A fragment that fits after the key; repeats no secret.
    pub what: String,
    /// What to do.
    pub hint: String,
    /// The environment variable the value came from, where it did.
    pub set_by: Option<String>,
}

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: PathBuf,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl Problem {
    pub(super) fn at(key: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { key: Some(key.into()), what: what.into(), hint: hint.into(), set_by: None }
    }

    pub(super) fn whole(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { key: None, what: what.into(), hint: hint.into(), set_by: None }
    }
}

impl ConfigError {
    pub(super) fn new(file: &Path, problems: Vec<Problem>) -> Self {
        Self { file: file.to_owned(), problems }
    }

    pub(super) fn about(file: &Path, problem: Problem) -> Self {
        Self::new(file, vec![problem])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names and values of the file are repeated, whatever stands in them.
        if let Some(key) = &self.key {
            write!(f, "{} ", plain_text(key))?;
        }
        f.write_str(&plain_text(&self.what))?;
        if let Some(variable) = &self.set_by {
            write!(f, " (set by {})", plain_text(variable))?;
        }
        write!(f, "\nhint: {}", plain_text(&self.hint))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            let colon = if problem.key.is_some() { ":" } else { "" };
            write!(f, "{separator}{}{colon} {problem}", self.file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// TOML to a table. The parser's own report quotes the line, which may hold a secret; only its words are kept.
pub(super) fn parse_toml(text: &str) -> Result<toml::Table, Problem> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let place = error.span().map_or_else(String::new, |span| {
            let before = text.get(..span.start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!(" at line {line}, column {column}")
        });
        Problem::whole(
            format!("is not TOML{place}: {}", error.message().replace('\n', " ")),
            "text values stand in double quotes, and every key once",
        )
    })
}

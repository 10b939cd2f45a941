//! From what is written to what holds: defaults filled in, values checked, all problems found at once.

mod profile;
mod provider;
mod retention;

pub(super) use retention::asked;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{self, File, Span};
use super::secret::{RawSecret, beside};
use super::unknown_keys::{below, nearest};
use super::{
    AmqpSection, Config, Environment, HttpConfig, LogConfig, LogFormat, LogLevel, Problem, Secret, StoreConfig,
};

const DEFAULT_STORE: &str = "sqlite:worker.db";
const DEFAULT_LISTEN: &str = "127.0.0.1:9464";
/// Written in place of an address where nothing shall listen.
const OFF: &str = "off";

/// The configuration, or everything that is wrong with it.
pub(super) fn resolve(contents: File, file: &Path, environment: &Environment) -> Result<Config, Vec<Problem>> {
    let mut root = Section { path: String::new(), file, environment, problems: Vec::new() };
    check_default_provider(&contents, &mut root);
    let amqp = contents.amqp.and_then(|written| root.below("amqp", |section| amqp(written, section)));
    let store = root.below("store", |section| store(&contents.store, section));
    let http = root.below("http", |section| http(&contents.http, section));
    let mut providers = BTreeMap::new();
    for (name, written) in contents.providers {
        let provider = root.below(&format!("providers.{name}"), |section| provider::resolve(&name, written, section));
        providers.extend(provider.map(|provider| (name, provider)));
    }
    let retention = root.below("store", |section| retention::resolve(&contents.store, &providers, section));
    let (Some(path), Some(http), true) = (store, http, root.problems.is_empty()) else { return Err(root.problems) };
    let store = StoreConfig { path, retention };
    let log = LogConfig {
        level: contents.log.level.unwrap_or(LogLevel::Info),
        format: contents.log.format.unwrap_or(LogFormat::Auto),
    };
    let default_provider = contents.default_provider;
    Ok(Config { file: file.to_owned(), default_provider, amqp, store, http, log, providers })
}

/// One section being resolved.
struct Section<'a> {
    path: String,
    file: &'a Path,
    environment: &'a Environment,
    problems: Vec<Problem>,
}

impl Section<'_> {
    fn below<T>(&mut self, path: &str, resolve: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let path = below(&self.path, path);
        let mut section = Section { path, file: self.file, environment: self.environment, problems: Vec::new() };
        let resolved = resolve(&mut section);
        self.problems.append(&mut section.problems);
        resolved
    }

    fn problem(&mut self, key: &str, what: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::at(below(&self.path, key), what, hint));
    }

    fn required<T>(&mut self, key: &str, value: Option<T>, hint: &str) -> Option<T> {
        if value.is_none() {
            self.problem(key, "is missing", hint);
        }
        value
    }

    fn secret(&self, key: &str, raw: RawSecret) -> Secret {
        Secret::new(raw, below(&self.path, key), self.file, self.environment)
    }

    /// A duration above zero.
    fn span(&mut self, key: &str, written: Option<Span>, default: Duration) -> Duration {
        let span = written.map_or(default, |Span(span)| span);
        if span.is_zero() {
            self.problem(key, "must be longer than zero", "the shortest is \"1ms\"");
        }
        span
    }

    fn range(&mut self, key: &str, value: u32, min: u32, max: u32) {
        if !(min..=max).contains(&value) {
            self.problem(key, format!("is {value}"), format!("it goes from {min} to {max}"));
        }
    }
}

fn check_default_provider(contents: &File, root: &mut Section<'_>) {
    if contents.providers.is_empty() {
        root.problem("providers", "has no provider", "`worker init` writes a section to start from");
        return;
    }
    let names: Vec<&str> = contents.providers.keys().map(String::as_str).collect();
    if let Some(name) = contents.default_provider.as_deref().filter(|name| !names.contains(name)) {
        let hint = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("configured: {}", names.join(", ")),
        };
        root.problem("default_provider", format!("names `{name}`, which is not configured"), hint);
    }
}

fn amqp(written: file::Amqp, section: &mut Section<'_>) -> Option<AmqpSection> {
    let url = section.required("url", written.url, "as amqp://user:password@host:5672/%2f");
    let namespace = written.namespace.unwrap_or_else(|| "topup".to_owned());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if namespace.is_empty() || namespace.len() > 100 || !namespace.bytes().all(plain) || namespace.starts_with("amq.") {
        section.problem(
            "namespace",
            "cannot begin the name of a queue",
            "up to 100 letters, digits, dots, dashes and underscores, not beginning with `amq.`",
        );
    }
    let prefetch = written.prefetch.unwrap_or(128);
    section.range("prefetch", prefetch.into(), 1, u16::MAX.into());
    let url = section.secret("url", url?);
    Some(AmqpSection { url, namespace, prefetch, declare: written.declare.unwrap_or(true) })
}

fn store(written: &file::Store, section: &mut Section<'_>) -> Option<PathBuf> {
    let url = written.url.as_deref().unwrap_or(DEFAULT_STORE);
    let hint = "as \"sqlite:worker.db\"; a relative path is relative to the configuration file";
    let Some(path) = url.strip_prefix("sqlite:") else {
        let what =
            if url.starts_with("postgres") { "is PostgreSQL, which is not supported yet" } else { "is no store" };
        section.problem("url", what, hint);
        return None;
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.starts_with(':') || path.contains('?') {
        section.problem("url", "names no file", hint);
        return None;
    }
    Some(beside(section.file, Path::new(path)))
}

fn http(written: &file::Http, section: &mut Section<'_>) -> Option<HttpConfig> {
    let listen = written.listen.as_deref().unwrap_or(DEFAULT_LISTEN);
    if listen == OFF {
        return Some(HttpConfig { listen: None });
    }
    match listen.parse::<SocketAddr>() {
        Ok(listen) => Some(HttpConfig { listen: Some(listen) }),
        Err(_unreadable) => {
            section.problem("listen", "is no address with a port", "as \"127.0.0.1:9464\", or \"off\"");
            None
        }
    }
}

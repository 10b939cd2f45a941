//! Log lines: text on a terminal, JSON otherwise, always on stderr. Only our own crates follow the configured level;
//! what libraries say below a warning is not logged, since nobody here decides what stands in it.

use std::io::IsTerminal as _;

use snap_core::Timestamp;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::clock::Clock;
use crate::config::{LogConfig, LogFormat, LogLevel};

/// Our crates.
const OURS: [&str; 6] = ["engine", "outbox", "snap_client", "snap_core", "snap_sim", "worker"];

/// What a command that is no service logs by itself: warnings, as text.
pub const FOR_COMMANDS: LogConfig = LogConfig { level: LogLevel::Warn, format: LogFormat::Text };

/// Starts logging for the whole process; `verbose` is how often `-v` was given. A second start changes nothing.
pub fn start(config: LogConfig, verbose: u8, color: bool) {
    let layer = fmt::layer().with_writer(std::io::stderr).with_timer(JakartaTime(Clock::start()));
    let filter = filter(config.level, verbose);
    let is_text = match config.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let registry = tracing_subscriber::registry();
    let started = if is_text {
        registry.with(layer.with_ansi(color).with_filter(filter)).try_init()
    } else {
        registry.with(layer.json().flatten_event(true).with_filter(filter)).try_init()
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

fn filter(level: LogLevel, verbose: u8) -> Targets {
    let level = raised(level, verbose);
    let others = level.min(LevelFilter::WARN);
    // What lapin has to say we say ourselves, in our words and once.
    let lapin = if verbose == 0 { LevelFilter::OFF } else { others };
    let libraries = Targets::new().with_default(others).with_target("lapin", lapin);
    OURS.iter().fold(libraries, |targets, ours| targets.with_target(*ours, level))
}

fn raised(level: LogLevel, verbose: u8) -> LevelFilter {
    const LEVELS: [LevelFilter; 5] =
        [LevelFilter::ERROR, LevelFilter::WARN, LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::TRACE];
    let place = match level {
        LogLevel::Error => 0,
        LogLevel::Warn => 1,
        LogLevel::Info => 2,
        LogLevel::Debug => 3,
        LogLevel::Trace => 4,
    };
    LEVELS[(place + usize::from(verbose)).min(LEVELS.len() - 1)]
}

/// The time as everywhere else: RFC 3339 in Jakarta.
struct JakartaTime(Clock);

impl FormatTime for JakartaTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        let now: Timestamp = self.0.wall();
        writer.write_str(&now.to_rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn each_v_is_one_level_more_up_to_the_last() {
        let levels = [0, 1, 2, 9].map(|verbose| raised(LogLevel::Info, verbose));
        assert_eq!(levels, [LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::TRACE, LevelFilter::TRACE]);
        assert_eq!(raised(LogLevel::Error, 0), LevelFilter::ERROR);
    }

    #[test]
    fn libraries_are_heard_from_warnings_up_only() {
        let filter = filter(LogLevel::Info, 2);
        assert!(filter.would_enable("worker::drive", &Level::TRACE));
        assert!(filter.would_enable("outbox::writer", &Level::TRACE));
        assert!(filter.would_enable("lapin::channel", &Level::WARN));
        assert!(!filter.would_enable("lapin::channel", &Level::INFO));
        assert!(!filter.would_enable("reqwest", &Level::DEBUG));
        assert!(!filter.would_enable("hyper_util::client", &Level::TRACE));
    }

    #[test]
    fn lapin_is_quiet_until_somebody_asks() {
        assert!(!filter(LogLevel::Info, 0).would_enable("lapin::channels", &Level::ERROR));
        assert!(filter(LogLevel::Info, 1).would_enable("lapin::channels", &Level::ERROR));
    }

    #[test]
    fn a_quieter_level_holds_for_libraries_too() {
        assert!(!filter(LogLevel::Error, 0).would_enable("lapin", &Level::WARN));
    }
}

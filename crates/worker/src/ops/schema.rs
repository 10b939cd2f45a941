//! `worker schema`: the JSON Schemas (2020-12) of what goes in and what comes out.
//!
//! The schemas of job and outcome are documents under `schema/`, written for people who write producers and consumers;
//! tests hold them against what the worker takes and sends.

use serde_json::Value;

const JOB: &str = include_str!("../../schema/job.json");
const OUTCOME: &str = include_str!("../../schema/outcome.json");

/// Which schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Document {
    /// The job message a producer publishes.
    Job,
    /// The outcome event the worker publishes.
    Outcome,
    /// The configuration file.
    Config,
}

/// The schema of a document; `config` makes the one of the configuration, which is derived from its types.
pub fn schema(which: Document, config: impl FnOnce() -> Value) -> Value {
    let text = match which {
        Document::Job => JOB,
        Document::Outcome => OUTCOME,
        Document::Config => return config(),
    };
    serde_json::from_str(text).expect("a schema compiled in is JSON, which a test shows")
}

#[cfg(test)]
mod tests;

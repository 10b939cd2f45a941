//! What a producer hands in: one JSON object, an array, or one object a line; and what is wrong with it.

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;

use outbox::JobRequest;
use serde_json::value::RawValue;

use crate::exit::CommandError;
use crate::message::{self, Providers};

/// Problems told one by one; more are only counted.
const TOLD: usize = 20;

/// One job to send.
#[derive(Debug)]
pub(super) struct Job {
    /// Where it begins.
    pub(super) line: usize,
    /// Its bytes as handed in.
    pub(super) body: Vec<u8>,
    /// What they ask for.
    pub(super) request: JobRequest,
}

/// Jobs that cannot be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct InputError {
    /// The file as it was named.
    file: String,
    /// Line and what is wrong there, which names the field.
    problems: Vec<(usize, String)>,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be submitted", self.file)?;
        for (line, problem) in self.problems.iter().take(TOLD) {
            write!(f, "\n  line {line}: {problem}")?;
        }
        match self.problems.len().saturating_sub(TOLD) {
            0 => Ok(()),
            more => write!(f, "\n  … and {more} more"),
        }
    }
}

impl std::error::Error for InputError {}

/// The whole file; `-` is stdin.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        read.map_err(|source| CommandError::io("read stdin", source))?;
    } else {
        bytes = std::fs::read(file).map_err(|source| CommandError::io(format!("read {}", file.display()), source))?;
    }
    Ok(bytes)
}

/// The jobs of a file, each of them valid and each key used once.
pub(super) fn jobs(file: &Path, bytes: &[u8], providers: &Providers) -> Result<Vec<Job>, InputError> {
    let wrong = |problems| InputError { file: name(file), problems };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = line_of(bytes, error.valid_up_to());
        wrong(vec![(line, "is not UTF-8".to_owned())])
    })?;
    let pieces = split(text).map_err(|problem| wrong(vec![problem]))?;
    let (mut jobs, mut problems) = (Vec::with_capacity(pieces.len()), Vec::new());
    for Piece { line, text } in pieces {
        match message::parse(text.as_bytes(), None, providers) {
            Ok(request) => jobs.push(Job { line, body: text.as_bytes().to_vec(), request }),
            Err(refused) => problems.push((line, refused.detail)),
        }
    }
    if jobs.is_empty() && problems.is_empty() {
        problems.push((1, "there is no job in it".to_owned()));
    }
    problems.extend(repeated(&jobs));
    problems.sort();
    if problems.is_empty() { Ok(jobs) } else { Err(wrong(problems)) }
}

/// A key that is used twice would certainly end as a conflict, or was meant to be another one.
fn repeated(jobs: &[Job]) -> Vec<(usize, String)> {
    let mut seen = HashMap::with_capacity(jobs.len());
    let mut problems = Vec::new();
    for job in jobs {
        if let Some(first) = seen.insert(job.request.partner_reference_no.as_str(), job.line) {
            problems.push((job.line, format!("partnerReferenceNo is the same as on line {first}")));
        }
    }
    problems
}

fn name(file: &Path) -> String {
    if file == Path::new("-") { "stdin".to_owned() } else { file.display().to_string() }
}

/// One job's text, and the line it begins on.
struct Piece<'a> {
    line: usize,
    text: &'a str,
}

fn split(text: &str) -> Result<Vec<Piece<'_>>, (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let starts_with = |first: char| text.trim_start().starts_with(first);
    if starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        return Ok(items.into_iter().map(|item| piece(text, item.get())).collect());
    }
    if is_one_object_over_several_lines(text) {
        return match serde_json::from_str::<&RawValue>(text) {
            Ok(object) => Ok(vec![piece(text, object.get())]),
            Err(error) => Err(not_json(&error)),
        };
    }
    let lines = text.lines().enumerate().map(|(index, line)| Piece { line: index + 1, text: line.trim() });
    Ok(lines.filter(|line| !line.text.is_empty()).collect())
}

/// Lines of JSON Lines are whole objects: where the first one is not, but goes on further down, it is one document.
fn is_one_object_over_several_lines(text: &str) -> bool {
    let first = text.trim_start().lines().next().unwrap_or_default();
    !first.is_empty() && serde_json::from_str::<&RawValue>(first).is_err_and(|error| error.is_eof())
}

fn piece<'a>(whole: &str, part: &'a str) -> Piece<'a> {
    // Both are slices of one text.
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    Piece { line: line_of(whole.as_bytes(), start), text: part }
}

fn line_of(bytes: &[u8], place: usize) -> usize {
    bytes.iter().take(place).filter(|byte| **byte == b'\n').count() + 1
}

fn not_json(error: &serde_json::Error) -> (usize, String) {
    let text = error.to_string();
    // The place stands before it already.
    let what = text.split(" at line ").next().unwrap_or_default();
    (error.line().max(1), format!("is not JSON: {what} (column {})", error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ProviderRule;

    fn providers() -> Providers {
        Providers::new(vec![ProviderRule { name: "finpay".into(), needs_beneficiary_provider: false }], None)
    }

    fn job(reference: &str, amount: &str) -> String {
        format!(
            r#"{{"partnerReferenceNo":"{reference}","customerNumber":"081977817902","amount":{{"value":"{amount}","currency":"IDR"}}}}"#
        )
    }

    fn read(text: &str) -> Result<Vec<(usize, String)>, InputError> {
        let jobs = jobs(Path::new("jobs.jsonl"), text.as_bytes(), &providers())?;
        Ok(jobs.into_iter().map(|job| (job.line, job.request.partner_reference_no.to_string())).collect())
    }

    fn problems(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn an_object_an_array_and_lines_are_read() {
        let (a, b) = (job("A-1", "10000.00"), job("A-2", "20000.00"));
        let both = vec![(1, "A-1".to_owned()), (2, "A-2".to_owned())];
        assert_eq!(read(&a).unwrap(), both[..1]);
        assert_eq!(read(&format!("{a}\n{b}\n")).unwrap(), both);
        assert_eq!(read(&format!("{a}\r\n\r\n  {b}\r\n")).unwrap()[1].0, 3);
        assert_eq!(read(&format!("[{a},\n {b}]")).unwrap(), both);
        assert_eq!(read(&format!("\u{feff}{a}")).unwrap(), both[..1]);
        let spread = a.replace(',', ",\n  ").replace('{', "{\n  ");
        assert_eq!(read(&format!("\n{spread}\n")).unwrap(), [(2, "A-1".to_owned())]);
    }

    #[test]
    fn every_problem_is_told_with_its_line_and_field() {
        let text = format!("{}\n{}\n{{\"x\":1}}\nnot json\n", job("A-1", "10000.00"), job("A-2", "10000"));
        let told = problems(&text);
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines[0], "jobs.jsonl cannot be submitted");
        assert!(lines[1].starts_with("  line 2: amount.value"), "{told}");
        assert!(lines[2].starts_with("  line 3: ") && lines[2].contains('x'), "{told}");
        assert!(lines[3].starts_with("  line 4: "), "{told}");
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn a_key_is_used_once_in_a_file() {
        let text = format!("{}\n{}\n", job("A-1", "10000.00"), job("A-1", "20000.00"));
        assert!(problems(&text).contains("line 2: partnerReferenceNo is the same as on line 1"));
    }

    #[test]
    fn what_is_no_list_of_jobs_says_where_it_breaks() {
        assert!(problems("").contains("line 1: there is no job in it"));
        assert!(problems("[]").contains("line 1: there is no job in it"));
        assert!(problems("[{\"a\":1},\n{\"b\":}]").contains("line 2: is not JSON"));
        assert!(problems("{\n\"a\": 1,\n\"b\": }").contains("line 3: is not JSON"));
        let error = jobs(Path::new("-"), b"{}\n\xff", &providers()).unwrap_err();
        assert_eq!(error.to_string(), "stdin cannot be submitted\n  line 2: is not UTF-8");
    }

    #[test]
    fn many_problems_are_counted_only() {
        let text = "{}\n".repeat(25);
        assert!(problems(&text).ends_with("… and 5 more"));
    }
}

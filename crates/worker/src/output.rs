//! Data on stdout in one of three forms, talk on stderr.

mod human;
mod table;

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;

use crate::cli::{Color, Format};

pub use human::{age, counted, moment, plain_text, rupiah, time_of_day};
pub use table::{Cell, Column, Table, Tone};

/// Where a command's data and talk go, and in which form.
#[derive(Debug)]
pub struct Output {
    format: Format,
    color: bool,
    sink: Sink,
    reader_left: AtomicBool,
}

#[derive(Debug)]
enum Sink {
    Process,
    /// What was written, and what was said.
    Memory(Mutex<(String, String)>),
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Yes.
    Yes,
    /// Anything else.
    No,
    /// There is no terminal.
    NobodyThere,
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[derive(Serialize)]
struct Page<'a, T> {
    items: &'a [T],
    next: Option<&'a str>,
}

impl Output {
    /// To stdout and stderr; coloured where asked for, or where stdout is a terminal.
    #[must_use]
    pub fn new(format: Format, color: Color) -> Self {
        Self {
            format,
            color: color.is_wanted(std::io::stdout().is_terminal()),
            sink: Sink::Process,
            reader_left: AtomicBool::new(false),
        }
    }

    /// To memory, uncoloured, to be looked at with [`Output::written`] and [`Output::said`].
    #[must_use]
    pub fn captured(format: Format) -> Self {
        Self { format, color: false, sink: Sink::Memory(Mutex::default()), reader_left: AtomicBool::new(false) }
    }

    /// What went to stdout, of a captured output.
    #[must_use]
    pub fn written(&self) -> String {
        self.memory(|(written, _)| written.clone())
    }

    /// What went to stderr, of a captured output.
    #[must_use]
    pub fn said(&self) -> String {
        self.memory(|(_, said)| said.clone())
    }

    fn memory<T: Default>(&self, read: impl FnOnce(&(String, String)) -> T) -> T {
        match &self.sink {
            Sink::Process => T::default(),
            Sink::Memory(memory) => read(&memory.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// The form asked for.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Whether whoever read stdout has gone: what goes on writing may stop.
    #[must_use]
    pub fn reader_left(&self) -> bool {
        self.reader_left.load(Ordering::Relaxed)
    }

    /// Whether it goes to the process's own stdout.
    #[must_use]
    pub const fn is_process(&self) -> bool {
        matches!(self.sink, Sink::Process)
    }

    /// Whether text for people may be coloured.
    #[must_use]
    pub const fn color(&self) -> bool {
        self.color
    }

    /// One object: as text for people, as JSON, or as JSON on one line.
    ///
    /// # Errors
    /// What stdout says; a reader that went away is none.
    pub fn object<T: Serialize>(&self, object: &T, text: impl FnOnce() -> String) -> std::io::Result<()> {
        match self.format {
            Format::Table => self.write(&text()),
            Format::Json => self.write(&(serde_json::to_string_pretty(object)? + "\n")),
            Format::Jsonl => self.write(&(serde_json::to_string(object)? + "\n")),
        }
    }

    /// A list: as a table, as `{items, next}`, or as one object a line. `what` names the items where there are none.
    ///
    /// # Errors
    /// What stdout says; a reader that went away is none.
    pub fn list<T: Serialize>(
        &self,
        what: &str,
        items: &[T],
        next: Option<&str>,
        table: impl FnOnce() -> Table,
    ) -> std::io::Result<()> {
        match self.format {
            Format::Json => return self.write(&(serde_json::to_string_pretty(&Page { items, next })? + "\n")),
            Format::Jsonl => {
                let lines: Result<Vec<String>, _> = items.iter().map(serde_json::to_string).collect();
                self.write(&lines?.into_iter().map(|line| line + "\n").collect::<String>())?;
            }
            Format::Table if items.is_empty() => self.say(&format!("no {what}")),
            Format::Table => self.write(&table().render(self.color))?,
        }
        if let Some(next) = next {
            self.say(&format!("there are more: --after {next}"));
        }
        Ok(())
    }

    /// Data as it is, whatever the form.
    ///
    /// # Errors
    /// What stdout says; a reader that went away is none.
    pub fn write(&self, text: &str) -> std::io::Result<()> {
        match &self.sink {
            Sink::Process => {
                let mut stdout = std::io::stdout().lock();
                match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
                    // `worker jobs list | head` is no failure.
                    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                        self.reader_left.store(true, Ordering::Relaxed);
                        Ok(())
                    }
                    written => written,
                }
            }
            Sink::Memory(memory) => {
                memory.lock().unwrap_or_else(PoisonError::into_inner).0.push_str(text);
                Ok(())
            }
        }
    }

    /// A line of talk.
    pub fn say(&self, line: &str) {
        match &self.sink {
            // Nobody is left to be told where stderr is closed.
            Sink::Process => drop(writeln!(std::io::stderr().lock(), "{line}")),
            Sink::Memory(memory) => {
                let said = &mut memory.lock().unwrap_or_else(PoisonError::into_inner).1;
                said.push_str(line);
                said.push('\n');
            }
        }
    }

    /// Asks a question on the terminal; whatever is not a yes is a no.
    #[must_use]
    pub fn ask(&self, question: &str) -> Answered {
        let is_there = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if matches!(self.sink, Sink::Memory(_)) || !is_there {
            return Answered::NobodyThere;
        }
        let mut line = String::new();
        let asked = write!(std::io::stderr().lock(), "{question} [y/N] ");
        match asked.and_then(|()| std::io::stdin().read_line(&mut line)) {
            Ok(_) if is_yes(&line) => Answered::Yes,
            _ => Answered::No,
        }
    }

    /// A bar on stderr that counts to `total`; hidden where stderr is no terminal.
    #[must_use]
    pub fn progress(&self, total: u64, what: &str) -> ProgressBar {
        let is_shown = matches!(self.sink, Sink::Process) && std::io::stderr().is_terminal();
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let template = format!("{what} [{{bar:30}}] {{human_pos}}/{{human_len}} {{pace}} {{eta}}");
        let style = ProgressStyle::with_template(&template).expect("the template is one, which a test shows").with_key(
            "pace",
            |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                write!(text, "{:.0}/s", state.per_sec()).expect("a bar's text takes everything");
            },
        );
        ProgressBar::with_draw_target(Some(total), target).with_style(style.progress_chars("=> "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Item {
        name: &'static str,
    }

    const ITEMS: [Item; 2] = [Item { name: "a" }, Item { name: "b" }];

    fn table() -> Table {
        let mut table = Table::new([Column::left("NAME")]);
        table.row([Cell::new("a")]);
        table.row([Cell::new("b")]);
        table
    }

    #[test]
    fn a_list_has_three_forms() {
        let written = |format| {
            let output = Output::captured(format);
            output.list("names", &ITEMS, Some("b"), table).unwrap();
            (output.written(), output.said())
        };
        assert_eq!(written(Format::Table), ("NAME\na\nb\n".to_owned(), "there are more: --after b\n".to_owned()));
        let (json, said) = written(Format::Json);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json, serde_json::json!({ "items": [{ "name": "a" }, { "name": "b" }], "next": "b" }));
        assert_eq!(said, "");
        assert_eq!(written(Format::Jsonl).0, "{\"name\":\"a\"}\n{\"name\":\"b\"}\n");
    }

    #[test]
    fn an_empty_list_is_still_a_list_to_a_machine() {
        let written = |format| {
            let output = Output::captured(format);
            output.list::<Item>("names", &[], None, table).unwrap();
            (output.written(), output.said())
        };
        assert_eq!(written(Format::Table), (String::new(), "no names\n".to_owned()));
        assert_eq!(written(Format::Json).0, "{\n  \"items\": [],\n  \"next\": null\n}\n");
        assert_eq!(written(Format::Jsonl).0, "");
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(["y\n", "Y", " yes \n"].into_iter().all(is_yes));
        assert!(["", "\n", "n\n", "yep\n", "ja\n"].into_iter().all(|line| !is_yes(line)));
    }

    #[test]
    fn a_bar_counts_whether_or_not_it_is_seen() {
        let bar = Output::captured(Format::Table).progress(10, "sending");
        bar.inc(3);
        assert_eq!((bar.position(), bar.length()), (3, Some(10)));
    }
}

//! The counts as tables.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;

use super::{CRASHES, Fault, NETWORK, Point, Row, Table, Technique, row_of};

/// As wide as the longest row's name.
const NAME: usize = 40;

/// What was executed, added up.
#[derive(Debug, Default)]
pub struct Report {
    cells: BTreeMap<(&'static str, Fault), u64>,
    techniques: BTreeMap<Technique, u64>,
}

impl Report {
    /// Adds up what the tests wrote into this directory.
    ///
    /// # Errors
    /// It cannot be read, or holds a line that is no count; says which.
    pub fn read(directory: &Path) -> Result<Self, String> {
        let mut report = Self::default();
        let fail = |path: &Path, error: &dyn fmt::Display| format!("{}: {error}", path.display());
        for entry in std::fs::read_dir(directory).map_err(|error| fail(directory, &error))? {
            let path = entry.map_err(|error| fail(directory, &error))?.path();
            if path.extension().is_some_and(|extension| extension == "counts") {
                let text = std::fs::read_to_string(&path).map_err(|error| fail(&path, &error))?;
                for line in text.lines() {
                    report.add(line).ok_or_else(|| fail(&path, &format!("not a count: {line}")))?;
                }
            }
        }
        Ok(report)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let (point, fault) = (Point::of(words.next()?)?, Fault::of(words.next()?)?);
        let (by, count) = (Technique::of(words.next()?)?, words.next()?.parse::<u64>().ok()?);
        *self.cells.entry((row_of(point, fault)?.number, fault)).or_default() += count;
        *self.techniques.entry(by).or_default() += count;
        Some(())
    }

    /// How often this cell was executed.
    pub fn count(&self, row: &Row, fault: Fault) -> u64 {
        self.cells.get(&(row.number, fault)).copied().unwrap_or(0)
    }

    /// The faults of this row that were not executed.
    fn empty(&self, row: &Row) -> Vec<Fault> {
        row.faults.iter().copied().filter(|&fault| self.count(row, fault) == 0).collect()
    }

    /// How many cells were executed, and how many there are.
    pub fn filled(&self) -> (usize, usize) {
        let rows = || CRASHES.rows.iter().chain(NETWORK.rows);
        let all: usize = rows().map(|row| row.faults.len()).sum();
        (all - rows().map(|row| self.empty(row).len()).sum::<usize>(), all)
    }

    fn table(&self, table: &Table) -> String {
        let mut text = format!("{:<5} {:<NAME$}", "", table.title);
        let mut put = |what: fmt::Arguments<'_>| text.write_fmt(what).expect("a string takes text");
        for fault in table.faults {
            put(format_args!(" {:>5}", fault.word()));
        }
        for row in table.rows {
            put(format_args!("\n{:<5} {:<NAME$}", row.number, row.name));
            for &fault in table.faults {
                let told = if row.faults.contains(&fault) { short(self.count(row, fault)) } else { "-".to_owned() };
                put(format_args!(" {told:>5}"));
            }
        }
        text
    }
}

/// In at most five characters.
fn short(count: u64) -> String {
    match count {
        0..100_000 => count.to_string(),
        100_000..10_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in [&CRASHES, &NETWORK] {
            writeln!(out, "{}\n", self.table(table))?;
        }
        writeln!(out, "K kill -9 · S SIGTERM · P power loss · D disk full · I I/O error · C clock jump")?;
        writeln!(out, "Z second or held process · U delivered again · R broker down · N half open · B blocked")?;
        writeln!(out, "T provider silent · X 5xx or reset · G garbage · A 401 · M 429 · Q 409")?;
        writeln!(out, "0 not executed · - no such cell\n")?;
        let (filled, all) = self.filled();
        writeln!(out, "{filled} of {all} cells, {} faults", self.cells.values().sum::<u64>())?;
        for (by, count) in &self.techniques {
            writeln!(out, "   {:<13} {count}", by.word())?;
        }
        if filled < all {
            writeln!(out, "\nempty, and what would execute them:")?;
        }
        for row in CRASHES.rows.iter().chain(NETWORK.rows) {
            let empty = self.empty(row);
            if !empty.is_empty() {
                let faults: Vec<&str> = empty.iter().map(|fault| fault.word()).collect();
                let mut by: Vec<Technique> = empty.iter().flat_map(|&fault| row.techniques(fault)).copied().collect();
                by.sort_unstable();
                by.dedup();
                let by: Vec<&str> = by.into_iter().map(Technique::word).collect();
                writeln!(out, "{:<5} {:<16} {}", row.number, faults.join(" "), by.join(" "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;

    #[test]
    fn what_was_executed_is_added_up_and_what_was_not_is_named() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), Point::TopUpSent, Fault::Kill, Technique::Simulation, 3);
        write(directory.path(), Point::TopUpSent, Fault::Kill, Technique::SystemCalls, 4);
        write(directory.path(), Point::TopUpAnswered, Fault::Timeout, Technique::Provider, 1);
        // No cell, and nothing that happened.
        write(directory.path(), Point::Published, Fault::Duplicate, Technique::Simulation, 9);
        write(directory.path(), Point::Delivered, Fault::Kill, Technique::Simulation, 0);
        std::fs::write(directory.path().join("other"), "not ours").unwrap();

        let report = Report::read(directory.path()).unwrap();

        let top_up = row_of(Point::TopUpSent, Fault::Kill).unwrap();
        assert_eq!(report.count(top_up, Fault::Kill), 7);
        assert_eq!(report.filled(), (2, 236));
        let told = report.to_string();
        assert!(told.contains("2 of 236 cells, 8 faults"), "{told}");
        assert!(told.lines().any(|line| line.starts_with("11    S P D I C Z U")), "{told}");
        assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    }

    #[test]
    fn a_full_matrix_has_nothing_to_name_and_fits_its_width() {
        let mut report = Report::default();
        for row in CRASHES.rows.iter().chain(NETWORK.rows) {
            for fault in row.faults {
                report.add(&format!("{} {} simulation 123456789", row.points[0].word(), fault.word())).unwrap();
            }
        }
        assert_eq!(report.filled(), (236, 236));
        let told = report.to_string();
        assert!(!told.contains("empty"), "{told}");
        assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    }

    #[test]
    fn a_line_that_is_no_count_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        for line in
            ["delivered K simulation", "delivered K magic 1", "nowhere K simulation 1", "published U simulation 1"]
        {
            std::fs::write(directory.path().join("1.counts"), line).unwrap();
            assert!(Report::read(directory.path()).unwrap_err().contains(line), "{line}");
        }
    }
}

//! The figures that must be reached. Ratios within a run hold on any machine; the few absolute ones are generous.

use serde::Serialize;

/// One figure, what it must be, and what it should be.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bar {
    /// What is measured.
    pub(crate) what: String,
    /// What came out.
    pub(crate) measured: f64,
    /// What it must be.
    pub(crate) must: f64,
    /// What it should be.
    pub(crate) aim: f64,
    /// Whether more is worse.
    at_most: bool,
}

impl Bar {
    /// The figure must not be smaller; nothing where it was not measured.
    pub(crate) fn at_least(what: &str, measured: Option<f64>, must: f64, aim: f64) -> Option<Self> {
        measured.map(|measured| Self { what: what.to_owned(), measured, must, aim, at_most: false })
    }

    /// The figure must not be larger; nothing where it was not measured.
    pub(crate) fn at_most(what: &str, measured: Option<f64>, must: f64, aim: f64) -> Option<Self> {
        measured.map(|measured| Self { what: what.to_owned(), measured, must, aim, at_most: true })
    }

    /// Whether it is what it must be.
    pub(crate) fn is_reached(&self) -> bool {
        self.reaches(self.must)
    }

    /// How the two limits are written.
    pub(crate) fn limits(&self) -> (String, String) {
        let sign = if self.at_most { '≤' } else { '≥' };
        (format!("{sign} {}", self.must), format!("{sign} {}", self.aim))
    }

    /// In one word.
    pub(crate) fn verdict(&self) -> &'static str {
        match (self.is_reached(), self.reaches(self.aim)) {
            (true, true) => "aim reached",
            (true, false) => "reached",
            (false, _) => "MISSED",
        }
    }

    fn reaches(&self, limit: f64) -> bool {
        if self.at_most { self.measured <= limit } else { self.measured >= limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_missed_reached_or_more() {
        let verdict = |bar: Option<Bar>| bar.unwrap().verdict();
        assert_eq!(verdict(Bar::at_least("x", Some(0.84), 0.85, 1.0)), "MISSED");
        assert_eq!(verdict(Bar::at_least("x", Some(0.85), 0.85, 1.0)), "reached");
        assert_eq!(verdict(Bar::at_least("x", Some(1.1), 0.85, 1.0)), "aim reached");
        assert_eq!(verdict(Bar::at_most("x", Some(41.0), 40.0, 24.0)), "MISSED");
        assert_eq!(verdict(Bar::at_most("x", Some(20.0), 40.0, 24.0)), "aim reached");
        assert!(Bar::at_least("x", None, 0.0, 0.0).is_none());
    }
}

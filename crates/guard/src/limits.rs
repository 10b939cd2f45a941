//! The table of limits: what each step is expected to take, and how much more it may take.

use std::fmt;
use std::str::FromStr;

/// With other compilers than the table was made with, so much more is allowed at least, in per cent.
pub(crate) const OTHER_COMPILER_PERCENT: u64 = 35;
/// Below so many per mille of what is expected, the limit is of no use any more.
const FAR_BELOW_PER_MILLE: u64 = 800;

const HEAD: &str = "\
# The instructions of each step, and how many per cent more it may take: see \"Guard\" in docs/performance.md.
# Made anew, with what is allowed left as it is, by: cargo run --profile guard -p guard -- check --write
";

/// The table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// With which compilers it was made.
    pub(crate) made: Made,
    /// Its rows.
    pub(crate) steps: Vec<Limit>,
}

/// The compilers that code came from, each as it names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// The Rust one.
    pub(crate) rustc: String,
    /// The C one: of SQLite and a part of the cryptography.
    pub(crate) cc: String,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Of which step.
    pub(crate) step: String,
    /// Instructions of one step.
    pub(crate) expected: u64,
    /// How much more is allowed.
    pub(crate) percent: u64,
}

/// What a count is, beside its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it should be.
    Within,
    /// So far below that the limit would not notice much any more.
    FarBelow,
    /// Too many.
    Above,
}

/// A table that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitsError {
    #[error("line {0} is none of `rustc = …`, `cc = …` and `STEP INSTRUCTIONS +PERCENT %`")]
    Line(usize),
    #[error("it does not say which {0} it was made with")]
    Unmade(&'static str),
    #[error("{0} is there twice")]
    Twice(String),
}

/// Counts as a share of others, in thousandths, spelled as a decimal fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ratio(u64);

impl Made {
    /// The compilers of this very program.
    pub(crate) fn here() -> Self {
        Self { rustc: env!("GUARD_RUSTC").to_owned(), cc: env!("GUARD_CC").to_owned() }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", self.rustc, self.cc)
    }
}

impl Limit {
    /// How much more is allowed, in per cent; `widened` with other compilers.
    pub(crate) fn allowed_percent(&self, widened: bool) -> u64 {
        if widened { self.percent.max(OTHER_COMPILER_PERCENT) } else { self.percent }
    }

    /// What `measured` instructions are.
    pub(crate) fn verdict(&self, measured: u64, widened: bool) -> Verdict {
        let [measured, expected] = [measured, self.expected].map(u128::from);
        if measured * 100 > expected * u128::from(self.allowed_percent(widened).saturating_add(100)) {
            Verdict::Above
        } else if measured * 1000 < expected * u128::from(FAR_BELOW_PER_MILLE) {
            Verdict::FarBelow
        } else {
            Verdict::Within
        }
    }

    /// `measured` instructions as a share of the expected ones, rounded.
    pub(crate) fn ratio(&self, measured: u64) -> Ratio {
        let expected = self.expected.max(1);
        Ratio(measured.saturating_mul(1000).saturating_add(expected / 2) / expected)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:03}", self.0 / 1000, self.0 % 1000))
    }
}

impl Limits {
    /// The row of a step.
    pub(crate) fn of(&self, step: &str) -> Option<&Limit> {
        self.steps.iter().find(|limit| limit.step == step)
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}rustc = {}\ncc = {}\n", self.made.rustc, self.made.cc)?;
        self.steps.iter().try_for_each(|limit| {
            let Limit { step, expected, percent } = limit;
            writeln!(f, "{step:22}{expected:>10}  +{percent} %")
        })
    }
}

impl FromStr for Limits {
    type Err = LimitsError;

    fn from_str(text: &str) -> Result<Self, LimitsError> {
        let (mut rustc, mut cc, mut steps) = (None, None, Vec::<Limit>::new());
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some((key, value)) = line.split_once(" = ") {
                let kept = match key {
                    "rustc" => &mut rustc,
                    "cc" => &mut cc,
                    _ => return Err(LimitsError::Line(number)),
                };
                *kept = Some(value.to_owned());
                continue;
            }
            let limit = row(line).ok_or(LimitsError::Line(number))?;
            if steps.iter().any(|other| other.step == limit.step) {
                return Err(LimitsError::Twice(limit.step));
            }
            steps.push(limit);
        }
        let made = Made { rustc: rustc.ok_or(LimitsError::Unmade("rustc"))?, cc: cc.ok_or(LimitsError::Unmade("cc"))? };
        Ok(Self { made, steps })
    }
}

fn row(line: &str) -> Option<Limit> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [step, expected, percent, "%"] = words.as_slice() else { return None };
    let expected = expected.parse().ok().filter(|expected| *expected > 0)?;
    let percent = percent.strip_prefix('+')?.parse().ok()?;
    Some(Limit { step: (*step).to_owned(), expected, percent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(expected: u64) -> Limit {
        Limit { step: "engine-life".to_owned(), expected, percent: 10 }
    }

    #[test]
    fn a_limit_holds_up_to_its_percents_and_not_one_instruction_more() {
        assert_eq!(limit(1000).verdict(1000, false), Verdict::Within);
        assert_eq!(limit(1000).verdict(1100, false), Verdict::Within);
        assert_eq!(limit(1000).verdict(1101, false), Verdict::Above);
    }

    #[test]
    fn a_lowered_limit_is_missed() {
        let measured = 5_000;
        assert_eq!(limit(measured).verdict(measured, false), Verdict::Within);
        assert_eq!(limit(measured / 2).verdict(measured, false), Verdict::Above);
        assert_eq!(limit(measured / 2).verdict(measured, true), Verdict::Above);
    }

    #[test]
    fn another_compiler_may_take_more_but_not_anything() {
        assert_eq!(limit(1000).verdict(1350, true), Verdict::Within);
        assert_eq!(limit(1000).verdict(1351, true), Verdict::Above);
        let loose = Limit { percent: 50, ..limit(1000) };
        assert_eq!(loose.verdict(1500, true), Verdict::Within);
    }

    #[test]
    fn far_below_is_no_failure_and_told() {
        assert_eq!(limit(1000).verdict(800, false), Verdict::Within);
        assert_eq!(limit(1000).verdict(799, false), Verdict::FarBelow);
    }

    #[test]
    fn the_largest_counts_do_not_overflow() {
        assert_eq!(limit(u64::MAX).verdict(u64::MAX, false), Verdict::Within);
        assert_eq!(limit(1).verdict(u64::MAX, true), Verdict::Above);
    }

    #[test]
    fn a_ratio_has_three_decimals() {
        assert_eq!(limit(1000).ratio(1042).to_string(), "1.042");
        assert_eq!(limit(10_000).ratio(9999).to_string(), "1.000");
        assert_eq!(format!("{:>7}", limit(3000).ratio(1000)), "  0.333");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let made = Made { rustc: "rustc 1.95.0 (0123 2026-04-14)".to_owned(), cc: "cc (A = B) 12".to_owned() };
        let limits = Limits { made, steps: vec![limit(7), Limit { step: "store-life".to_owned(), ..limit(8) }] };
        assert_eq!(limits.to_string().parse(), Ok(limits));
    }

    #[test]
    fn a_table_that_is_not_understood_is_refused_with_its_line() {
        let table = |rows: &str| format!("rustc = r\ncc = c\n{rows}\n").parse::<Limits>();
        for row in ["a 1", "a 1 10 %", "a +10 %", "a x +10 %", "a 0 +10 %", "a 1 +10", "a 1 +10 % b", "key = value"] {
            assert_eq!(table(row), Err(LimitsError::Line(3)), "{row}");
        }
        assert_eq!(table("a 1 +10 %\na 2 +10 %"), Err(LimitsError::Twice("a".to_owned())));
        assert_eq!("cc = c\n".parse::<Limits>(), Err(LimitsError::Unmade("rustc")));
        assert_eq!("rustc = r\n".parse::<Limits>(), Err(LimitsError::Unmade("cc")));
    }
}

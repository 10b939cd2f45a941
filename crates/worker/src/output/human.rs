//! Money, times and foreign text as people read them.

use std::time::Duration;

use snap_core::Timestamp;

/// Rupiah with thousands separators; sen only where there are some: `Rp 48,750,000`.
#[must_use]
pub fn rupiah(minor: u128) -> String {
    let digits = (minor / 100).to_string();
    let mut text = String::from("Rp ");
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    match minor % 100 {
        0 => text,
        sen => format!("{text}.{sen:02}"),
    }
}

/// How many of something: `1 job`, `2 jobs`.
#[must_use]
pub fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// A span in its largest unit, cut: `42s`, `3m`, `7h`, `12d`.
#[must_use]
pub fn age(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Date and time in Jakarta: `2026-11-22 10:00:01`.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    at.to_snap().get(..19).unwrap_or_default().replacen('T', " ", 1)
}

/// Time in Jakarta with milliseconds: `10:00:01.123`.
#[must_use]
pub fn time_of_day(at: Timestamp) -> String {
    at.to_rfc3339().get(11..23).unwrap_or_default().to_owned()
}

/// Foreign text, harmless to a terminal: control characters and what changes the order of others are shown as `�`.
#[must_use]
pub fn plain_text(text: &str) -> String {
    text.chars().map(|character| if is_harmless(character) { character } else { char::REPLACEMENT_CHARACTER }).collect()
}

fn is_harmless(character: char) -> bool {
    let is_format = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !character.is_control() && !is_format
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rupiah_are_grouped_by_thousands() {
        let all = [0, 100, 99_900, 100_000, 1_000_000, 4_875_000_000, 1_050, 12_345_678_901_234_567_890];
        assert_eq!(
            all.map(rupiah),
            [
                "Rp 0",
                "Rp 1",
                "Rp 999",
                "Rp 1,000",
                "Rp 10,000",
                "Rp 48,750,000",
                "Rp 10.50",
                "Rp 123,456,789,012,345,678.90"
            ]
        );
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "job")), ["0 jobs", "1 job", "2 jobs"]);
    }

    #[test]
    fn an_age_has_one_unit() {
        let all =
            [0, 59, 60, 3_599, 3_600, 172_799, 172_800, 8_640_000].map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(all, ["0s", "59s", "1m", "59m", "1h", "47h", "2d", "100d"]);
    }

    #[test]
    fn times_are_jakartas() {
        let at = Timestamp::from_millis(1_714_533_630_007);
        assert_eq!(moment(at), "2024-05-01 10:20:30");
        assert_eq!(time_of_day(at), "10:20:30.007");
    }

    #[test]
    fn foreign_text_cannot_drive_the_terminal() {
        assert_eq!(plain_text("a\u{1b}[2Jb\u{9b}c\nd\u{202e}e\u{2061}f"), "a�[2Jb�c�d�e�f");
        assert_eq!(plain_text("Jalan Gambir № 1 – ok"), "Jalan Gambir № 1 – ok");
    }
}

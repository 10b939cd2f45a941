//! What is asked about: a code in one of its spellings, or one of our own words.

use engine::DeadReason;
use snap_core::{LaneFault, ResponseCode, TransactionStatus};

/// What somebody wants to have explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// `4043811`, or `2003900+07`.
    Code(ResponseCode, Option<TransactionStatus>),
    /// `404xx11`, `404 11` or `40411`: HTTP status and case, of any service.
    Case(u16, u8),
    /// `504`: an answer without a code.
    Http(u16),
    /// `07`.
    Status(TransactionStatus),
    /// `unresolved`.
    Reason(DeadReason),
    /// `insufficient_funds`.
    Lane(LaneFault),
}

impl Question {
    /// Reads one or two arguments; `None` for what is none of the forms.
    pub(super) fn read(words: &[String]) -> Option<Self> {
        let text = words.concat();
        let text = text.trim();
        if let Some(reason) = DeadReason::parse(text) {
            return Some(Self::Reason(reason));
        }
        if let Ok(fault) = text.parse() {
            return Some(Self::Lane(fault));
        }
        if let Some((code, status)) = text.split_once('+') {
            let status = TransactionStatus::parse(status)?;
            return match code {
                "" => Some(Self::Status(status)),
                code => Some(Self::Code(ResponseCode::parse(code).ok()?, Some(status))),
            };
        }
        let digits = match (text.get(..3), text.get(3..5), text.get(5..)) {
            (Some(http), Some("xx" | "XX"), Some(case)) => format!("{http}{case}"),
            _ => text.to_owned(),
        };
        if !digits.bytes().all(|sign| sign.is_ascii_digit()) {
            return None;
        }
        match digits.len() {
            7 => Some(Self::Code(ResponseCode::parse(&digits).ok()?, None)),
            5 => Some(Self::Case(digits[..3].parse().ok()?, digits[3..].parse().ok()?)),
            3 => Some(Self::Http(digits.parse().ok()?)),
            2 => TransactionStatus::parse(&digits).map(Self::Status),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Option<Question> {
        Question::read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_code_has_many_spellings() {
        let code = |text: &str| ResponseCode::parse(text).unwrap();
        assert_eq!(read(&["4043811"]), Some(Question::Code(code("4043811"), None)));
        assert_eq!(read(&["2003900+07"]), Some(Question::Code(code("2003900"), Some(TransactionStatus::NotFound))));
        for words in [&["404xx11"][..], &["404XX11"], &["404", "11"], &["404 11"], &["40411"]] {
            let words: Vec<_> = words.iter().flat_map(|word| word.split(' ')).collect();
            assert_eq!(read(&words), Some(Question::Case(404, 11)), "{words:?}");
        }
        assert_eq!(read(&["504"]), Some(Question::Http(504)));
        assert_eq!(read(&["07"]), Some(Question::Status(TransactionStatus::NotFound)));
        assert_eq!(read(&["unresolved"]), Some(Question::Reason(DeadReason::Unresolved)));
        assert_eq!(read(&["merchant_limit"]), Some(Question::Lane(LaneFault::MerchantLimit)));
    }

    #[test]
    fn anything_else_is_no_code() {
        for word in ["", "12345678", "99", "2003900+99", "404381", "unlucky", "4o43811", "-1", "404١١", "4xx0411"] {
            assert_eq!(read(&[word]), None, "{word:?}");
        }
    }
}

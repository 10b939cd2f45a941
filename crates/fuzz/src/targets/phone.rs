//! Phone numbers: any of three forms in, one form inside, masked for people.

use snap_core::{CustomerNumber, PhoneForm};

use crate::reading::digit_runs;

pub(super) const WORDS: &[&str] =
    &["08", "62", "+62", "+628", "628", "081977817902", "+", " ", "-", "8", "0", "\u{661}", "99999999", "tel:"];

pub(super) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let expected = canonical(&text);
    let Ok(number) = CustomerNumber::parse(&text) else {
        assert_eq!(expected, None, "refused");
        let error = CustomerNumber::parse(&text).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(digit_runs(&error, 4).next(), None, "the number came back: {error}");
        return;
    };
    let exposed = number.expose();
    assert_eq!(expected.as_deref(), Some(exposed), "read from {text:?}");
    for again in [exposed.to_owned(), number.render(PhoneForm::Local), format!("+{exposed}")] {
        assert_eq!(CustomerNumber::parse(&again).as_ref(), Ok(&number), "{again} is another number");
    }
    assert_eq!(number.render(PhoneForm::International), exposed);
    for shown in [number.to_string(), format!("{number:?}"), number.masked()] {
        assert!(digit_runs(&shown, 5).next().is_none(), "{shown} shows too much of {exposed}");
        assert!(shown.chars().filter(char::is_ascii_digit).count() <= 8, "{shown}");
    }
}

/// The number as it is kept, where the text is one.
pub(super) fn canonical(text: &str) -> Option<String> {
    let national = text.strip_prefix("+62").or_else(|| text.strip_prefix("62")).or_else(|| text.strip_prefix('0'))?;
    let is_mobile = national.starts_with('8') && national.bytes().all(|byte| byte.is_ascii_digit());
    (is_mobile && (7..=13).contains(&national.len())).then(|| format!("62{national}"))
}

//! Text from peers, made fit to be kept and shown.

/// SNAP's longest `responseMessage`, in characters.
const LONGEST: usize = 150;

/// `text` without control characters, cut to 150 characters: a provider's words are untrusted.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len().min(4 * LONGEST));
    printable.extend(text.chars().filter(|character| !character.is_control()).take(LONGEST));
    printable
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some libraries tell their cause in their own words too.
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text.chars().filter(|character| !character.is_control()).collect()
}

//! The message behind a dead letter: as it came for machines, harmless and with masked phone numbers for people.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outbox::Delivered;
use serde::Serialize;
use serde_json::Value;
use snap_core::CustomerNumber;

use crate::output::{Table, plain_text};

/// People see no more of a body than this, in characters.
const SHOWN: usize = 4_000;

/// A refused message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageView<'a> {
    /// Null where it is not UTF-8, and where it was cut in the middle of a character.
    body_text: Option<&'a str>,
    body_base64: String,
    /// Of the whole, in bytes; more than what is kept where it is longer than 1 MiB.
    size: u64,
    sha256: String,
    properties: &'a Value,
    headers: &'a Value,
    #[serde(skip)]
    delivered: &'a Delivered,
}

impl<'a> MessageView<'a> {
    /// What is shown of a message.
    pub(super) fn new(delivered: &'a Delivered) -> Self {
        Self {
            body_text: std::str::from_utf8(&delivered.body).ok(),
            body_base64: STANDARD.encode(&delivered.body),
            size: delivered.size,
            sha256: delivered.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            properties: &delivered.properties,
            headers: &delivered.headers,
            delivered,
        }
    }

    /// For people.
    pub(super) fn text(&self, color: bool) -> String {
        let kept = self.delivered.body.len();
        let size = if kept as u64 == self.size {
            format!("{kept} bytes")
        } else {
            format!("{} bytes, of which the first {kept} are kept", self.size)
        };
        let facts = Table::facts([
            ("size", Some(size)),
            ("sha256", Some(self.sha256.clone())),
            ("properties", Some(masked(&self.properties.to_string()))),
            ("headers", Some(masked(&self.headers.to_string()))),
        ]);
        format!("{}\n{}\n", facts.render(color), self.body())
    }

    fn body(&self) -> String {
        let Some(body) = self.body_text else {
            return "(not UTF-8; -o json has it as bodyBase64)".to_owned();
        };
        let shown: String = body.chars().take(SHOWN).collect();
        let is_whole = shown.len() == body.len();
        // Masked before it is cut, so that no number is shown because its end is missing.
        let text: String = masked(body).chars().take(SHOWN).collect();
        let lines: Vec<_> = text.lines().map(plain_text).collect();
        let rest =
            if is_whole { "phone numbers are masked" } else { "phone numbers are masked, and this is its beginning" };
        format!("{}\n\n({rest}; -o json has it as it came)", lines.join("\n"))
    }
}

/// Every run of digits that is a phone number, masked.
fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let (before, on) = rest.split_at(start);
        let end = on.find(|character: char| !character.is_ascii_digit()).unwrap_or(on.len());
        let (digits, after) = on.split_at(end);
        out.push_str(before);
        match CustomerNumber::parse(digits) {
            Ok(number) => out.push_str(&number.masked()),
            Err(_no_number) => out.push_str(digits),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn delivered(body: &[u8]) -> Delivered {
        Delivered {
            body: body.to_vec(),
            size: body.len() as u64,
            sha256: [0xab; 32],
            properties: json!({ "contentType": "application/json" }),
            headers: json!({}),
        }
    }

    #[test]
    fn phone_numbers_are_masked_in_each_of_their_forms() {
        let text = r#"{"customerNumber":"081977817902","x":"+6281977817902","amount":"10000.00","y":6281977817902}"#;
        let shown = masked(text);
        assert_eq!(
            shown,
            r#"{"customerNumber":"6281*****7902","x":"+6281*****7902","amount":"10000.00","y":6281*****7902}"#
        );
    }

    #[test]
    fn other_numbers_stay_as_they_are() {
        let text = "78912343452347893 2024-05-01T10:20:30+07:00 021123456789 ½ 08";
        assert_eq!(masked(text), text);
    }

    #[test]
    fn a_machine_gets_the_bytes() {
        let hostile = delivered(b"\xff\x00{");
        let view = serde_json::to_value(MessageView::new(&hostile)).unwrap();
        assert_eq!(view["bodyText"], Value::Null);
        assert_eq!(view["bodyBase64"], json!("/wB7"));
        assert_eq!(view["size"], json!(3));
        assert_eq!(view["sha256"], json!("ab".repeat(32)));
        assert_eq!(view["properties"], json!({ "contentType": "application/json" }));
    }

    #[test]
    fn a_person_gets_nothing_that_drives_the_terminal() {
        let hostile = delivered(b"{\"a\":\"\x1b[2J\"}\n\x1b]0;x\x07");
        let text = MessageView::new(&hostile).text(false);
        assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text:?}");
    }

    #[test]
    fn a_long_body_is_cut_for_people_only() {
        let long = delivered("0819778179021".repeat(1_000).as_bytes());
        assert!(MessageView::new(&long).text(false).len() < 6_000);
        assert_eq!(MessageView::new(&long).body_text.map(str::len), Some(13_000));
    }
}

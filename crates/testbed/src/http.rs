//! `GET` and `POST` on loopback, for health, metrics and the simulator's own endpoints.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What came back.
#[derive(Debug, Clone)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Gets a page; `None` while nobody listens.
pub fn get(port: u16, path: &str) -> Option<Page> {
    ask(port, &format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n"))
}

/// Posts a JSON body; `None` while nobody listens.
pub fn post(port: u16, path: &str, body: &str) -> Option<Page> {
    let length = body.len();
    ask(
        port,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

fn ask(port: u16, request: &str) -> Option<Page> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Page { status, body: body.to_owned() })
}

/// The value of the first sample of `name` whose labels include `labels` (such as `result="accepted"`).
pub fn sample(metrics: &str, name: &str, labels: &[&str]) -> Option<f64> {
    samples(metrics, name, labels).next()
}

/// The sum over all samples of `name` whose labels include `labels`; counters and gauges that are absent count as zero.
pub fn total(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    samples(metrics, name, labels).sum()
}

fn samples<'a>(metrics: &'a str, name: &'a str, labels: &'a [&str]) -> impl Iterator<Item = f64> + 'a {
    metrics.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) || !labels.iter().all(|label| rest.contains(label)) {
            return None;
        }
        rest.rsplit(' ').next()?.parse().ok()
    })
}

#[test]
fn a_sample_is_found_by_name_and_label() {
    let text = "# TYPE topup_jobs gauge\ntopup_jobs{state=\"ready\"} 3\ntopup_jobs_total{state=\"ready\"} 9\n";
    assert_eq!(sample(text, "topup_jobs", &["state=\"ready\""]), Some(3.0));
    assert_eq!(sample(text, "topup_jobs", &["state=\"dead\""]), None);
}

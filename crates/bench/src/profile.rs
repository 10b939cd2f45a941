//! Which library a sample of `perf` belongs to: the innermost function's, or what the kernel was asked for.
//!
//! Functions are inlined into each other across libraries, so the edges are soft; the sum is not.

use std::collections::BTreeMap;

/// Kernel functions by what they are about; the first line that fits any frame of the kernel's decides.
const KERNEL: [(&str, &[&str]); 5] = [
    ("kernel: network", &["tcp_", "sock_", "inet_", "__sys_recvfrom", "__sys_sendto", "net_rx", "skb", "napi"]),
    ("kernel: flushing", &["fsync", "fdatasync", "sync_file"]),
    ("kernel: files", &["ext4_", "xfs_", "btrfs_", "vfs_", "filemap", "ksys_p", "fcntl", "do_iter_"]),
    ("kernel: memory", &["exc_page_fault", "mmap", "munmap", "brk", "mprotect", "madvise"]),
    ("kernel: waiting and waking", &["futex", "epoll", "schedule", "wake_up", "eventfd"]),
];

/// Crates by what they are for; any other one stands for itself.
const CRATES: [(&str, &[&str]); 9] = [
    ("allocator", &["__rustc"]),
    ("SQLite", &["rusqlite", "libsqlite3_sys"]),
    ("HTTP", &["hyper", "hyper_util", "reqwest", "http", "httparse", "tower", "tower_http", "tower_service", "url"]),
    ("AMQP", &["lapin", "amq_protocol", "amq_protocol_types", "amq_protocol_tcp", "cookie_factory", "nom", "flume"]),
    ("signatures", &["sha2", "hmac", "digest", "base64", "ring", "block_buffer"]),
    ("JSON", &["serde", "serde_json", "serde_core", "serde_path_to_error", "itoa", "ryu", "zmij"]),
    ("tokio", &["tokio", "tokio_util", "mio", "futures_util", "futures_core", "futures_channel"]),
    ("logging and metrics", &["tracing", "tracing_core", "tracing_subscriber", "prometheus_client"]),
    ("time", &["jiff"]),
];

/// Fewer samples say nothing.
const ENOUGH: f64 = 100.0;

/// The share of each library in what `perf script -F ip,sym,dso` wrote with call chains; nothing where that is too little
/// to tell.
pub(crate) fn shares(script: &str) -> Option<BTreeMap<String, f64>> {
    let counts = counts(script);
    let all: f64 = counts.values().sum();
    (all >= ENOUGH).then(|| counts.into_iter().map(|(label, count)| (label, count / all)).collect())
}

fn counts(script: &str) -> BTreeMap<String, f64> {
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for sample in script.split("\n\n") {
        let frames: Vec<(&str, &str)> = sample.lines().filter_map(frame).collect();
        if !frames.is_empty() {
            *counts.entry(library(&frames)).or_default() += 1.0;
        }
    }
    counts
}

/// Function and file of a line such as `  55d0 name+0x1 (/usr/bin/x)`.
fn frame(line: &str) -> Option<(&str, &str)> {
    let (_address, rest) = line.trim().split_once(' ')?;
    let (function, file) = rest.rsplit_once(" (")?;
    Some((function, file.trim_end_matches(')')))
}

/// What a sample with these frames, the innermost first, is about.
fn library(frames: &[(&str, &str)]) -> String {
    let (function, file) = frames[0];
    if is_kernel(file) {
        let kernel: Vec<&str> =
            frames.iter().take_while(|(_, file)| is_kernel(file)).map(|(function, _)| *function).collect();
        let about = |words: &[&str]| kernel.iter().any(|function| words.iter().any(|word| function.contains(word)));
        let found = KERNEL.iter().find(|(_, words)| about(words));
        return found.map_or("kernel: other", |(label, _)| label).to_owned();
    }
    if file.contains(".so") {
        return of_libc(function).to_owned();
    }
    if file.contains("[vdso]") {
        return "time".to_owned();
    }
    match own_crate(function) {
        Some(name) => {
            let found = CRATES.iter().find(|(_, crates)| crates.contains(&name));
            found.map_or(name, |(label, _)| label).to_owned()
        }
        // What is C in these programs.
        None if ["mi_", "_mi_", "_rjem"].iter().any(|prefix| function.starts_with(prefix)) => "allocator".to_owned(),
        None if function.starts_with("ring_core") || function.contains("_nohw") => "signatures".to_owned(),
        None if function.contains("::") => "Rust's own library".to_owned(),
        None if function == "[unknown]" => "unknown".to_owned(),
        None => "SQLite".to_owned(),
    }
}

fn is_kernel(file: &str) -> bool {
    file.starts_with("[kernel") || file.starts_with("[guest.kernel") || file.ends_with(".ko")
}

fn of_libc(function: &str) -> &'static str {
    let is = |words: &[&str]| words.iter().any(|word| function.contains(word));
    if is(&["malloc", "free", "realloc", "calloc", "unlink_chunk", "tcache", "sysmalloc", "arena", "memalign"]) {
        "allocator"
    } else if is(&["memmove", "memcpy", "memset", "memcmp", "memchr", "strlen"]) {
        "copying and comparing"
    } else {
        "libc"
    }
}

/// The first crate that a function's name names and that is not Rust's own library.
fn own_crate(function: &str) -> Option<&str> {
    let mut rest = function;
    while let Some(at) = rest.find("::") {
        let name = rest[..at].rsplit(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next()?;
        if !name.is_empty() && !matches!(name, "core" | "alloc" | "std") {
            return Some(name);
        }
        // The rest of this path is the library's own: go on behind it.
        let path = rest[at..].find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != ':');
        rest = &rest[at + path?..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_belongs_to_its_crate() {
        assert_eq!(own_crate("outbox::record::write"), Some("outbox"));
        assert_eq!(own_crate("<tokio_util::task::TrackedFuture<F> as core::future::Future>::poll"), Some("tokio_util"));
        assert_eq!(own_crate("core::ptr::drop_in_place<worker::drive::Driving>"), Some("worker"));
        assert_eq!(own_crate("alloc::vec::Vec<T,A>::push"), None);
        assert_eq!(own_crate("sqlite3VdbeExec"), None);
    }

    #[test]
    fn samples_are_counted_by_library() {
        let binary = "(/x/worker)";
        let script = format!(
            "\t 1 sqlite3VdbeExec {binary}\n\t 2 [unknown] ([unknown])\n\n\
             \t 1 tcp_ack ([kernel.kallsyms])\n\t 2 vfs_writev ([kernel.kallsyms])\n\t 3 f (/x/libc.so.6)\n\n\
             \t 1 xas_load ([kernel.kallsyms])\n\t 2 vfs_fsync_range ([kernel.kallsyms])\n\n\
             \t 1 hyper::proto::h1::role::encode {binary}\n\n"
        );
        let counts = counts(&script);
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["HTTP", "SQLite", "kernel: flushing", "kernel: network"]);
        assert_eq!(counts["SQLite"], 1.0);
        assert_eq!(shares(&script), None);
        assert_eq!(shares(&script.repeat(100)).unwrap()["SQLite"], 0.25);
    }
}

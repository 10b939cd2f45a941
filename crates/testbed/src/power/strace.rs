//! Recording with strace, and reading what it wrote.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::recording::{Call, Moment, Op, Recording};

/// The calls that are recorded: what changes or syncs files, and what tells others about it.
const CALLS: &str = "trace=openat,pwrite64,write,writev,sendto,fdatasync,fsync,ftruncate,fallocate,\
                     rename,renameat,renameat2,unlink,unlinkat";

/// What is heard from sockets, too.
const READS: &str = "recvfrom,recvmsg,read,readv";

/// A command that runs what is named by its next arguments, and writes its calls into the file `trace`.
///
/// Where it is killed together with what it runs, the file lacks nothing that anybody can know of.
pub fn record(trace: &Path) -> Command {
    let mut command = recorder(trace, CALLS);
    // Stops at nothing else: a process under load is slow enough.
    command.arg("--seccomp-bpf");
    command
}

/// [`record`], with what the process hears; takes strace's `inject=` as well, which `--seccomp-bpf` would leave out. For a
/// process that has little to do.
pub fn witness(trace: &Path) -> Command {
    recorder(trace, &format!("{CALLS},{READS}"))
}

fn recorder(trace: &Path, calls: &str) -> Command {
    let mut command = Command::new("strace");
    // Every byte of every call, in hexadecimal; descriptors with what they are.
    command.args(["-f", "-qq", "-xx", "-y", "-s", "67108864", "-e", "signal=none", "-e", calls]);
    command.arg("-o").arg(trace);
    command
}

/// One call as strace tells it: `name(arguments) = result`, in one line or in two.
struct Told<'a> {
    name: &'a str,
    arguments: Vec<Argument<'a>>,
}

/// An argument: bytes, a descriptor with its name, or a word.
enum Argument<'a> {
    Bytes(&'a str),
    Descriptor { number: &'a str, name: &'a str },
    Word(&'a str),
}

pub(super) fn read(trace: &str, dir: &Path, skips: fn(&str) -> bool) -> Result<Recording, String> {
    let dir = dir.to_str().ok_or("the directory's name is not text")?;
    let mut recording = Recording::default();
    // By thread: the call that has not returned. `None`: one that is of no interest.
    let mut open: BTreeMap<u32, Option<usize>> = BTreeMap::new();
    let mut failed: Vec<usize> = Vec::new();
    // A line that has no end was being written when strace was killed.
    for line in trace.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let wrong = |what: &str| wrong_with(line)(what.to_owned());
        let (thread, rest) = line.split_once(' ').ok_or_else(|| wrong("no thread"))?;
        let thread: u32 = thread.parse().map_err(|_no_number| wrong("no thread"))?;
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        let op = if rest.starts_with("<... ") {
            open.remove(&thread).ok_or_else(|| wrong("the end of a call that never began"))?
        } else {
            let told = told(rest).ok_or_else(|| wrong("not a call"))?;
            let call = call(&told, dir, skips).map_err(wrong_with(line))?;
            let number = recording.ops.len();
            let interests = call.map(|call| {
                recording.moments.push(Moment::Began(number));
                recording.ops.push(Op { thread, call });
                number
            });
            if rest.ends_with("<unfinished ...>") {
                open.insert(thread, interests);
                continue;
            }
            interests
        };
        let Some(op) = op else { continue };
        if rest.ends_with("<detached ...>") {
            // It ended with strace.
            continue;
        }
        if let Call::Heard { bytes, .. } = &mut recording.ops[op].call {
            *bytes = quoted(rest).map_err(wrong_with(line))?;
        }
        let result = rest.rsplit_once(" = ").map(|(_, result)| result).ok_or_else(|| wrong("no result"))?;
        match result.bytes().next() {
            Some(b'-') => failed.push(op),
            // The process ended in it.
            Some(b'?') => {}
            _ => {
                cut_to(&mut recording.ops[op].call, result);
                recording.moments.push(Moment::Ended(op));
            }
        }
    }
    failed.sort_unstable();
    let is_failed = |moment: &Moment| match moment {
        Moment::Began(op) | Moment::Ended(op) => failed.binary_search(op).is_ok(),
    };
    recording.moments.retain(|moment| !is_failed(moment));
    Ok(recording)
}

fn wrong_with(line: &str) -> impl Fn(String) -> String {
    let part = |from: usize, to: usize| line.get(from..to).unwrap_or_default();
    let (begin, end) = (part(0, line.len().min(200)), part(line.len().saturating_sub(80).max(200), line.len()));
    move |what| format!("{what}: {begin} … {end}")
}

/// The bytes of a line, one after the other: what is quoted, which is in hexadecimal.
fn quoted(line: &str) -> Result<Vec<u8>, String> {
    let parts: Result<Vec<_>, _> = line.split('"').skip(1).step_by(2).map(bytes).collect();
    Ok(parts?.concat())
}

/// A write may have taken less than it was given.
fn cut_to(call: &mut Call, result: &str) {
    if let (Call::Write { bytes, .. }, Ok(taken)) = (call, result.trim().parse()) {
        bytes.truncate(taken);
    }
}

fn told(line: &str) -> Option<Told<'_>> {
    let (name, mut rest) = line.split_once('(')?;
    let mut arguments = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ', '[', '{', ']', '}']);
        if rest.starts_with(')') || rest.starts_with("<unfinished") || rest.is_empty() {
            return Some(Told { name, arguments });
        }
        if let Some(text) = rest.strip_prefix('"') {
            let (bytes, after) = text.split_once('"')?;
            arguments.push(Argument::Bytes(bytes));
            rest = after;
            continue;
        }
        let end = rest.find([',', ')', '<', ' ', ']', '}', '"']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        // `9<name>`, but `9 <unfinished ...>`; without a word before it nothing would get shorter.
        match after.strip_prefix('<') {
            Some(described) => {
                let (name, after) = described.split_once('>')?;
                arguments.push(Argument::Descriptor { number: word, name });
                rest = after.strip_prefix("(deleted)").unwrap_or(after);
            }
            None if word.is_empty() => return None,
            None => {
                // `iov_base="…"`: only the bytes are of interest.
                if !word.ends_with('=') {
                    arguments.push(Argument::Word(word));
                }
                rest = after;
            }
        }
    }
}

/// What a call is to us; `None`: nothing.
fn call(told: &Told<'_>, dir: &str, skips: fn(&str) -> bool) -> Result<Option<Call>, String> {
    let file_of = |path: &str| in_dir(path, dir).filter(|name| !skips(name));
    let number = |place: usize| match told.arguments.get(place) {
        Some(Argument::Word(word)) => word.parse::<u64>().map_err(|_no_number| format!("{word} is no number")),
        _ => Err("a number is missing".to_owned()),
    };
    // The paths among the arguments, without the directories they are relative to: they are absolute here.
    let mut paths = told.arguments.iter().filter_map(|argument| match argument {
        Argument::Bytes(path) => Some(text(path)),
        _ => None,
    });
    let descriptor = match told.arguments.first() {
        Some(Argument::Descriptor { number, name }) => Some((*number, text(name))),
        _ => None,
    };
    let file = descriptor.as_ref().and_then(|(_, path)| file_of(path));
    Ok(match told.name {
        "openat" => {
            let creates =
                told.arguments.iter().any(|word| matches!(word, Argument::Word(flags) if flags.contains("O_CREAT")));
            let truncates =
                told.arguments.iter().any(|word| matches!(word, Argument::Word(flags) if flags.contains("O_TRUNC")));
            let file = paths.next().and_then(|path| file_of(&path)).filter(|_| creates);
            if truncates && file.is_some() {
                return Err("a file that is opened and cut at once is not in the model".to_owned());
            }
            file.map(|file| Call::Open { file })
        }
        "pwrite64" => match (file, told.arguments.get(1)) {
            (Some(file), Some(Argument::Bytes(content))) => {
                Some(Call::Write { file, offset: number(3)?, bytes: bytes(content)? })
            }
            _ => None,
        },
        "write" | "writev" | "sendto" => {
            if file.is_some() {
                return Err("a write without an offset is not in the model".to_owned());
            }
            let mut said = Vec::new();
            for argument in &told.arguments {
                if let Argument::Bytes(content) = argument {
                    said.extend(bytes(content)?);
                }
            }
            descriptor.map(|(number, name)| Call::Said { to: format!("{number} {name}"), bytes: said })
        }
        "recvfrom" | "recvmsg" | "read" | "readv" => descriptor
            .filter(|(_, name)| name.starts_with("socket:"))
            .map(|(number, name)| Call::Heard { from: format!("{number} {name}"), bytes: Vec::new() }),
        "fsync" | "fdatasync" => match (file, descriptor) {
            (Some(file), _) => Some(Call::Sync { file }),
            (None, Some((_, path))) if path == dir => Some(Call::SyncNames),
            _ => None,
        },
        "ftruncate" => file.map(|file| Ok::<_, String>(Call::Resize { file, length: number(1)? })).transpose()?,
        "fallocate" => {
            let length = || Ok::<_, String>(number(2)?.saturating_add(number(3)?));
            file.map(|file| Ok::<_, String>(Call::Extend { file, length: length()? })).transpose()?
        }
        "unlink" | "unlinkat" => paths.next().and_then(|path| file_of(&path)).map(|file| Call::Remove { file }),
        "rename" | "renameat" | "renameat2" => match paths.find_map(|path| file_of(&path)) {
            Some(_) => return Err("a file that changes its name is not in the model".to_owned()),
            None => None,
        },
        _ => None,
    })
}

/// The name of a file that lies in the directory itself.
fn in_dir(path: &str, dir: &str) -> Option<String> {
    let name = path.strip_prefix(dir)?.strip_prefix('/')?;
    (!name.contains('/') && !name.is_empty()).then(|| name.to_owned())
}

/// `\x61\x62` as text; what is not written so is taken as it is (`pipe:[7]`).
fn text(told: &str) -> String {
    bytes(told).map_or_else(|_| told.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn bytes(told: &str) -> Result<Vec<u8>, String> {
    let (digits, rest) = told.as_bytes().as_chunks::<4>();
    let wrong = || "bytes that are not in hexadecimal".to_owned();
    if !rest.is_empty() {
        return Err(wrong());
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits
        .iter()
        .map(|digits| match digits {
            [b'\\', b'x', high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    #[test]
    fn calls_of_several_threads_are_read_with_their_begin_and_end() {
        let (db, wal, dir) = (hex("/d/s.db"), hex("/d/s.db-wal"), hex("/d"));
        let lines = [
            format!("7  openat(AT_FDCWD<{dir}>, \"{db}\", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3<{db}>"),
            format!("7  pwrite64(3<{db}>, \"{}\", 2, 512 <unfinished ...>", hex("ab")),
            format!("8  fdatasync(4<{wal}> <unfinished ...>"),
            "7  <... pwrite64 resumed>) = 1".to_owned(),
            "8  <... fdatasync resumed>) = 0".to_owned(),
            format!("7  pwrite64(3<{db}>, \"{}\", 2, 0) = -1 ENOSPC (No space left on device)", hex("cd")),
            format!("7  ftruncate(4<{wal}>, 9) = 0"),
            format!("7  fallocate(4<{wal}>, 0, 4, 8) = 0"),
            format!("7  fsync(5<{dir}>) = 0"),
            format!("7  write(1<pipe:[12]>, \"{}\", 4) = 4", hex("ack\n")),
            format!("7  write(2<{}>, \"{}\", 4) = 4", hex("/elsewhere/log"), hex("text")),
            format!("7  unlink(\"{wal}\") = 0"),
            format!("7  fdatasync(4<{}>) = 0", hex("/d/s.db-shm")),
            format!(
                "8  writev(6<socket:[3]>, [{{iov_base=\"{}\", iov_len=1}}, {{iov_base=\"{}\", iov_len=1}}], 2) = 2",
                hex("x"),
                hex("y")
            ),
            "8  recvfrom(6<socket:[3]>,  <unfinished ...>".to_owned(),
            format!("8  <... recvfrom resumed>\"{}\", 8192, 0, NULL, NULL) = 2", hex("hi")),
            "8  read(7<eventfd>, \"\\x01\", 8) = 1".to_owned(),
            format!("9  fdatasync(4<{wal}> <detached ...>"),
            format!("8  fdatasync(4<{wal}>) = ?"),
            "8  +++ killed by SIGKILL +++".to_owned(),
        ];
        let read = read(&(lines.join("\n") + "\n8  fdatasync(4<\\x2f"), Path::new("/d"), |name| name.ends_with("-shm"))
            .unwrap();
        let (db, wal) = (|| "s.db".to_owned(), || "s.db-wal".to_owned());
        let calls: Vec<Call> = read.ops.iter().map(|op| op.call.clone()).collect();
        let said = |to: &str, text: &str| Call::Said { to: to.to_owned(), bytes: text.as_bytes().to_vec() };
        assert_eq!(
            calls,
            [
                Call::Open { file: db() },
                Call::Write { file: db(), offset: 512, bytes: b"a".to_vec() },
                Call::Sync { file: wal() },
                Call::Write { file: db(), offset: 0, bytes: b"cd".to_vec() },
                Call::Resize { file: wal(), length: 9 },
                Call::Extend { file: wal(), length: 12 },
                Call::SyncNames,
                said("1 pipe:[12]", "ack\n"),
                said("2 /elsewhere/log", "text"),
                Call::Remove { file: wal() },
                said("6 socket:[3]", "xy"),
                Call::Heard { from: "6 socket:[3]".to_owned(), bytes: b"hi".to_vec() },
                Call::Sync { file: wal() },
                Call::Sync { file: wal() },
            ]
        );
        use Moment::{Began, Ended};
        assert_eq!(read.moments[2..6], [Began(1), Began(2), Ended(1), Ended(2)]);
        assert!(!read.moments.contains(&Began(3)), "it failed");
        assert_eq!(read.moments.last(), Some(&Began(13)), "it never returned");
        assert_eq!((read.ops[2].thread, read.ops[3].thread), (8, 7));
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_not_left_out() {
        let db = hex("/d/s.db");
        for line in [
            format!("7  write(3<{db}>, \"{}\", 1) = 1", hex("a")),
            format!("7  pwrite64(3<{db}>, \"plain\", 5, 0) = 5"),
            format!("7  openat(AT_FDCWD, \"{db}\", O_RDWR|O_CREAT|O_TRUNC, 0600) = 3<{db}>"),
            "7  <... fsync resumed>) = 0".to_owned(),
            format!("7  rename(\"{db}\", \"{}\") = 0", hex("/d/t.db")),
            "what".to_owned(),
        ] {
            assert!(read(&format!("{line}\n"), Path::new("/d"), |_| false).is_err(), "{line}");
        }
    }
}

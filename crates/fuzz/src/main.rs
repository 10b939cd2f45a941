//! The long run: every target under libFuzzer, steered by coverage, for as long as it is told.
//!
//! ```text
//! cargo run -p fuzz -- --seconds 60                all targets, a minute each
//! cargo run -p fuzz -- --seconds 600 --only top_up
//! cargo run -p fuzz -- --seconds 60 --keep         and what reached new code goes into the corpus
//! ```
//!
//! What is found is written into the target's corpus, where the tests find it again. The compiler on hand is enough; a C++
//! compiler has to be there for libFuzzer itself.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;
use std::{fs, io};

use fuzz::{TARGETS, Target, corpus};

const USAGE: &str = "fuzz [--seconds N] [--only TARGET] [--keep]";
/// What makes the compiler count which code is reached, and note what is compared.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// The longest input, in bytes; what is longer is one of the corpus, and takes no new way.
const LONGEST: &str = "4096";
/// libFuzzer's exit code after SIGINT or SIGTERM.
const INTERRUPTED: i32 = 72;

/// What keeps the run from happening, or from passing.
#[derive(Debug, thiserror::Error)]
enum FuzzError {
    #[error("{0}\nhint: {USAGE}")]
    Usage(String),
    #[error(
        "failed to build the targets with coverage\nhint: cargo says why, above; libFuzzer itself needs a C++ compiler; the tests need none: cargo test -p fuzz"
    )]
    Build,
    #[error("failed to {what}: {source}\nhint: the folders of the build and of the corpus have to be writable")]
    Files { what: String, source: io::Error },
    #[error("{target} was interrupted\nhint: fuzz --only {target} lets it run again")]
    Interrupted { target: &'static str },
    #[error("{target}: something does not hold; {log} says what\nhint: {hint}")]
    Found { target: &'static str, log: String, hint: String },
}

struct Wanted {
    seconds: u64,
    only: Option<String>,
    keep: bool,
}

fn main() -> ExitCode {
    match wanted(std::env::args().skip(1)).and_then(|wanted| run(&wanted)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told where stderr is closed.
            drop(writeln!(io::stderr(), "fuzz: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, FuzzError> {
    let mut wanted = Wanted { seconds: 60, only: None, keep: false };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| FuzzError::Usage(format!("{argument} needs a value")));
        match argument.as_str() {
            "--seconds" => {
                let seconds = value()?;
                let number = seconds.parse().ok().filter(|seconds| *seconds > 0);
                wanted.seconds =
                    number.ok_or_else(|| FuzzError::Usage(format!("{seconds} is no number of seconds")))?;
            }
            "--only" => wanted.only = Some(value()?),
            "--keep" => wanted.keep = true,
            other => return Err(FuzzError::Usage(format!("{other} is not understood"))),
        }
    }
    Ok(wanted)
}

fn run(wanted: &Wanted) -> Result<(), FuzzError> {
    let chosen = |target: &&Target| wanted.only.as_ref().is_none_or(|only| only == target.name);
    let targets: Vec<&Target> = TARGETS.iter().filter(chosen).collect();
    if targets.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        return Err(FuzzError::Usage(format!("the targets are {}", names.join(", "))));
    }
    let folder = build_folder();
    let program = build(&folder)?;
    let mut found = None;
    for target in targets {
        if let Err(error) = steer(target, &program, &folder, wanted)
            && let Some(earlier) = found.replace(error)
        {
            say(&format!("fuzz: {earlier}"));
        }
    }
    found.map_or(Ok(()), Err)
}

/// One target: its working corpus beside the build, so that the committed one grows only where that is asked for.
fn steer(target: &Target, program: &Path, folder: &Path, wanted: &Wanted) -> Result<(), FuzzError> {
    let files = |what: &str| {
        let what = what.to_owned();
        move |source| FuzzError::Files { what, source }
    };
    let (grown, committed) = (folder.join("corpus").join(target.name), corpus::folder(target.name));
    fs::create_dir_all(&grown).map_err(files("make a folder"))?;
    let words = folder.join(format!("{}.words", target.name));
    fs::write(&words, dictionary(target.words)).map_err(files("write the words"))?;
    let log = folder.join(format!("{}.log", target.name));
    let began = Instant::now();
    let fuzzer = || {
        let mut command = Command::new(program);
        command.arg(format!("--target={}", target.name)).arg(format!("-max_len={LONGEST}")).stdin(Stdio::null());
        command
    };
    let written = fs::File::create(&log).map_err(files("write the log"))?;
    let ended = fuzzer()
        .arg(format!("-max_total_time={}", wanted.seconds))
        .args(["-print_final_stats=1", "-timeout=20", "-rss_limit_mb=2048"])
        .arg(format!("-dict={}", words.display()))
        .arg(format!("-artifact_prefix={}/", committed.display()))
        .args([&grown, &committed])
        .stderr(written)
        .stdout(Stdio::null())
        .status()
        .map_err(files("start the target"))?;
    let told = fs::read_to_string(&log).map_err(files("read the log"))?;
    if ended.code() == Some(INTERRUPTED) {
        return Err(FuzzError::Interrupted { target: target.name });
    }
    if !ended.success() {
        let hint = format!("the input is in {}; cargo test -p fuzz makes it small", committed.display());
        return Err(FuzzError::Found { target: target.name, log: log.display().to_string(), hint });
    }
    say(&format!(
        "{:<11} {:>12} inputs in {:>4} s, {} in the corpus, {} kept beside the build because each reaches more",
        target.name,
        figure(&told, "stat::number_of_executed_units:"),
        began.elapsed().as_secs(),
        entries(&committed),
        entries(&grown),
    ));
    if wanted.keep {
        let mut merge = fuzzer();
        merge.arg("-merge=1").args([&committed, &grown]).stdout(Stdio::null()).stderr(Stdio::null());
        merge.status().map_err(files("merge the corpus"))?;
        say(&format!("{:<11} {} in the corpus now", target.name, entries(&committed)));
    }
    Ok(())
}

/// Beside other builds: another set of compiler flags would make them all anew.
fn build_folder() -> PathBuf {
    let target = testbed::setting("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")).join("fuzz")
}

fn build(folder: &Path) -> Result<PathBuf, FuzzError> {
    let told = Command::new("rustc").arg("-vV").output().map_err(|_missing| FuzzError::Build)?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).ok_or(FuzzError::Build)?;
    // With a target named, build scripts and macros are built without the flags.
    let built = Command::new("cargo")
        .args([
            "build",
            "--locked",
            "--profile",
            "fuzz",
            "-p",
            "fuzz",
            "--bin",
            "fuzz-coverage",
            "--features",
            "coverage",
        ])
        .args(["--target", host, "--target-dir"])
        .arg(folder)
        .env("RUSTFLAGS", COVERAGE)
        .status();
    match built {
        Ok(status) if status.success() => Ok(folder.join(host).join("fuzz/fuzz-coverage")),
        _ => Err(FuzzError::Build),
    }
}

/// libFuzzer's form: a word a line in quotes, anything but plain signs as `\xAB`.
fn dictionary(words: &[&str]) -> String {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    words.iter().map(|word| format!("\"{}\"\n", word.bytes().map(escaped).collect::<String>())).collect()
}

fn figure<'a>(told: &'a str, name: &str) -> &'a str {
    told.lines().find_map(|line| line.strip_prefix(name)).map_or("?", str::trim)
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

fn say(line: &str) {
    // The figures are lost with a closed output, what is found is not: it is in the corpus, and in the exit code.
    drop(writeln!(io::stdout(), "{line}"));
}

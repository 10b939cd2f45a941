//! Prints the fault matrix: what the tests of a run have executed, and what not.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use testbed::matrix::Report;

const USAGE: &str = "\
fault-matrix DIRECTORY [--all]
  DIRECTORY   what FAULT_MATRIX named while the tests ran
  --all       a cell that was not executed is a failure
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (options, directories): (Vec<&str>, Vec<&str>) =
        arguments.iter().map(String::as_str).partition(|argument| argument.starts_with('-'));
    let (&[directory], &[] | &["--all"]) = (directories.as_slice(), options.as_slice()) else {
        return tell(&format!("wrong arguments\nhint: {USAGE}"), 2);
    };
    match Report::read(Path::new(directory)) {
        Ok(report) => {
            let (filled, all) = report.filled();
            tell(&report.to_string(), u8::from(filled < all && options == ["--all"]))
        }
        Err(what) => tell(&format!("failed to read the counts: {what}\nhint: name the directory of one run\n"), 2),
    }
}

fn tell(what: &str, code: u8) -> ExitCode {
    let told = std::io::stdout().write_all(what.as_bytes());
    told.map_or(ExitCode::FAILURE, |()| ExitCode::from(code))
}

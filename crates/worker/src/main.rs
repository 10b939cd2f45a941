//! The `worker` binary: arguments, one command, its exit code.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use worker::cli::Cli;
use worker::config::Environment;
use worker::ops::{self, World};
use worker::output::Output;

fn main() -> ExitCode {
    let Cli { global, command } = Cli::of_process();
    let environment = Environment::read();
    let color = global.color.unless_unwanted(&environment);
    let output = Output::new(global.output, color);
    let talk_color = color.is_wanted(std::io::stderr().is_terminal());
    let world = World { global, environment, talk_color, output };
    match ops::run(&command, &world) {
        Ok(exit) => exit.into(),
        Err(error) => {
            // Nobody is left to be told where stderr is closed.
            drop(write!(std::io::stderr(), "{}", error.report(talk_color)));
            error.exit().into()
        }
    }
}

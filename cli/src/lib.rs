//! The command line of Standfast: grammar (`args`), screens (`output`), errors and exit codes (`error`), what
//! is held here (`held`), the one way in which a register changes (`change`), and the commands, one file a noun (`command`).

pub mod args;
pub mod change;
pub mod charter_source;
pub mod client;
pub mod codes;
pub mod command;
pub mod demo;
pub mod error;
pub mod held;
pub mod output;
pub mod policy_source;
pub mod standing;
pub mod trust_source;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use args::Stop;
use error::{CliError, Exit};
use output::{ColorChoice, Output};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os().collect()).into()
}

/// Runs a command line, the process's name first; returns the exit code.
pub fn run(arguments: Vec<OsString>) -> Exit {
    let guessed = guess_output(&arguments);
    match args::parse(arguments) {
        Ok(cli) => {
            let output = Output::new(cli.global.color, cli.global.json, cli.global.quiet);
            command::run(cli.command, cli.global, output).unwrap_or_else(|error| report(&error, &output))
        }
        Err(Stop::Text(text)) => match guessed.bytes(guessed.out.render(&text).as_bytes()) {
            Ok(()) => Exit::Done,
            Err(e) => report(&e.into(), &guessed),
        },
        Err(Stop::Help(text)) => {
            let _ = std::io::stderr().lock().write_all(guessed.err.render(&text).as_bytes());
            Exit::Usage
        }
        Err(Stop::Error(error)) => report(&error, &guessed),
    }
}

/// Shows an error on stderr, or as the one JSON document on stdout.
fn report(error: &CliError, output: &Output) -> Exit {
    // Nobody is left to tell when these streams are gone.
    if output.json {
        let _ = output.bytes(format!("{}\n", error.to_json()).as_bytes());
    } else {
        let text = output.err.render(&error.draw(&output.err));
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
    error.exit
}

/// Before the arguments are read, or when they cannot be: `--json` holds for errors of usage too.
fn guess_output(arguments: &[OsString]) -> Output {
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    let color = match arguments.iter().position(|argument| argument == "--color") {
        _ if given("--color=always") => ColorChoice::Always,
        _ if given("--color=never") => ColorChoice::Never,
        Some(at) if arguments.get(at + 1).is_some_and(|word| word == "always") => ColorChoice::Always,
        Some(at) if arguments.get(at + 1).is_some_and(|word| word == "never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    };
    Output::new(color, given("--json"), false)
}

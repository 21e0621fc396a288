//! The command line of Standfast: grammar, screens and exit codes (`cli.md` in words, this in code).

pub mod error;
pub mod output;

/// Runs the command line.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}

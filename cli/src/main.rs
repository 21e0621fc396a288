//! The `standfast` binary.
fn main() -> std::process::ExitCode {
    standfast_cli::main()
}

//! The grammar: noun, then verb; one verb, one meaning. Each command has its examples beside it.

pub mod agency;
pub mod change;
pub mod governance;
pub mod officer;
pub mod operator;
pub mod value;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use standfast_node::config::Options;

use crate::error::CliError;
use crate::output::{COLUMNS, ColorChoice};
use value::When;

/// Identity checks that stand when the directory falls.
#[derive(Debug, Parser)]
#[command(
    name = "standfast",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = false,
    after_help = "\
Examples:
  standfast verify licence.jwt
  standfast explain stale-witnessed
  standfast demo"
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "On every command")]
pub struct Global {
    /// One JSON document on stdout, for an error too
    #[arg(long, global = true)]
    pub json: bool,
    /// Exit code and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub color: ColorChoice,
    /// Journal, snapshot and keys [env: STANDFAST_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Settings [env: STANDFAST_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The node to talk to; by default that of the data directory [env: STANDFAST_NODE]
    #[arg(long, global = true, value_name = "URL")]
    pub node: Option<String>,
    /// The snapshot to judge by: a bundle or a data directory [env: STANDFAST_TRUST]
    #[arg(long, global = true, value_name = "BUNDLE|DATADIR")]
    pub trust: Option<PathBuf>,
    /// strict, standard, degraded or a file [env: STANDFAST_POLICY]
    #[arg(long, global = true, value_name = "NAME|FILE")]
    pub policy: Option<String>,
    /// The device's clock, for tests; shown in the verdict
    #[arg(long, global = true, value_name = "TIME", allow_hyphen_values = true)]
    pub now: Option<When>,
    /// Reads passphrases from an open file descriptor, one a line
    #[arg(long, global = true, value_name = "N")]
    pub passphrase_fd: Option<u32>,
}

impl Global {
    /// Returns what these options set of the configuration.
    pub fn to_options(&self) -> Options {
        Options {
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
            trust: self.trust.clone(),
            policy: self.policy.clone(),
            node: self.node.clone(),
            ..Options::default()
        }
    }
}

/// The commands. Each noun's verbs stand in a file by who uses them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Decide on credentials: files, directories, stdin, one a line
    #[command(after_help = officer::VERIFY_EXAMPLES)]
    Verify(officer::Verify),
    /// The whole reasoning on a credential, or what a code means and what to do
    #[command(after_help = officer::EXPLAIN_EXAMPLES)]
    Explain(officer::Explain),
    /// Until when verifying will work here, or what is missing
    #[command(after_help = officer::READY_EXAMPLES)]
    Ready(officer::Ready),
    /// All that verifying needs, in one file
    #[command(subcommand)]
    Bundle(officer::Bundle),
    /// What a verifier demands
    #[command(subcommand)]
    Policy(officer::Policy),
    /// One key, one use
    #[command(subcommand)]
    Key(agency::Key),
    /// Registers: an agency's records and the log of their changes
    #[command(subcommand)]
    Register(agency::Register),
    /// Records by key
    #[command(subcommand)]
    Record(agency::Record),
    /// DID documents
    #[command(subcommand)]
    Did(agency::Did),
    /// Who may issue what, and who may say so
    #[command(subcommand)]
    Trust(agency::Trust),
    /// Lists of revoked and suspended credentials
    #[command(subcommand)]
    StatusList(agency::StatusList),
    /// Issue and revoke credentials
    #[command(subcommand)]
    Credential(agency::Credential),
    /// The network's root of trust
    #[command(subcommand)]
    Charter(governance::Charter),
    /// Proofs that a key signed two histories
    #[command(subcommand)]
    Fork(governance::Fork),
    /// This machine's node
    #[command(subcommand)]
    Node(operator::Node),
    /// Network, node, clock and every register, node running or not
    #[command(after_help = operator::STATUS_EXAMPLES)]
    Status,
    /// Five nodes and a directory that dies, on this machine
    #[command(after_help = operator::DEMO_EXAMPLES)]
    Demo(operator::Demo),
}

/// What came of reading the arguments, when it is no command.
pub enum Stop {
    /// Help or the version was asked for: a text for stdout, exit 0.
    Text(String),
    /// No command was given: help on stderr, exit 2.
    Help(String),
    /// The arguments are not as expected.
    Error(CliError),
}

/// Reads the arguments of a process, its name first.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Stop> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut command = Cli::command().term_width(COLUMNS);
    let words = words_of(&command, &arguments);
    let matches = command.try_get_matches_from_mut(arguments).map_err(|e| stop_of(e, &words))?;
    Cli::from_arg_matches(&matches).map_err(|e| stop_of(e, &words))
}

/// Returns the words that lead to a command: `standfast key create`.
fn words_of(root: &clap::Command, arguments: &[OsString]) -> String {
    let mut words = root.get_name().to_owned();
    let mut command = root;
    for word in arguments.iter().skip(1).filter_map(|word| word.to_str()) {
        if let Some(child) = command.find_subcommand(word) {
            words = format!("{words} {word}");
            command = child;
        }
    }
    words
}

fn stop_of(error: clap::Error, words: &str) -> Stop {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Text(error.render().to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Stop::Help(error.render().to_string()),
        _ => Stop::Error(usage_of(&error, words)),
    }
}

/// Says in our words what clap found: what came, what was expected, the nearest word, and where the help is.
fn usage_of(error: &clap::Error, words: &str) -> CliError {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(ContextValue::Number(n)) => n.to_string(),
        _ => String::new(),
    };
    let argument = text(ContextKind::InvalidArg);
    let message = match error.kind() {
        ErrorKind::InvalidSubcommand => format!("there is no command {}", text(ContextKind::InvalidSubcommand)),
        ErrorKind::UnknownArgument => format!("there is no option or argument {argument} here"),
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue).is_empty() => format!("{argument} needs a value"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("{argument} does not take {:?}", text(ContextKind::InvalidValue))
        }
        ErrorKind::MissingRequiredArgument => format!("missing: {argument}"),
        ErrorKind::MissingSubcommand => "a verb is missing".to_owned(),
        ErrorKind::ArgumentConflict => format!("{argument} does not go with {}", text(ContextKind::PriorArg)),
        ErrorKind::TooManyValues => format!("{argument} takes no more values"),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("{argument} takes another number of values")
        }
        ErrorKind::NoEquals => format!("{argument} is written with ="),
        ErrorKind::InvalidUtf8 => "expected arguments in UTF-8".to_owned(),
        _ => "the arguments are not as expected".to_owned(),
    };
    let mut made = CliError::usage(message);
    if let Some(source) = std::error::Error::source(error) {
        made = made.cause(source.to_string());
    }
    let valid = text(ContextKind::ValidValue);
    if !valid.is_empty() {
        made = made.cause(format!("expected one of: {valid}"));
    }
    let verbs = text(ContextKind::ValidSubcommand);
    if !verbs.is_empty() {
        made = made.cause(format!("expected one of: {verbs}"));
    }
    let near = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    for suggestion in near.map(text).into_iter().filter(|s| !s.is_empty()) {
        made = made.hint(format!("perhaps: {suggestion}"));
    }
    made.hint(format!("all of it: {words} --help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> CliError {
        match parse(line.split(' ').map(OsString::from)) {
            Err(Stop::Error(error)) => error,
            Err(Stop::Text(text) | Stop::Help(text)) => panic!("{line}: {text}"),
            Ok(cli) => panic!("{line}: {cli:?}"),
        }
    }

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_mistyped_word_gets_a_suggestion() {
        let error = refused("standfast regster list");
        assert_eq!(error.message, "there is no command regster");
        assert_eq!(error.hints.first().map(String::as_str), Some("perhaps: register"));
        let error = refused("standfast key lst");
        assert_eq!(error.hints, ["perhaps: list", "all of it: standfast key --help"]);
        let error = refused("standfast key list --jsn");
        assert_eq!(error.hints, ["perhaps: --json", "all of it: standfast key list --help"]);
        assert_eq!(error.exit as u8, 2);
    }

    #[test]
    fn values_say_what_was_expected() {
        let error = refused("standfast key create a --use regster");
        assert_eq!(error.message, "--use <USE> does not take \"regster\"");
        assert_eq!(error.causes, ["expected one of: register, issue, update, witness, root"]);
        let error = refused("standfast --now yesterday status");
        assert!(error.causes.join("").contains("2026-11-20T14:28:00Z"), "{error:?}");
        let error = refused("standfast key create a");
        assert_eq!(error.message, "missing: --use <USE>");
    }

    /// Returns each leaf command with its words.
    fn leaves(command: &clap::Command, words: &str, out: &mut Vec<(String, clap::Command)>) {
        let mut children = command.get_subcommands().filter(|c| c.get_name() != "help").peekable();
        if children.peek().is_none() {
            out.push((words.to_owned(), command.clone()));
        }
        for child in children {
            leaves(child, &format!("{words} {}", child.get_name()), out);
        }
    }

    #[test]
    fn every_command_has_three_examples_that_parse() {
        let mut all = Vec::new();
        leaves(&Cli::command(), "standfast", &mut all);
        for (words, command) in all {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> = help.lines().filter_map(|l| l.strip_prefix("  ")).collect();
            assert_eq!(examples.len(), 3, "{words} has no three examples");
            for example in examples {
                assert!(example.chars().count() + 2 <= COLUMNS, "{example}");
                assert!(example.starts_with(&words), "{example}");
                let line = example.split(" < ").next().unwrap_or(example);
                let parsed = parse(line.split_whitespace().map(OsString::from));
                assert!(
                    parsed.is_ok(),
                    "{example}: {}",
                    match parsed {
                        Err(Stop::Error(e)) => e.draw(&crate::output::Style::PLAIN),
                        _ => "help".to_owned(),
                    }
                );
            }
        }
    }

    #[test]
    fn no_help_is_wider_than_80_columns() {
        let mut all = Vec::new();
        leaves(&Cli::command(), "standfast", &mut all);
        for (words, _) in all {
            let line = format!("{words} --help");
            let Err(Stop::Text(help)) = parse(line.split(' ').map(OsString::from)) else { panic!("{line}") };
            for line in help.lines() {
                assert!(line.chars().count() <= COLUMNS, "{words}: {line}");
            }
        }
    }
}

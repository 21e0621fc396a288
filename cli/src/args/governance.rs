//! Commands of those who govern a network.

use std::path::PathBuf;

use clap::Subcommand;

use super::value::Span;

/// `charter`.
#[derive(Debug, Clone, Subcommand)]
pub enum Charter {
    /// Write version 1 of a plan, or the version after the one held, unsigned
    #[command(after_help = "\
Examples:
  standfast charter create plan.toml --out charter-1.note
  standfast charter create plan.toml --after charter-3.note --out charter-4.note
  standfast charter create plan.toml --after none --out charter-1.note")]
    Create {
        /// The plan
        plan: PathBuf,
        /// The version before, or none for version 1 [default: the one held]
        #[arg(long, value_name = "FILE|none")]
        after: Option<PathBuf>,
        /// The file to write, or - for stdout
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Replaces a file that exists
        #[arg(long)]
        yes: bool,
    },
    /// Roots, anchors, witnesses, and how many could fork or stop the network
    #[command(after_help = "\
Examples:
  standfast charter show
  standfast charter show charter-4.note
  standfast charter show --plan")]
    Show {
        /// A charter [default: the one held]
        file: Option<PathBuf>,
        /// As TOML to edit
        #[arg(long)]
        plan: bool,
    },
    /// What a charter changes: of B after the one held, or from A to B
    #[command(after_help = "\
Examples:
  standfast charter diff charter-4.note
  standfast charter diff charter-3.note charter-4.note
  standfast charter diff charter-4.note --json")]
    Diff {
        /// One charter, or two; a file, or the digest of one that is held
        #[arg(value_name = "[A] B", required = true, num_args = 1..=2)]
        charters: Vec<PathBuf>,
    },
    /// Add a signature to a charter's file
    #[command(after_help = "\
Examples:
  standfast charter sign charter-4.note --key police-root
  standfast charter sign charter-4.note --key police-root --after charter-3.note
  standfast charter sign charter-4.note --key police-root --passphrase-fd 3")]
    Sign {
        /// The charter
        file: PathBuf,
        /// A root key
        #[arg(long, value_name = "KEY")]
        key: String,
        /// The version before, or none for version 1 [default: the one held]
        #[arg(long, value_name = "FILE|none")]
        after: Option<PathBuf>,
    },
    /// Check chain, thresholds and expiry
    #[command(after_help = "\
Examples:
  standfast charter verify charter-1.note
  standfast charter verify charter-4.note --after charter-3.note
  standfast charter verify charter-4.note --json")]
    Verify {
        /// The charter
        file: PathBuf,
        /// The version before, or none for version 1 [default: the one held]
        #[arg(long, value_name = "FILE|none")]
        after: Option<PathBuf>,
    },
    /// Admit the next version, here and everywhere
    #[command(after_help = "\
Examples:
  standfast charter publish charter-4.note
  standfast charter publish charter-1.note
  standfast charter publish charter-4.note --json")]
    Publish {
        /// The charter
        file: PathBuf,
        /// Waits until a quorum of witnesses names it, at most so long
        #[arg(long, value_name = "SPAN", num_args = 0..=1, default_missing_value = "5min", require_equals = true)]
        wait: Option<Span>,
        /// Answers every question with yes
        #[arg(long)]
        yes: bool,
    },
    /// Choose a network at first use, or a side of a charter fork
    #[command(after_help = "\
Examples:
  standfast charter pin charter-1.note
  standfast charter pin charter-4.note --yes
  standfast charter pin 4c1e07d190ab")]
    Pin {
        /// The charter: a file, or the digest of one that is held
        file: PathBuf,
        /// Answers every question with yes
        #[arg(long)]
        yes: bool,
    },
}

/// `fork`.
#[derive(Debug, Clone, Subcommand)]
pub enum Fork {
    /// Proofs held, a line each
    #[command(after_help = "\
Examples:
  standfast fork list
  standfast fork list --json
  standfast fork list --trust port.standfast")]
    List,
    /// One proof: the two histories, and what follows
    #[command(after_help = "\
Examples:
  standfast fork show harbour.gov.example
  standfast fork show harbour.gov.example --out harbour.fork
  standfast fork show harbour.gov.example --json")]
    Show {
        /// A register, or a proof's file
        #[arg(value_name = "R|FILE")]
        subject: String,
        /// Writes the proof to a file, or - for stdout
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replaces a file that exists
        #[arg(long)]
        yes: bool,
    },
    /// Check a proof's file, also as a stranger: exit 0 it holds, 1 it proves nothing, 3 whose keys count is not known
    #[command(after_help = "\
Examples:
  standfast fork verify harbour.fork
  standfast fork verify harbour.fork --charter charter-3.note
  standfast fork show harbour.gov.example --json | standfast fork verify -")]
    Verify {
        /// What fork show --out wrote, or --json or the demo showed; - for stdin
        file: PathBuf,
        /// Whose anchors name the keys [default: all that is held here]
        #[arg(long, value_name = "FILE")]
        charter: Option<PathBuf>,
    },
}

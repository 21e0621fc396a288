//! Commands of officers.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::value::Span;

pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  standfast verify licence.jwt
  standfast verify tray/ --jobs 2
  standfast verify - --trust port.standfast < licence.jwt";

pub(super) const EXPLAIN_EXAMPLES: &str = "\
Examples:
  standfast explain licence.jwt
  standfast explain stale-witnessed
  standfast explain licence.jwt --json";

pub(super) const READY_EXAMPLES: &str = "\
Examples:
  standfast ready
  standfast ready --for 12h
  standfast ready --policy strict";

/// `verify`.
#[derive(Debug, Clone, Args)]
pub struct Verify {
    /// Files, directories, or - for stdin
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    /// Each line is a credential
    #[arg(long)]
    pub lines: bool,
    /// Verifies so many at once [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Each verdict as JSON on a line, then the summary
    #[arg(long)]
    pub ndjson: bool,
}

/// `ready`.
#[derive(Debug, Clone, Args)]
pub struct Ready {
    /// For so long from now: 24h, 7d
    #[arg(long = "for", value_name = "DURATION")]
    pub span: Option<Span>,
}

/// `policy`.
#[derive(Debug, Clone, Subcommand)]
pub enum Policy {
    /// The built-in ones, and their limits
    #[command(after_help = "\
Examples:
  standfast policy list
  standfast policy list --json
  standfast policy list --policy strict")]
    List,
    /// One as TOML, to edit
    #[command(after_help = "\
Examples:
  standfast policy show standard
  standfast policy show strict --json
  standfast policy show border.toml")]
    Show {
        /// A built-in name, or a file
        #[arg(value_name = "NAME|FILE")]
        policy: String,
    },
}

/// `explain`.
#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// A credential's file, - for stdin, or a code
    #[arg(value_name = "FILE|CODE")]
    pub subject: String,
}

/// `bundle`.
#[derive(Debug, Clone, Subcommand)]
pub enum Bundle {
    /// Write all that verifying needs into one file
    #[command(after_help = "\
Examples:
  standfast bundle export --out new.standfast
  standfast bundle export --out -
  standfast bundle export --out new.standfast --yes")]
    Export {
        /// The file to write, or - for stdout
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Replaces a file that exists
        #[arg(long)]
        yes: bool,
    },
    /// Admit bundles here
    #[command(after_help = "\
Examples:
  standfast bundle import new.standfast
  standfast bundle import monday.standfast tuesday.standfast
  standfast bundle import - < new.standfast")]
    Import {
        /// Bundles, or - for stdin
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// What is in a bundle and how old it is
    #[command(after_help = "\
Examples:
  standfast bundle show new.standfast
  standfast bundle show new.standfast --json
  standfast bundle show - < new.standfast")]
    Show {
        /// The bundle, or - for stdin
        file: PathBuf,
    },
}

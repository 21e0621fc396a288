//! Commands of node operators, and the demo.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  standfast status
  standfast status --json
  standfast status --data-dir /var/lib/standfast";

pub(super) const DEMO_EXAMPLES: &str = "\
Examples:
  standfast demo
  standfast demo --json
  standfast demo --keep /tmp/standfast-demo";

/// `node`.
#[derive(Debug, Clone, Subcommand)]
pub enum Node {
    /// Join, replicate, serve
    #[command(after_help = "\
Examples:
  standfast node run
  standfast node run --listen /ip4/0.0.0.0/tcp/7411
  standfast node run --witness customs --passphrase-fd 3")]
    Run(NodeRun),
    /// Settings in force, and where each comes from
    #[command(after_help = "\
Examples:
  standfast node config
  standfast node config --json
  standfast node config --config /etc/standfast/config.toml")]
    Config,
}

/// `node run`.
#[derive(Debug, Clone, Args)]
pub struct NodeRun {
    /// Addresses to listen on
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<String>,
    /// Address and port of the API
    #[arg(long, value_name = "ADDR")]
    pub api: Option<SocketAddr>,
    /// Witnesses with this key
    #[arg(long, value_name = "KEY")]
    pub witness: Option<String>,
}

/// `demo`.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// Leaves keys, configuration and data there to explore
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

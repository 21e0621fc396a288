//! The options of all that alters a register.

use std::path::PathBuf;

use super::value::Span;

/// The options of a change but for its register.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Changing a register")]
pub struct ChangeOptions {
    /// Gathers the change in a file and signs nothing
    #[arg(long, value_name = "FILE")]
    pub draft: Option<PathBuf>,
    /// Cannot wait for the next batch: goes out at once, and says how far
    #[arg(long)]
    pub urgent: bool,
    /// Waits until a quorum of witnesses has signed [default: 60s]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "60s")]
    pub wait: Option<Span>,
    /// Shows what would change, and changes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Confirms a broad change by its exact size
    #[arg(long, value_name = "COUNT")]
    pub confirm_broad: Option<u64>,
    /// Publishes past the write fence, for a reason that is recorded
    #[arg(long, value_name = "REASON")]
    pub override_fence: Option<String>,
    /// Answers every question with yes
    #[arg(long)]
    pub yes: bool,
}

/// The options of a change with its register.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Change {
    /// The register to change; by default the only one whose key is here
    #[arg(long, value_name = "R")]
    pub register: Option<String>,
    /// The other options.
    #[command(flatten)]
    pub options: ChangeOptions,
}

/// `--register` of trust entries, which may name both the register to change and the file that binds the entity's
/// register: a file that exists is a binding, anything else a register.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TrustChange {
    /// A binding file of the entity's register; or, without such a file, the register to change
    #[arg(long, value_name = "BINDING")]
    pub register: Vec<String>,
    /// The other options.
    #[command(flatten)]
    pub options: ChangeOptions,
}

impl TrustChange {
    /// Parts bindings from registers: `(bindings, change)`.
    pub fn split(&self, is_file: impl Fn(&str) -> bool) -> (Vec<PathBuf>, Change) {
        let (files, registers): (Vec<&String>, Vec<&String>) =
            self.register.iter().partition(|text| is_file(text) || text.ends_with(".binding"));
        let register = registers.into_iter().next_back().cloned();
        let bindings = files.into_iter().map(PathBuf::from).collect();
        (bindings, Change { register, options: self.options.clone() })
    }
}

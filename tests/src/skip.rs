//! Tests that need a tool which is not everywhere: they skip, and say so, unless the tool is demanded.
//!
//! ```text
//! STANDFAST_REQUIRE=node,python,netns,crates cargo test --release --workspace
//! ```
//!
//! turns every skip of these kinds into a failure; continuous integration sets it.

use std::fmt;
use std::io::Write;

/// The variable that lists the kinds which must not be skipped.
pub const REQUIRE_VARIABLE: &str = "STANDFAST_REQUIRE";

/// What a test needs beside Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Node.js with npm and its registry.
    Node,
    /// Python 3 with venv, pip and its registry.
    Python,
    /// SoftHSM2 and OpenSC's `pkcs11-tool`.
    Hsm,
    /// Network namespaces: `unshare` and the right to make them.
    Netns,
    /// Crates that only this needs, from their registry.
    Crates,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "node",
            Self::Python => "python",
            Self::Hsm => "hsm",
            Self::Netns => "netns",
            Self::Crates => "crates",
        })
    }
}

/// A tool that is missing, and why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no {kind}: {reason}")]
pub struct Skip {
    /// The kind of tool.
    pub kind: Kind,
    /// What was tried, and what came.
    pub reason: String,
}

impl Skip {
    /// Describes a missing tool.
    pub fn new(kind: Kind, reason: impl fmt::Display) -> Self {
        Self { kind, reason: reason.to_string() }
    }
}

/// Returns the tool, or says on stderr that the test is skipped and returns nothing.
///
/// # Panics
///
/// When the tool is missing and its kind stands in `STANDFAST_REQUIRE`.
pub fn unless_missing<T>(tool: Result<T, Skip>) -> Option<T> {
    match tool {
        Ok(tool) => Some(tool),
        Err(skip) => {
            let demanded = std::env::var(REQUIRE_VARIABLE).unwrap_or_default();
            assert!(!is_listed(&demanded, skip.kind), "{skip}, but {REQUIRE_VARIABLE}={demanded} demands it");
            say_skipped(&skip.to_string());
            None
        }
    }
}

/// Says on stderr that the running test is skipped.
///
/// Not through `eprintln!`: the test runner would keep that to itself, for the test passes.
pub fn say_skipped(reason: &str) {
    let thread = std::thread::current();
    let line = format!("skipped: {}: {reason}\n", thread.name().unwrap_or("a test"));
    // Where stderr is closed nobody is there to be told.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn is_listed(demanded: &str, kind: Kind) -> bool {
    demanded.split(',').any(|name| name.trim() == kind.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_only_the_kinds_that_are_listed() {
        assert!(is_listed("node,python", Kind::Python));
        assert!(is_listed("netns, node", Kind::Node));
        assert!(!is_listed("node,python", Kind::Netns));
        assert!(!is_listed("", Kind::Node));
    }

    #[test]
    fn hands_over_a_tool_that_is_there() {
        assert_eq!(unless_missing(Ok(7)), Some(7));
    }
}

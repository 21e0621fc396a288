//! The policy to judge by: a built-in name, or a TOML file.

use std::path::Path;

use standfast_node::file;
use standfast_protocol::policy::Policy;

use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};

/// Bytes in a policy.
const POLICY_SIZE_MAX: u64 = 64 * 1024;

/// Loads the policy that the options choose.
pub fn load(context: &Context) -> CliResult<Policy> {
    read(&context.config.policy)
}

/// Reads a policy by its name or from its file.
pub fn read(name: &str) -> CliResult<Policy> {
    if let Some(policy) = Policy::built_in(name) {
        return Ok(policy);
    }
    let path = Path::new(name);
    let is_file = name.contains(['/', '.']) || path.exists();
    if !is_file {
        return Err(CliError::usage(format!("there is no policy {name}"))
            .cause(format!("expected one of: {}, or a TOML file", Policy::BUILT_IN.join(", ")))
            .hint("see them: standfast policy list"));
    }
    let bytes = file::read(path, POLICY_SIZE_MAX).map_err(|e| CliError::file(path, &e))?;
    let text = String::from_utf8(bytes).map_err(|_| malformed(name).cause("expected text in UTF-8"))?;
    toml::from_str(&text).map_err(|e: toml::de::Error| {
        let place = e.span().map(|span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
        let place = place.map(|line| format!("line {line}: ")).unwrap_or_default();
        malformed(name)
            .cause(format!("{place}{}", e.message().replace('`', "").replace("field", "key")))
            .hint("see one that is whole: standfast policy show standard")
    })
}

fn malformed(name: &str) -> CliError {
    CliError::new("config", Exit::Usage, format!("{name} is not a policy"))
}

//! `node`: this machine's node.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use serde::Serialize;
use standfast_node::config::Options;
use standfast_node::keystore::KeystoreError;
use standfast_node::run::run_until_signal;
use standfast_node::telemetry::{LogError, Reporter, Style, log_to_stderr};

use super::{Context, node_error};
use crate::args::operator::{Node, NodeRun};
use crate::error::{CliError, CliResult, Exit};
use crate::output::table::{Column, Table};

/// Adds what `node run` sets of the configuration.
pub(super) fn set_options(command: &Node, options: &mut Options) {
    if let Node::Run(NodeRun { listen, api, witness }) = command {
        options.listen.clone_from(listen);
        options.api = *api;
        options.witness.clone_from(witness);
    }
}

#[derive(Serialize)]
struct Setting {
    value: serde_json::Value,
    source: String,
}

#[derive(Serialize)]
struct ConfigDocument<'a> {
    kind: &'static str,
    file: Option<&'a str>,
    settings: BTreeMap<&'static str, Setting>,
}

/// `node run`: joins, replicates and serves until it is told to stop.
pub(super) fn run(context: &Context) -> CliResult {
    let style = match (context.global.json, std::io::stdout().is_terminal()) {
        (true, _) => Style::Json,
        (false, true) => Style::Terminal,
        (false, false) => Style::Lines,
    };
    match log_to_stderr(&context.config.log, style) {
        // A second time can only be asked for by a test that runs two commands in one process.
        Ok(()) | Err(LogError::Twice) => {}
        Err(error @ LogError::Filter { .. }) => {
            return Err(CliError::of("config", Exit::Usage, &error).hint("see what is in force: standfast node config"));
        }
    }
    let reporter =
        if context.global.quiet { Reporter::silent() } else { Reporter::new(style, Box::new(std::io::stdout())) };
    let mut refused = None;
    let passphrase = |name: &str| {
        context.passphrase(name, "Passphrase for key").map_err(|error| {
            refused = Some(error);
            KeystoreError::PassphraseShape
        })
    };
    let result = run_until_signal(&context.config, passphrase, reporter);
    match (result, refused) {
        (Ok(()), _) => Ok(Exit::Done),
        (Err(_), Some(error)) => Err(error),
        (Err(error), None) => Err(node_error(&error)),
    }
}

/// `node config`: the settings in force, and where each comes from.
pub(super) fn config(context: &Context) -> CliResult {
    let settings = context.config.settings();
    let file = context.config.file.as_deref().map(|path| path.to_string_lossy());
    let document = ConfigDocument {
        kind: "standfast/config/v1",
        file: file.as_deref(),
        settings: settings
            .iter()
            .map(|(name, value, source)| (*name, Setting { value: value.clone(), source: source.to_string() }))
            .collect(),
    };
    context.output.result(&document, |style| {
        let columns = [Column::left("SETTING"), Column::left("FROM"), Column::left("VALUE")];
        let mut table = Table::new(columns, false).whole();
        for (name, value, source) in &settings {
            for (i, line) in lines_of(value).into_iter().enumerate() {
                let (name, source) = if i == 0 { ((*name).to_owned(), source.to_string()) } else { Default::default() };
                table.row(None, [name, source, line]);
            }
        }
        let file = file.as_deref().unwrap_or("none");
        format!("{}file: {file}\n", table.draw(style))
    })?;
    Ok(Exit::Done)
}

/// A list stands on as many lines as it has members.
fn lines_of(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::Null => vec!["-".to_owned()],
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(items) if items.is_empty() => vec!["-".to_owned()],
        serde_json::Value::Array(items) => items.iter().flat_map(lines_of).collect(),
        other => vec![other.to_string()],
    }
}

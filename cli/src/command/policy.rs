//! `policy`: the limits, as TOML with comments.

use serde::Serialize;
use standfast_protocol::policy::Policy;

use super::Context;
use crate::args::officer::Policy as Verb;
use crate::error::{CliResult, Exit};
use crate::output::table::{Column, Table};
use crate::output::words;
use crate::policy_source;

#[derive(Serialize)]
struct Policies {
    kind: &'static str,
    policies: Vec<Policy>,
}

#[derive(Serialize)]
struct PolicyDocument<'a> {
    kind: &'static str,
    sha256: String,
    policy: &'a Policy,
}

/// Runs a verb of `policy`.
pub fn run(context: &Context, command: Verb) -> CliResult {
    match command {
        Verb::List => list(context),
        Verb::Show { policy } => show(context, &policy),
    }
}

fn list(context: &Context) -> CliResult {
    let policies: Vec<Policy> = Policy::BUILT_IN.iter().filter_map(|name| Policy::built_in(name)).collect();
    let in_force = context.config.policy.clone();
    context.output.result(&Policies { kind: "standfast/policies/v1", policies: policies.clone() }, |style| {
        let columns = [
            Column::left("POLICY"),
            Column::left("WITNESSED"),
            Column::left("PUBLISHED"),
            Column::left("CHARTER"),
            Column::left("NOTE"),
        ];
        let mut table = Table::new(columns, false);
        for policy in &policies {
            let (limits, second) = (&policy.limits, &policy.tolerated);
            let seconds = [second.witnessed_s, second.published_s, second.charter_s];
            let seconds: Vec<String> = seconds.into_iter().flatten().map(words::left).collect();
            let tolerates = (!seconds.is_empty()).then(|| format!("warns to {}", seconds.join(", ")));
            let in_force = (policy.name == in_force).then(|| "in force".to_owned());
            let notes: Vec<String> = in_force.into_iter().chain(tolerates).collect();
            let note = if notes.is_empty() { "-".to_owned() } else { notes.join(", ") };
            let limits = [limits.witnessed_s, limits.published_s, limits.charter_s].map(words::left);
            table.row(None, [vec![policy.name.clone()], limits.to_vec(), vec![note]].concat());
        }
        table.draw(style)
    })?;
    Ok(Exit::Done)
}

fn show(context: &Context, name: &str) -> CliResult {
    let policy = policy_source::read(name)?;
    let document = PolicyDocument { kind: "standfast/policy/v1", sha256: policy.digest().to_string(), policy: &policy };
    context.output.result(&document, |_| toml_of(&policy))?;
    Ok(Exit::Done)
}

/// Writes a policy so that the text can be edited and given to `--policy`.
fn toml_of(policy: &Policy) -> String {
    let string = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let strings = |items: &[String]| format!("[{}]", items.iter().map(|i| string(i)).collect::<Vec<_>>().join(", "));
    let Policy { name, rejects, formats, trust, holder, quorum_none, limits, tolerated } = policy;
    let plain = |code: String, note: &str| format!("{code:<21} # {note}\n");
    let line =
        |name: &str, secs: u64, note: &str| plain(format!("{name} = {secs}"), &format!("{}{note}", words::left(secs)));
    let mut out = format!("name = {}\nformats = {}\n", string(name), strings(formats));
    out.push_str(&format!(
        "# what a status list may say of a credential that rejects it\nrejects = {}\n",
        strings(rejects)
    ));
    out.push_str(&plain(format!("trust = {trust}"), "false: whether the issuer is authorised is not judged"));
    out.push_str(&plain(format!("holder = {holder}"), "true: only with a presentation by its holder"));
    out.push_str(&plain(format!("quorum_none = {quorum_none}"), "true: a network without witnesses is good enough"));
    out.push_str(&format!("\n{}", plain("[limits]".to_owned(), "what is older decides nothing")));
    out.push_str(&line("witnessed_s", limits.witnessed_s, " since a quorum of witnesses stood by it"));
    out.push_str(&line("published_s", limits.published_s, " since its owner confirmed it"));
    out.push_str(&line("charter_s", limits.charter_s, " since a quorum named the charter"));
    let seconds = [
        ("witnessed_s", tolerated.witnessed_s),
        ("published_s", tolerated.published_s),
        ("charter_s", tolerated.charter_s),
    ];
    if seconds.iter().any(|(_, second)| second.is_some()) {
        out.push_str(&format!("\n{}", plain("[tolerated]".to_owned(), "up to here accepted, with a warning")));
        for (name, second) in seconds {
            if let Some(secs) = second {
                out.push_str(&line(name, secs, ""));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_shown_reads_as_the_same_policy() {
        for name in Policy::BUILT_IN {
            let policy = Policy::built_in(name).expect("built in");
            let text = toml_of(&policy);
            assert_eq!(toml::from_str::<Policy>(&text).expect("a policy"), policy, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        }
    }
}

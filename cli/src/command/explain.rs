//! `explain`: the whole reasoning on a credential, as a tree; or what a code means and what to do. Opens no socket.

use std::path::Path;

use serde::Serialize;
use standfast_protocol::limits::CREDENTIAL_SIZE_MAX;
use standfast_protocol::time::Time;
use standfast_protocol::verdict::{Check, CheckName, CheckResult, Code, Evidence, Warning};

use super::Context;
use super::verify::card;
use super::verify::judged::{Bench, Judged};
use super::verify::{exit_of, unreadable, why};
use crate::args::officer::Explain;
use crate::codes::{self, CodeWords};
use crate::error::{CliError, CliResult, Exit};
use crate::output::{COLUMNS, Sign, Style, columns, cut, words, wrap};
use crate::{policy_source, trust_source};

/// Columns before the text of a check: `├─ ✓ signature   `.
const INDENT: usize = 17;

#[derive(Serialize)]
struct CodeDocument<'a> {
    kind: &'static str,
    code: &'a str,
    outcome: &'a str,
    exit: u8,
    meaning: &'a str,
    follows: &'a str,
    action: &'a str,
}

/// `explain`.
pub fn run(context: &Context, command: &Explain) -> CliResult {
    let subject = &command.subject;
    let is_file = subject == "-" || Path::new(subject).exists();
    if !is_file && let Some(document) = code_document(subject) {
        context.output.result(&document, |_| draw_code(&document))?;
        return Ok(Exit::Done);
    }
    if !is_file && !subject.contains(['/', '.']) {
        return Err(no_such(subject));
    }
    explain(context, Path::new(subject))
}

fn code_document(text: &str) -> Option<CodeDocument<'_>> {
    let kind = "standfast/code/v1";
    if let Some(code) = Code::from_text(text) {
        let CodeWords { meaning, follows, action, .. } = codes::of(code);
        let outcome = if code.result() == CheckResult::Failed { "rejected" } else { "indeterminate" };
        return Some(CodeDocument { kind, code: text, outcome, exit: code.exit(), meaning, follows, action });
    }
    let warning = codes::WARNINGS.iter().map(|warning| codes::of_warning(*warning)).find(|(code, ..)| *code == text);
    let (_, meaning, follows) = warning?;
    Some(CodeDocument { kind, code: text, outcome: "accepted", exit: 0, meaning, follows, action: "nothing more" })
}

fn draw_code(document: &CodeDocument<'_>) -> String {
    let mut out = String::new();
    let mut add = |first: &str, indent: usize, text: &str| {
        for (i, line) in wrap(text, COLUMNS - indent).into_iter().enumerate() {
            let lead = if i == 0 { format!("{first:<indent$}") } else { " ".repeat(indent) };
            out.push_str(&format!("{lead}{line}\n"));
        }
    };
    add("", 0, &format!("{}: {}", document.code, document.meaning));
    add("", 2, document.follows);
    add("  do", 6, document.action);
    out
}

fn no_such(subject: &str) -> CliError {
    let near =
        Code::ALL.iter().map(|code| code.as_str()).filter(|code| code.starts_with(subject) || code.ends_with(subject));
    let near: Vec<&str> = near.collect();
    let error = CliError::new("file-missing", Exit::Usage, format!("{subject} is neither a file nor a code"));
    match near.as_slice() {
        [] => error.hint("see the codes of a verdict: standfast verify FILE"),
        near => near.iter().take(3).fold(error, |error, code| error.hint(format!("perhaps: standfast explain {code}"))),
    }
}

fn explain(context: &Context, path: &Path) -> CliResult {
    let bytes = context.read(path, CREDENTIAL_SIZE_MAX as u64)?;
    let policy = policy_source::load(context)?;
    let trusted = trust_source::load(context)?;
    let bench =
        Bench { snapshot: &trusted.snapshot, policy: &policy, now: context.now, now_given: context.is_now_given() };
    let judged = bench.judge(&path.to_string_lossy(), &bytes);
    if judged.is_unreadable() && !context.output.json {
        return Err(unreadable(&judged));
    }
    context.output.result(&judged.verdict, |style| draw(&bench, &judged, style))?;
    Ok(exit_of(&judged))
}

fn draw(bench: &Bench<'_>, judged: &Judged, style: &Style) -> String {
    let (sign, decision, headline) = card::head(bench, judged);
    let mut out = style.in_color_of(sign, &format!("{} {decision}", sign.as_char()));
    out.push_str(&format!("   {headline}\n"));
    let last = judged.verdict.checks.len().saturating_sub(1);
    for (i, check) in judged.verdict.checks.iter().enumerate() {
        let (branch, below) = if i == last { ("└─", "  ") } else { ("├─", "│ ") };
        out.push_str(&format!("{branch} {} {:<12}", style.sign(sign_of(check)), check.name.as_str()));
        let lines = lines(bench, judged, check);
        let lines = lines.iter().flat_map(|line| wrap(line, COLUMNS - INDENT));
        for (n, line) in lines.enumerate() {
            if n > 0 {
                out.push_str(below);
                out.push_str(&" ".repeat(INDENT - 2));
            }
            let line = if line.ends_with(')') { line } else { cut(&line, COLUMNS - INDENT) };
            out.push_str(&line);
            out.push('\n');
        }
        if check.name == CheckName::Authority {
            draw_path(bench, judged, below, &mut out);
        }
    }
    for warning in &judged.verdict.warnings {
        let said = card::note(bench, *warning, judged);
        let is_wrong =
            matches!(warning, Warning::RegisterForked | Warning::RegisterFrozen | Warning::WitnessMisbehaved);
        let mark = if is_wrong { "!" } else { "note:" };
        out.push_str(&wrap(&format!("{mark} {said}"), COLUMNS - 2).join(
            "
  ",
        ));
        out.push('\n');
    }
    if judged.verdict.code().is_some() {
        out.push_str(&format!("→ {}\n", card::action(bench, judged)));
    }
    out
}

fn sign_of(check: &Check) -> Sign {
    match (check.result, check.code) {
        (_, Some(Code::RegisterForked | Code::RegisterFrozen | Code::CharterForked)) => Sign::Tampered,
        (CheckResult::Passed, _) => Sign::Good,
        (CheckResult::Failed, _) => Sign::Bad,
        (CheckResult::Unknown, _) => Sign::Open,
        (CheckResult::Skipped, _) => Sign::Skipped,
    }
}

/// What a check found: what passed in the words of the register, what did not as on the card.
fn lines(bench: &Bench<'_>, judged: &Judged, check: &Check) -> Vec<String> {
    if let Some(code) = check.code {
        if judged.verdict.code() == Some(code) {
            return why::row(bench, judged).lines;
        }
        return vec![format!("{} ({})", bench.shorten(&check.reason), code.as_str())];
    }
    if check.result == CheckResult::Skipped {
        return vec![bench.shorten(&check.reason)];
    }
    let credential = &judged.verdict.credential;
    let line = match check.name {
        CheckName::Format => {
            let format = credential.format.as_deref().unwrap_or("unknown");
            format!("{format}, {}", words::size_exact(credential.size_bytes))
        }
        CheckName::Signature => {
            let key = credential.key.as_deref().map(words::did).unwrap_or_default();
            format!("EdDSA by {key}")
        }
        CheckName::Issuer => match check.evidence.first() {
            Some(at) => {
                format!("the key is in its document, {} {}", bench.name(&at.register), words::grouped(at.size))
            }
            None => bench.shorten(&check.reason),
        },
        CheckName::Authority => {
            let trust = &judged.verdict.trust;
            let end = Time::from_secs_saturating(bench.snapshot.charter().document().expires_at);
            let left = words::left(end.since(judged.verdict.clock.used_at));
            let network = words::short(&trust.network.to_string());
            format!("charter {}, network {network}, expires in {left}", trust.charter)
        }
        CheckName::Validity => {
            let shown = |time: Option<Time>| time.map_or_else(|| "open".to_owned(), words::date);
            format!("{} until {}", shown(credential.valid_from_at), shown(credential.valid_until_at))
        }
        CheckName::Status => status(bench, judged, check),
        CheckName::Holder | CheckName::Freshness => ages(bench, judged, check),
    };
    vec![line]
}

/// Every list that was read, with the index and the length.
fn status(bench: &Bench<'_>, judged: &Judged, check: &Check) -> String {
    let entries = judged.credential.as_ref().map(|credential| credential.status()).unwrap_or_default();
    if entries.is_empty() {
        return bench.shorten(&check.reason);
    }
    let lists = entries.iter().map(|entry| {
        let length = check.evidence.iter().find_map(|at| list_length(bench, at, &entry.list));
        let length = length.map(|length| format!(", {} long", words::grouped(length))).unwrap_or_default();
        let word = if entry.purpose == "suspension" { "not suspended" } else { "not revoked" };
        let list = cut(&words::clean(&entry.list), 34);
        format!("{word}: index {} of {list}{length}", words::grouped(entry.index))
    });
    lists.collect::<Vec<_>>().join(" · ")
}

fn list_length(bench: &Bench<'_>, at: &Evidence, list: &str) -> Option<u64> {
    let held = bench.snapshot.held(&at.register)?;
    let key = standfast_protocol::register::record::RecordKey::status(list).ok()?;
    let body = held.bodies().get(&held.digest_witnessed(&key)?)?;
    body.status_list().ok().map(|list| list.length())
}

fn ages(bench: &Bench<'_>, judged: &Judged, check: &Check) -> String {
    let Some(ages) = judged.verdict.ages().filter(|_| check.name == CheckName::Freshness) else {
        return bench.shorten(&check.reason);
    };
    let shown = |age: Option<u64>| age.map_or_else(|| "never".to_owned(), words::age);
    format!(
        "witnessed {} · published {} · charter {}",
        shown(ages.witnessed.age_s),
        shown(ages.published.age_s),
        shown(ages.charter.age_s)
    )
}

/// The registers of the trust path, from the anchor to the issuer's own.
fn draw_path(bench: &Bench<'_>, judged: &Judged, below: &str, out: &mut String) {
    let path = &judged.verdict.trust.path;
    let now = judged.verdict.clock.device_at.secs();
    let age = |origin: &str| {
        let age = bench.snapshot.ages(origin, now).and_then(|ages| ages.age(ages.witnessed));
        age.map_or_else(|| "never witnessed".to_owned(), |age| format!("{} old", words::age(age)))
    };
    let home = bench.home(judged).map(|held| held.register());
    let home = home.filter(|home| path.last().is_none_or(|step| step.register != home.origin()));
    let names: Vec<String> =
        path.iter().map(|step| bench.name(&step.register)).chain(home.map(|home| bench.name(home.origin()))).collect();
    if path.is_empty() {
        return;
    }
    let width = names.iter().map(|name| columns(name)).max().unwrap_or(0);
    let last = names.len().saturating_sub(1);
    let mut line = |text: String| {
        out.push_str(&cut(&text, COLUMNS));
        out.push('\n');
    };
    for (i, (step, name)) in path.iter().zip(&names).enumerate() {
        let (branch, inner) = if i == last { ("└─", "  ") } else { ("├─", "│ ") };
        let role = if i == 0 { "anchor · " } else { "" };
        let (size, age) = (words::grouped(step.size), age(&step.register));
        line(format!("{below} {branch} {name:<width$}   {role}size {size} · {age}"));
        let until = step.until_at.map(|until| format!(" until {}", words::date(until))).unwrap_or_default();
        let grants = match path.get(i + 1) {
            Some(next) => format!("recognises {}", words::did(&next.authority)),
            None => {
                let types: Vec<String> = judged.verdict.credential.types.iter().map(|t| words::clean(t)).collect();
                format!("grants issue {}", types.join(", "))
            }
        };
        let room = COLUMNS.saturating_sub(6 + columns(&until));
        line(format!("{below} {inner} {}{until}", cut(&grants, room)));
    }
    if let Some(home) = home {
        let size = home.size_witnessed();
        let root = home.root_at(size).map(|root| format!(" · root {}", words::short(&root.to_string())));
        let (name, age) = (bench.name(home.origin()), age(home.origin()));
        let size = words::grouped(size);
        line(format!("{below} └─ {name:<width$}   size {size}{} · {age}", root.unwrap_or_default()));
    }
}

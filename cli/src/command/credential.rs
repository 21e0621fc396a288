//! `credential`: issue, revoke, decode.

pub mod indices;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use standfast_node::keystore::KeyUse;
use standfast_protocol::credential::contexts::Contexts;
use standfast_protocol::credential::data_integrity::Suite;
use standfast_protocol::credential::issue::{IssueError, complete, issue_data_integrity, issue_vc_jwt};
use standfast_protocol::credential::json::Json;
use standfast_protocol::credential::{Credential, StatusEntry};
use standfast_protocol::did;
use standfast_protocol::key::PublicKey;
use standfast_protocol::limits;
use standfast_protocol::status::native::StatusList;
use standfast_protocol::time::Time;

use self::indices::IndexBook;
use super::{Context, key_error, signing_error};
use crate::args::agency::{Credential as Verb, CredentialForm};
use crate::args::change::Change;
use crate::change::batch::StatusValue;
use crate::change::{self, Kind, RecordChange, View};
use crate::error::{CliError, CliResult, Exit};
use crate::output::words;

/// Bytes of lines on stdin: a million of `URI#INDEX`.
const LINES_SIZE_MAX: u64 = 128 * 1024 * 1024;

/// Runs a verb of `credential`.
pub fn run(context: &Context, command: Verb) -> CliResult {
    match command {
        Verb::Issue { file, key, form, status, out, yes } => {
            issue(context, &Order { file: &file, key: &key, form, status: status.as_deref(), out: &out, yes })
        }
        Verb::Show { file } => show(context, &file),
        Verb::Revoke { what, change } => set_status(context, Deed::Revoke, &what, &change),
        Verb::Suspend { what, change } => set_status(context, Deed::Suspend, &what, &change),
        Verb::Reinstate { what, change } => set_status(context, Deed::Reinstate, &what, &change),
    }
}

struct Order<'a> {
    file: &'a Path,
    key: &'a str,
    form: CredentialForm,
    status: Option<&'a str>,
    out: &'a Path,
    yes: bool,
}

#[derive(Serialize)]
struct IssuedDocument<'a> {
    kind: &'static str,
    file: String,
    format: &'static str,
    size_bytes: u64,
    issuer: &'a str,
    key: &'a str,
    status_list: Option<&'a str>,
    status_index: Option<u64>,
}

fn issue(context: &Context, order: &Order<'_>) -> CliResult {
    let bytes = context.read(order.file, limits::CREDENTIAL_SIZE_MAX as u64)?;
    let not_one = || CliError::malformed(format!("{} is not a credential to sign", order.file.display()));
    let unsigned = Json::parse(&bytes).map_err(|e| not_one().because(&e))?;
    let public = context.keystore().public(order.key).map_err(|e| key_error(&e))?;
    public.demand(KeyUse::Issue).map_err(|e| key_error(&e))?;
    let public_key = public.key().map_err(|e| CliError::of("key-damaged", Exit::Usage, &e))?;
    let named = unsigned.get("issuer").and_then(|i| i.as_str().or_else(|| i.get("id").and_then(Json::as_str)));
    let (issuer, method) = issuer_of(context, public_key, named)?;
    // Checked without a status first, so that a malformed file costs no index.
    complete(&unsigned, &issuer, context.now, None).map_err(|e| not_one().because(&e))?;
    let signer = context.unlock(order.key, KeyUse::Issue)?;
    let mut book = order.status.map(|uri| IndexBook::open(&context.config.data_dir, uri)).transpose()?;
    let status = book.as_mut().map(IndexBook::draw).transpose()?;
    let credential = complete(&unsigned, &issuer, context.now, status.as_ref()).map_err(|e| not_one().because(&e))?;
    let signed = match order.form {
        CredentialForm::VcJwt => issue_vc_jwt(&credential, &method, &signer),
        CredentialForm::EddsaJcs2022 | CredentialForm::EddsaRdfc2022 => {
            let suite =
                if order.form == CredentialForm::EddsaJcs2022 { Suite::EddsaJcs2022 } else { Suite::EddsaRdfc2022 };
            let contexts = Contexts::builtin();
            issue_data_integrity(&credential, suite, &method, context.now, &signer, &contexts)
                .map(|json| json.to_string())
        }
    };
    let signed = signed.map_err(|e| match &e {
        IssueError::Signing(error) => signing_error(error),
        IssueError::Format(_) | IssueError::Context(_) => not_one().because(&e),
    })?;
    context.write(order.out, signed.as_bytes(), order.yes)?;
    if order.out == Path::new("-") {
        return Ok(Exit::Done);
    }
    let length = book.as_ref().map(IndexBook::length);
    report(context, order, &signed, (&issuer, &method), status.as_ref().zip(length))
}

fn report(
    context: &Context,
    order: &Order<'_>,
    signed: &str,
    (issuer, key): (&str, &str),
    status: Option<(&StatusEntry, u64)>,
) -> CliResult {
    let document = IssuedDocument {
        kind: "standfast/credential-issued/v1",
        file: order.out.display().to_string(),
        format: match order.form {
            CredentialForm::VcJwt => "vc+jwt",
            CredentialForm::EddsaJcs2022 => "eddsa-jcs-2022",
            CredentialForm::EddsaRdfc2022 => "eddsa-rdfc-2022",
        },
        size_bytes: signed.len() as u64,
        issuer,
        key,
        status_list: status.map(|(entry, _)| entry.list.as_str()),
        status_index: status.map(|(entry, _)| entry.index),
    };
    context.output.result(&document, |_| {
        let status = match status {
            Some((entry, length)) => format!("index {}", words::share(entry.index, length)),
            None => "without a status, so it can never be revoked".to_owned(),
        };
        format!("Wrote {}, {}: {status}\n", order.out.display(), words::size(signed.len() as u64))
    })?;
    Ok(Exit::Done)
}

/// Returns the issuer and its method for a key: of a document that was made here, else `did:key`.
fn issuer_of(context: &Context, key: PublicKey, named: Option<&str>) -> CliResult<(String, String)> {
    if let Some(found) = super::did::method_of(context, key, named)? {
        return Ok(found);
    }
    let own = did::key::did_of(key);
    match named {
        Some(named) if named != own => {
            let named = words::did(named);
            Err(CliError::usage(format!("the credential names {named}, and no document of it with this key is here"))
                .hint("make it: standfast did create HOST --method web --key KEY"))
        }
        _ => Ok((own, did::key::method_of(key))),
    }
}

#[derive(Serialize)]
struct ShownDocument<'a> {
    kind: &'static str,
    verified: bool,
    format: &'static str,
    size_bytes: u64,
    issuer: &'a str,
    key: &'a str,
    types: &'a [String],
    valid_from_at: Option<Time>,
    valid_until_at: Option<Time>,
    status: Vec<ShownStatus<'a>>,
    claims: serde_json::Value,
}

#[derive(Serialize)]
struct ShownStatus<'a> {
    purpose: &'a str,
    list: &'a str,
    index: u64,
}

fn show(context: &Context, path: &Path) -> CliResult {
    let credential = read_credential(context, path)?;
    let status = credential.status().iter();
    let claims = serde_json::from_str(&credential.subject().to_string()).unwrap_or_default();
    let document = ShownDocument {
        kind: "standfast/credential/v1",
        verified: false,
        format: credential.format().name(),
        size_bytes: credential.size_bytes() as u64,
        issuer: credential.issuer(),
        key: credential.verification_method(),
        types: credential.types(),
        valid_from_at: credential.valid_from(),
        valid_until_at: credential.valid_until(),
        status: status.map(|s| ShownStatus { purpose: &s.purpose, list: &s.list, index: s.index }).collect(),
        claims,
    };
    context.output.result(&document, |_| {
        let mut out = format!("– not verified: {}, {}\n", document.format, words::size(document.size_bytes));
        let mut row = |label: &str, text: &str| out.push_str(&format!("  {label:<7} {}\n", words::clean(text)));
        document.types.iter().for_each(|name| row("type", name));
        row("issuer", &words::did(document.issuer));
        row("key", &words::did(document.key));
        let from = document.valid_from_at.map_or_else(|| "without beginning".to_owned(), words::date);
        let until = document.valid_until_at.map(|t| format!(" until {}", words::date(t)));
        row("valid", &format!("{from}{}", until.as_deref().unwrap_or(", without end")));
        for status in &document.status {
            row("status", &format!("{} · index {} of {}", status.purpose, words::grouped(status.index), status.list));
        }
        let claims = serde_json::to_string_pretty(&document.claims).unwrap_or_default();
        claims.lines().for_each(|line| out.push_str(&format!("  {}\n", words::clean(line))));
        out
    })?;
    Ok(Exit::Done)
}

/// Reads a credential's file; says what was expected when it is none.
pub fn read_credential(context: &Context, path: &Path) -> CliResult<Credential> {
    let bytes = context.read(path, limits::CREDENTIAL_SIZE_MAX as u64)?;
    Credential::parse(bytes.trim_ascii()).map_err(|e| {
        let first: String = String::from_utf8_lossy(&bytes).chars().take(8).collect();
        CliError::new("format-malformed", Exit::Usage, format!("{} is not a credential", path.display()))
            .cause(format!("expected a JWT, an SD-JWT or JSON; it begins with {:?}", words::clean(&first)))
            .because(&e)
            .hint("give the token itself: standfast verify licence.jwt")
    })
}

/// What is done to the status of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Revoke,
    Suspend,
    Reinstate,
}

impl Deed {
    fn purpose(self) -> &'static str {
        match self {
            Self::Revoke => "revocation",
            Self::Suspend | Self::Reinstate => "suspension",
        }
    }

    fn value(self) -> u8 {
        match self {
            Self::Revoke | Self::Suspend => 1,
            Self::Reinstate => 0,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Revoke | Self::Suspend => Kind::Withdrawal,
            Self::Reinstate => Kind::Grant,
        }
    }
}

/// Sets the status of credentials: all of them in one change, one new body for each list.
fn set_status(context: &Context, deed: Deed, what: &[String], change: &Change) -> CliResult {
    let statuses = statuses_of(context, what, deed.purpose())?;
    if statuses.is_empty() {
        return Err(CliError::usage("no credential was given"));
    }
    let value = |(list, index): &(String, u64)| StatusValue { list: list.clone(), index: *index, value: deed.value() };
    let values: Vec<StatusValue> = statuses.iter().map(value).collect();
    change::run_status(context, change, deed.kind(), &values, |view| {
        let mut lists: BTreeMap<&str, Vec<(u64, u8)>> = BTreeMap::new();
        for (uri, index) in &statuses {
            lists.entry(uri).or_default().push((*index, deed.value()));
        }
        lists.into_iter().map(|(uri, values)| edited(view, deed, uri, &values)).collect()
    })
}

fn edited(view: &View<'_>, deed: Deed, uri: &str, values: &[(u64, u8)]) -> CliResult<RecordChange> {
    let key = super::status_list::key_of(uri)?;
    let shown = words::clean(uri);
    let name = crate::held::name(view.replica(), view.origin());
    let body = view.body(&key)?.ok_or_else(|| {
        CliError::new("status-missing", Exit::Refused, format!("{name} has no list {shown}"))
            .hint("only the register that holds a list can change it: standfast status-list list")
    })?;
    let list = StatusList::parse(&body).map_err(|e| {
        CliError::new("status-foreign", Exit::Refused, format!("list {shown} is signed elsewhere"))
            .because(&e)
            .hint("change it where it is signed, then publish it: standfast record publish")
    })?;
    if list.purpose() != deed.purpose() {
        let fitting = match list.purpose() {
            "revocation" => "standfast credential revoke; it is for good",
            _ => "standfast credential suspend, or reinstate",
        };
        return Err(CliError::usage(format!("list {shown} is for {}", words::clean(list.purpose())))
            .hint(format!("what fits: {fitting}")));
    }
    let beyond = |e| CliError::usage(format!("list {shown} has no such status")).because(&e);
    let new = list.edited(list.length(), values).map_err(beyond)?;
    Ok(RecordChange::put(key, new.encode()))
}

/// Reads what is to be revoked: `URI#INDEX`, or a credential's file, or `-` for lines of either. Returns list and index.
pub fn statuses_of(context: &Context, what: &[String], purpose: &str) -> CliResult<Vec<(String, u64)>> {
    let mut out = Vec::new();
    for word in what {
        if word == "-" {
            let bytes = context.read(Path::new("-"), LINES_SIZE_MAX)?;
            let text = String::from_utf8(bytes).map_err(|_| CliError::malformed("expected lines of UTF-8 on stdin"))?;
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                out.push(status_of(context, line, purpose)?);
            }
        } else {
            out.push(status_of(context, word, purpose)?);
        }
    }
    out.sort();
    out.dedup();
    Ok(out)
}

fn status_of(context: &Context, word: &str, purpose: &str) -> CliResult<(String, u64)> {
    if let Some((uri, index)) = word.rsplit_once('#')
        && uri.contains(':')
        && let Some(index) = standfast_protocol::log::checkpoint::parse_decimal(index, u64::MAX)
    {
        return Ok((uri.to_owned(), index));
    }
    let credential = match Credential::parse(word.as_bytes()) {
        Ok(credential) => credential,
        Err(_) => read_credential(context, Path::new(word))?,
    };
    let entry = credential.status().iter().find(|entry| entry.purpose == purpose);
    entry.map(|entry| (entry.list.clone(), entry.index)).ok_or_else(|| {
        let word = words::clean(word);
        CliError::usage(format!("{word} has no status of purpose {purpose}, so it cannot be taken back"))
            .hint("withdraw the issuer's permission or its key instead, or wait for the credential's end")
    })
}

//! `key`: one key, one use.

use std::fs::File;
use std::io;
use std::path::Path;

use serde::Serialize;
use standfast_node::keystore::{KeyUse, KeystoreError, PublicPart, Seed, SeedError, argv_of};
use standfast_protocol::key::VerifierKey;
use standfast_protocol::time::Time;

use super::register::ledger_error;
use super::{Context, key_error};
use crate::args::agency::{Key, PublicForm};
use crate::change;
use crate::error::{CliError, CliResult, Exit};
use crate::output::table::{Column, Table};
use crate::output::words;

/// A key as `--json` shows it.
#[derive(Serialize)]
struct KeyDocument<'a> {
    kind: &'static str,
    name: &'a str,
    #[serde(rename = "use")]
    key_use: KeyUse,
    algorithm: &'a str,
    public_key: &'a str,
    view_public_key: Option<&'a str>,
    origin: Option<&'a str>,
    verifier_keys: Vec<VerifierKey>,
    created_at: Time,
    passphrase_changed_at: Time,
    signer: Option<&'a [String]>,
}

#[derive(Serialize)]
struct KeysDocument<'a> {
    kind: &'static str,
    keys: Vec<KeyDocument<'a>>,
}

fn document(public: &PublicPart) -> CliResult<KeyDocument<'_>> {
    Ok(KeyDocument {
        kind: "standfast/key/v1",
        name: &public.name,
        key_use: public.key_use,
        algorithm: &public.algorithm,
        public_key: &public.public_key,
        view_public_key: public.view_public_key.as_deref(),
        origin: public.origin.as_deref(),
        verifier_keys: verifier_keys(public)?,
        created_at: public.created_at,
        passphrase_changed_at: public.passphrase_changed_at,
        signer: public.signer.as_deref(),
    })
}

fn verifier_keys(public: &PublicPart) -> CliResult<Vec<VerifierKey>> {
    public.verifier_keys().map_err(|e| CliError::of("key-damaged", Exit::Usage, &e))
}

/// Runs a verb of `key`.
pub fn run(context: &Context, command: Key) -> CliResult {
    match command {
        Key::Create { name, key_use, signer } => create(context, &name, key_use.into(), signer.as_deref()),
        Key::Import { name, file, key_use } => import(context, &name, &file, key_use.into()),
        Key::List => list(context),
        Key::Show { name, form } => show(context, &name, form),
        Key::Passphrase { name } => passphrase(context, &name),
    }
}

fn create(context: &Context, name: &str, key_use: KeyUse, signer: Option<&str>) -> CliResult {
    let keys = context.keystore();
    match keys.public(name) {
        Err(KeystoreError::Missing { .. }) => {}
        Err(other) => return Err(key_error(&other)),
        Ok(_) => return Err(key_error(&KeystoreError::Exists(name.to_owned()))),
    }
    let public = match signer {
        Some(command) => argv_of(command).and_then(|argv| keys.create_behind(name, key_use, &argv, context.now)),
        None => keys.create(name, key_use, &context.new_passphrase(name)?, context.now),
    };
    let public = public.map_err(|e| key_error(&e))?;
    if key_use == KeyUse::Register && signer.is_none() {
        // Drawn here this moment, it has signed nothing; of any other key that is not known.
        let key = public.key().map_err(|e| CliError::of("key-damaged", Exit::Usage, &e))?;
        change::fence::marker(context, &key).begin().map_err(|e| ledger_error(&e))?;
    }
    context.output.result(&document(&public)?, |_| {
        let (algorithm, things) = (&public.algorithm, public.key_use.things());
        let short = words::short(&public.public_key);
        let behind = program_of(&public).map(|program| format!("Its secret stays behind {program}\n"));
        format!("Created key {name} ({algorithm}, for {things} only): {short}\n{}", behind.unwrap_or_default())
    })?;
    Ok(Exit::Done)
}

/// The program that keeps a key's secret.
fn program_of(public: &PublicPart) -> Option<String> {
    public.signer.as_deref()?.first().map(|program| words::clean(program))
}

fn import(context: &Context, name: &str, path: &Path, key_use: KeyUse) -> CliResult {
    let keys = context.keystore();
    if key_use == KeyUse::Witness {
        return Err(key_error(&KeystoreError::TwoSeeds(key_use)));
    }
    let seed = if path == Path::new("-") {
        Seed::read(io::stdin().lock())
    } else {
        File::open(path).map_err(SeedError::from).and_then(Seed::read)
    };
    let seed = seed.map_err(|error| seed_error(path, &error))?;
    keys.check_import(name, key_use, &seed).map_err(|e| key_error(&e))?;
    let passphrase = context.new_passphrase(name)?;
    let public = keys.import(name, key_use, &seed, &passphrase, context.now).map_err(|e| key_error(&e))?;
    context.output.result(&document(&public)?, |_| {
        let (algorithm, things) = (&public.algorithm, public.key_use.things());
        let short = words::short(&public.public_key);
        format!(
            "Imported key {name} ({algorithm}, for {things} only): {short}\n\
             → next: delete the file that it came from, and use the key for nothing else\n"
        )
    })?;
    Ok(Exit::Done)
}

fn seed_error(path: &Path, error: &SeedError) -> CliError {
    let malformed = CliError::malformed(format!("{} is no key to import", path.display())).because(error);
    match error {
        SeedError::File(source) => CliError::file(path, source),
        SeedError::Label | SeedError::Pem | SeedError::Der => {
            malformed.hint("write it anew: openssl pkey -in FILE -out NEW")
        }
        SeedError::Raw => malformed.hint("write it as hex: xxd -p -c 32 FILE"),
        SeedError::Size | SeedError::Form => malformed,
    }
}

fn list(context: &Context) -> CliResult {
    let keys = context.keystore();
    let all = keys.list().map_err(|e| key_error(&e))?;
    let documents = all.iter().map(document).collect::<CliResult<_>>()?;
    let document = KeysDocument { kind: "standfast/keys/v1", keys: documents };
    context.output.result(&document, |style| {
        if all.is_empty() {
            return "No keys here\n→ next: standfast key create NAME --use register|issue|witness|root\n".to_owned();
        }
        let columns = [Column::left("KEY"), Column::left("USE"), Column::left("PUBLIC"), Column::left("SIGNS")];
        let mut table = Table::new(columns, false);
        for public in &all {
            let signs = public.origin.as_deref().map_or_else(|| "-".to_owned(), words::origin_short);
            let row =
                [public.name.clone(), public.key_use.as_str().to_owned(), words::short(&public.public_key), signs];
            table.row(None, row);
        }
        table.draw(style)
    })?;
    Ok(Exit::Done)
}

fn show(context: &Context, name: &str, form: Option<PublicForm>) -> CliResult {
    let public = context.keystore().public(name).map_err(|e| key_error(&e))?;
    let keys = verifier_keys(&public)?;
    let jwk = jwk(&public)?;
    let text = match form {
        None => whole(context, &public, &keys),
        Some(PublicForm::Did) => format!("did:key:{}\n", public.public_key),
        Some(PublicForm::Jwk) => format!("{jwk}\n"),
        Some(PublicForm::Vkey) if keys.is_empty() => return Err(no_verifier_key(&public)),
        Some(PublicForm::Vkey) => keys.iter().map(|key| format!("{key}\n")).collect(),
    };
    match form {
        // A JWK is the document itself.
        Some(PublicForm::Jwk) => context.output.result(&jwk, |_| text)?,
        _ => context.output.result(&document(&public)?, |_| text)?,
    }
    Ok(Exit::Done)
}

fn no_verifier_key(public: &PublicPart) -> CliError {
    let error = CliError::usage(format!("key {} has no verifier key", public.name));
    match public.key_use {
        KeyUse::Register => error
            .cause("it is named by its register, and has none yet")
            .hint(format!("make it: standfast register create HOST --key {}", public.name)),
        _ => error.cause("a key for credentials is named by a DID document").hint("see it as --as did or --as jwk"),
    }
}

fn whole(context: &Context, public: &PublicPart, keys: &[VerifierKey]) -> String {
    let mut out = format!("Key {} ({}, for {} only)\n", public.name, public.algorithm, public.key_use.things());
    let mut row = |label: &str, text: &str| out.push_str(&format!("  {label:<9} {text}\n"));
    row("public", &public.public_key);
    if let Some(view) = &public.view_public_key {
        row("views", view);
    }
    match &public.origin {
        Some(origin) => row("signs", &words::clean(origin)),
        None if public.key_use == KeyUse::Register => row("signs", "no register yet"),
        None => {}
    }
    keys.iter().for_each(|key| row("verifier", &key.to_string()));
    if let Some(argv) = &public.signer {
        row("behind", &words::clean(&argv.join(" ")));
    }
    row("created", &words::ago(public.created_at, context.now));
    if public.passphrase_changed_at != public.created_at {
        row("changed", &format!("passphrase, {}", words::ago(public.passphrase_changed_at, context.now)));
    }
    out
}

/// RFC 8037 §2.
fn jwk(public: &PublicPart) -> CliResult<serde_json::Value> {
    let key = public.key().map_err(|e| CliError::of("key-damaged", Exit::Usage, &e))?;
    let x = data_encoding::BASE64URL_NOPAD.encode(key.as_bytes());
    Ok(serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": x}))
}

fn passphrase(context: &Context, name: &str) -> CliResult {
    let keys = context.keystore();
    let held = keys.public(name).map_err(|e| key_error(&e))?;
    if held.signer.is_some() {
        return Err(key_error(&KeystoreError::Elsewhere(name.to_owned())));
    }
    let old = context.passphrase(name, "Present passphrase for key")?;
    let new = context.new_passphrase(name)?;
    let public = keys.change_passphrase(name, &old, &new, context.now).map_err(|e| key_error(&e))?;
    context.output.result(&document(&public)?, |_| format!("Key {name} has a new passphrase\n"))?;
    Ok(Exit::Done)
}

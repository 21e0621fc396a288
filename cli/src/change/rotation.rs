//! `register rotate`: another key for a register, in three steps that never leave it unsigned (`specs/register.md` §9).
//!
//! ```text
//!             bound above        signs heads          the newest head is signed by
//! 1 of 3      old, then both     old                  old
//! 2 of 3      both               both                 old and new
//! 3 of 3      both, then new     both, then new       old and new, then new
//! ```
//!
//! Each run looks at what is bound and signed and does the step that is due: a run that was killed is simply run again.

use std::path::{Path, PathBuf};

use serde::Serialize;
use standfast_node::fence::Continuity;
use standfast_node::file;
use standfast_node::keystore::{KeyUse, KeystoreError, PublicPart};
use standfast_node::ledger::{Ground as LedgerGround, Ledger, LedgerError};
use standfast_protocol::key::{Algorithm, VerifierKey};
use standfast_protocol::register::fact::Binding;
use standfast_protocol::replica::{Bound, Replica};
use standfast_protocol::sync::Submission;
use standfast_protocol::trust::{bound_keys, continues};

use super::draft::{self, Outbox};
use super::{Publisher, stopped_words};
use crate::command::register::{binding_bytes, ledger_error, own_registers, read_binding};
use crate::command::{Context, key_error};
use crate::error::{CliError, CliResult, Exit};
use crate::held;
use crate::output::{Sign, Style, words};

#[derive(Serialize)]
struct RotationDocument<'a> {
    kind: &'static str,
    register: &'a str,
    to: &'a str,
    /// 1 to 3; `null` when nothing is left to do.
    step: Option<u8>,
    /// Sizes of the checkpoints that were signed again by this run.
    signed: Vec<u64>,
    binding: Option<String>,
}

/// Runs `register rotate`: does the step that is due.
pub fn rotate(context: &Context, register: &str, to: &str, out: Option<PathBuf>, yes: bool) -> CliResult {
    let own = own_registers(context, Some(register))?;
    let (old, origin) = match own.iter().find(|key| key.name != to) {
        Some(old) => (old.clone(), old.origin.clone().unwrap_or_default()),
        None => {
            return Err(CliError::usage(format!("key {to} is the register's only key already"))
                .hint("make the one that is to follow: standfast key create NAME --use register"));
        }
    };
    let new = join(context, to, &old, &origin)?;
    let mut publisher = Publisher::open(context, Some(&origin))?;
    let replica = publisher.replica()?;
    let bindings = replica.bindings(&origin);
    let is_old = |key: &VerifierKey| key.algorithm() == Algorithm::Note && *key != new;
    let lacking: Vec<_> = bindings.iter().filter(|(_, bound)| !bound.keys.contains(&new)).collect();
    let path = out.unwrap_or_else(|| PathBuf::from(format!("{}.binding", from(&own, to, &bindings).name)));
    let mut keys = union(&bindings);
    if lacking.len() == bindings.len() {
        keys.push(new);
        write(context, &path, &origin, &keys, yes)?;
        return tell(context, &origin, to, Done::Added { path: &path, next: above(&bindings) });
    }
    if !lacking.is_empty() {
        return Err(waits(&replica, &lacking, to));
    }
    if !bindings.iter().any(|(_, bound)| bound.keys.iter().any(is_old)) {
        let name = held::name(&replica, &origin);
        return tell(context, &origin, to, Done::Over { name: &name, old: &old.name });
    }
    let signed = publisher.sign_again(&new)?;
    let newest = publisher.replica()?.register(&origin).map_or(0, |register| register.size_newest());
    // The first key of a binding signs heads.
    keys.retain(|key| !is_old(key) && *key != new);
    keys.insert(0, new);
    write(context, &path, &origin, &keys, yes)?;
    let old = from(&own, to, &bindings).name.as_str();
    tell(context, &origin, to, Done::Signed { signed: &signed, newest, path: &path, next: above(&bindings), old })
}

/// Makes a key one of the register's: its ledger begins with what the old one has signed, and the timestamping key stays the
/// same. Each step can be run again after a crash; the ledger comes first, for without it the key signs nothing.
fn join(context: &Context, to: &str, old: &PublicPart, origin: &str) -> CliResult<VerifierKey> {
    let keys = context.keystore();
    let public = keys.public(to).map_err(|e| key_error(&e))?;
    public.demand(KeyUse::Register).map_err(|e| key_error(&e))?;
    if let Some(other) = public.origin.as_deref().filter(|other| *other != origin) {
        return Err(key_error(&KeystoreError::Bound { name: to.to_owned(), origin: other.to_owned() }));
    }
    let damaged = |e: &dyn std::error::Error| CliError::of("key-damaged", Exit::Usage, e);
    let public_key = public.key().map_err(|e| damaged(&e))?;
    let new = VerifierKey::new(origin, Algorithm::Note, public_key).map_err(|e| damaged(&e))?;
    if public.origin.is_none() {
        let old_key = old.verifier_keys().map_err(|e| damaged(&e))?.into_iter().next();
        let old_key = old_key.ok_or_else(|| key_error(&KeystoreError::Unbound(old.name.clone())))?;
        match Ledger::create(&keys.ledger_path(to), &new) {
            Ok(()) | Err(LedgerError::Exists(_)) => {}
            Err(other) => return Err(ledger_error(&other)),
        }
        let before = Ledger::open(&keys.ledger_path(&old.name), &old_key).map_err(|e| ledger_error(&e))?;
        let mut ledger = Ledger::open(&keys.ledger_path(to), &new).map_err(|e| ledger_error(&e))?;
        ledger.take_over(&before).map_err(|e| ledger_error(&e))?;
        keys.adopt_timestamp(&old.name, to).map_err(|e| key_error(&e))?;
        keys.bind_origin(to, origin).map_err(|e| key_error(&e))?;
    }
    Ok(new)
}

/// The key that is to go: the one of ours that is bound, else the oldest.
fn from<'a>(own: &'a [PublicPart], to: &str, bindings: &[(Option<&str>, Bound)]) -> &'a PublicPart {
    let bound = union(bindings);
    let is_bound =
        |public: &&PublicPart| public.verifier_keys().is_ok_and(|keys| keys.iter().any(|key| bound.contains(key)));
    let mut others = own.iter().filter(|public| public.name != to);
    others.clone().rev().find(is_bound).or_else(|| others.next()).expect("a rotation has a key to rotate from")
}

/// All keys that any version of any binding names, in their order.
fn union(bindings: &[(Option<&str>, Bound)]) -> Vec<VerifierKey> {
    let mut keys: Vec<VerifierKey> = Vec::new();
    for key in bindings.iter().flat_map(|(_, bound)| &bound.keys) {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    keys
}

/// Who publishes a binding of this register.
fn above(bindings: &[(Option<&str>, Bound)]) -> &'static str {
    match bindings.iter().all(|(register, _)| register.is_none()) {
        true => "the next charter names it",
        false => "the authority above you publishes it",
    }
}

/// Writes a binding file; an earlier one of the same register is replaced without a question.
fn write(context: &Context, path: &Path, origin: &str, keys: &[VerifierKey], yes: bool) -> CliResult<()> {
    let is_ours = path != Path::new("-")
        && path.exists()
        && read_binding(context, path).is_ok_and(|(_, binding)| binding.origin == origin);
    if is_ours {
        let bytes = binding_bytes(origin, keys);
        return file::replace(path, &bytes, file::PUBLIC).map_err(|e| CliError::file(path, &e));
    }
    context.write(path, &binding_bytes(origin, keys), yes)
}

/// Some of those above bind the new key, and others do not yet.
fn waits(replica: &Replica, lacking: &[&(Option<&str>, Bound)], to: &str) -> CliError {
    let mut names: Vec<String> = lacking
        .iter()
        .map(|(register, _)| register.map_or_else(|| "the charter".to_owned(), |origin| held::name(replica, origin)))
        .collect();
    names.sort_unstable();
    names.dedup();
    CliError::new("rotation-waits", Exit::Open, format!("key {to} is not bound everywhere yet"))
        .cause(format!("{} does not bind it, or its entry is not witnessed yet", names.join(", ")))
        .hint("nothing was signed; run it again when that is witnessed: standfast status")
}

enum Done<'a> {
    Added { path: &'a Path, next: &'static str },
    Signed { signed: &'a [u64], newest: u64, path: &'a Path, next: &'static str, old: &'a str },
    Over { name: &'a str, old: &'a str },
}

fn tell(context: &Context, origin: &str, to: &str, done: Done<'_>) -> CliResult {
    let (step, signed, binding) = match &done {
        Done::Added { path, .. } => (Some(1), Vec::new(), Some(path)),
        Done::Signed { signed, path, .. } => (Some(3), signed.to_vec(), Some(path)),
        Done::Over { .. } => (None, Vec::new(), None),
    };
    let binding = binding.map(|path| path.display().to_string());
    let document = RotationDocument { kind: "standfast/rotation/v1", register: origin, to, step, signed, binding };
    context.output.result(&document, |style| draw(style, to, &done))?;
    Ok(Exit::Done)
}

fn draw(style: &Style, to: &str, done: &Done<'_>) -> String {
    let arrow = style.sign(Sign::Next);
    match done {
        Done::Added { path, next } => format!(
            "1 of 3  wrote {} with both keys\n{arrow} next: {next}; then run this command again\n",
            path.display()
        ),
        Done::Signed { signed, newest, path, next, old } => {
            let what = match signed {
                [] if *newest == 0 => "nothing is published yet, so nothing is to be signed".to_owned(),
                [] => format!("checkpoint {} is signed by both, cosignatures hold", words::grouped(*newest)),
                [one] => format!("signed checkpoint {} again, cosignatures hold", words::grouped(*one)),
                [first, .., last] => format!(
                    "signed checkpoints {} to {} again, cosignatures hold",
                    words::grouped(*first),
                    words::grouped(*last)
                ),
            };
            format!(
                "2 of 3  both keys are bound: {what}\n3 of 3  wrote {} with {to} alone\n\
                 {arrow} next: {next}; keep key {old} until status says so\n",
                path.display()
            )
        }
        Done::Over { name, old } => format!(
            "{} {to} alone signs {name}\n{arrow} next: key {old} is bound no more: destroy it, and every copy\n",
            style.sign(Sign::Good)
        ),
    }
}

impl Publisher<'_> {
    /// Signs every checkpoint again, from the witnessed one on, that `key` has not signed, and hands the signatures over.
    /// Returns the sizes.
    fn sign_again(&mut self, key: &VerifierKey) -> CliResult<Vec<u64>> {
        let mut signers = self.signers()?;
        let outbox = Outbox::open(self.context, &self.origin)?;
        let (replica, _) = self.resend(&mut signers, &outbox)?;
        let Some(register) = replica.register(&self.origin).cloned() else { return Ok(Vec::new()) };
        if register.is_forked() || register.frozen().is_some() {
            return Err(stopped_words(&held::name(&replica, &self.origin)));
        }
        let bound = self.bound(&replica);
        let is_proven = self.fence(&bound).continuity(&signers, &replica)? == Continuity::Proven;
        let mut sizes = Vec::new();
        let mut heads = Vec::new();
        for stand in register.stands_from(register.size_witnessed()) {
            let checkpoint = stand.head().checkpoint();
            if stand.head().signers().contains(key) {
                continue;
            }
            let edge = register.edge(checkpoint.size).unwrap_or_default();
            let newest = signers.newest().map_or(0, |(size, _)| size);
            let proof = register.consistency(newest, checkpoint.size).unwrap_or_default();
            let ground = LedgerGround { edge: &edge, proof: &proof };
            let signed = signers.sign(std::slice::from_ref(key), checkpoint, &[], &ground)?;
            sizes.push(checkpoint.size);
            let mut head = draft::head(&signed);
            // All of its entries are held: they need not come again.
            (head.first, head.entries) = (checkpoint.size, Vec::new());
            heads.push(head);
        }
        if is_proven {
            self.fence(&bound).raise(&signers)?;
        }
        if !heads.is_empty() {
            self.desk.submit(Submission { heads, ..Submission::default() })?;
        }
        Ok(sizes)
    }
}

/// Refuses a binding of another's register, and one that would leave the register unsigned: no key of it has signed what
/// this machine holds.
pub fn check_binding(replica: &Replica, binding: &Binding) -> CliResult<()> {
    let keys = bound_keys(binding).map_err(|e| CliError::malformed("the binding binds no register").because(&e))?;
    let name = held::name(replica, &binding.origin);
    let bound = union(&replica.bindings(&binding.origin));
    if !continues(&keys, &bound) {
        return Err(CliError::new(
            "binding-origin",
            Exit::Refused,
            format!("{name} is not the register of these keys"),
        )
        .cause("its name is not that of the first one, and none of them is bound to it now")
        .hint("a key is added first, and the other dropped later: standfast register rotate R --to KEY"));
    }
    let register = replica.register(&binding.origin).filter(|register| register.newest_head().is_some());
    match register {
        Some(register) if !register.is_signed_by(&keys) => {
            Err(CliError::new("register-unsigned", Exit::Open, format!("{name} would be left unsigned"))
                .cause("no key of this binding has signed it, as far as it has come here")
                .hint("its owner signs it again: standfast register rotate R --to KEY")
                .hint("then let a node run until the signature has come, and run this again"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Returns the keys here that are bound to their registers no more, because others here are: each with its register and who
/// signs now.
pub fn dropped(own: &[PublicPart], replica: &Replica) -> Vec<(String, String, String)> {
    let key_of = |public: &PublicPart| public.verifier_keys().ok().and_then(|keys| keys.into_iter().next());
    let mut found = Vec::new();
    for public in own.iter().filter(|public| public.key_use == KeyUse::Register) {
        let (Some(origin), Some(key)) = (&public.origin, key_of(public)) else { continue };
        let bindings = replica.bindings(origin);
        let everywhere = |key: &VerifierKey| bindings.iter().all(|(_, bound)| bound.keys.contains(key));
        let follows = |other: &&PublicPart| {
            other.origin.as_ref() == Some(origin) && key_of(other).is_some_and(|k| everywhere(&k))
        };
        if bindings.is_empty() || union(&bindings).contains(&key) {
            continue;
        }
        if let Some(other) = own.iter().find(follows) {
            found.push((public.name.clone(), held::name(replica, origin), other.name.clone()));
        }
    }
    found
}

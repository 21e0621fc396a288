//! The keys of one register that are here. While one takes over from another, both sign (`specs/register.md` §9).
//!
//! ```text
//! transport     ledger  1 2 3 4       each ledger takes over what the others have signed before anything new is signed,
//! transport-2   ledger  · · 3 4       so that no two keys of one register contradict each other
//! ```

use std::collections::BTreeMap;

use standfast_node::keystore::{KeySigner, KeyUse, PublicPart};
use standfast_node::ledger::{Ground, Ledger, LedgerError, Signed};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::VerifierKey;
use standfast_protocol::log::checkpoint::Checkpoint;
use standfast_protocol::log::merkle::Edge;

use crate::command::Context;
use crate::command::register::ledger_error;
use crate::error::{CliError, CliResult, Exit};

/// One key with its ledger, and what signs for it once it was needed.
struct Held {
    public: PublicPart,
    ledger: Ledger,
    signer: Option<KeySigner>,
}

impl Held {
    fn signer(&mut self, context: &Context) -> CliResult<&KeySigner> {
        if self.signer.is_none() {
            self.signer = Some(context.unlock(&self.public.name, KeyUse::Register)?);
        }
        Ok(self.signer.as_ref().expect("it was put there just now"))
    }

    fn sign(
        &mut self,
        context: &Context,
        checkpoint: &Checkpoint,
        entries: &[Vec<u8>],
        ground: &Ground<'_>,
    ) -> CliResult<Signed> {
        // What stands in the ledger already needs no passphrase.
        if let Some(signed) = self.ledger.signed(checkpoint.size).map_err(|e| ledger_error(&e))?
            && signed.checkpoint == *checkpoint
        {
            return Ok(signed);
        }
        self.signer(context)?;
        let signer = self.signer.as_ref().expect("it was unlocked just now");
        self.ledger.sign(checkpoint, entries, ground, signer).map_err(|e| ledger_error(&e))
    }
}

/// The keys of one register, each ledger open and locked.
pub(super) struct Signers<'a> {
    context: &'a Context,
    held: Vec<Held>,
    /// Keys whose ledgers are gone: none of them signs.
    mute: Vec<(VerifierKey, LedgerError)>,
}

impl<'a> Signers<'a> {
    /// Opens the ledgers of these keys, and lets each take over what the others have signed.
    pub(super) fn open(context: &'a Context, own: &[PublicPart]) -> CliResult<Self> {
        let mut signers = Self { context, held: Vec::new(), mute: Vec::new() };
        for public in own {
            let keys = public.verifier_keys().map_err(|e| CliError::of("key-damaged", Exit::Usage, &e))?;
            let Some(key) = keys.into_iter().next() else { continue };
            match Ledger::open(&context.keystore().ledger_path(&public.name), &key) {
                Ok(ledger) => signers.held.push(Held { public: public.clone(), ledger, signer: None }),
                Err(missing @ LedgerError::Missing(_)) => signers.mute.push((key, missing)),
                Err(other) => return Err(ledger_error(&other)),
            }
        }
        if let (true, Some((_, missing))) = (signers.held.is_empty(), signers.mute.first()) {
            return Err(ledger_error(missing));
        }
        for to in 0..signers.held.len() {
            let (before, rest) = signers.held.split_at_mut(to);
            let Some((taker, after)) = rest.split_first_mut() else { continue };
            for other in before.iter().chain(after.iter()) {
                taker.ledger.take_over(&other.ledger).map_err(|e| ledger_error(&e))?;
            }
        }
        Ok(signers)
    }

    /// Returns the newest size and root that any of the keys has signed.
    pub(super) fn newest(&self) -> Option<(u64, Digest)> {
        self.held.iter().filter_map(|held| held.ledger.newest()).max_by_key(|(size, _)| *size)
    }

    /// Visits the ledgers of those keys that are bound.
    pub(super) fn ledgers(&self, bound: &[VerifierKey]) -> impl Iterator<Item = &Ledger> {
        self.held.iter().map(|held| &held.ledger).filter(move |ledger| bound.contains(ledger.key()))
    }

    /// Returns the root that any of the keys has signed at `size`.
    pub(super) fn root_signed(&self, size: u64) -> Option<Digest> {
        self.held.iter().find_map(|held| held.ledger.root_signed(size))
    }

    /// Returns everything that any of the keys has signed above `size`, in order, with all signatures made so far.
    pub(super) fn signed_above(&self, size: u64) -> CliResult<Vec<Signed>> {
        let mut all: BTreeMap<u64, Signed> = BTreeMap::new();
        for held in &self.held {
            for signed in held.ledger.signed_above(size).map_err(|e| ledger_error(&e))? {
                let known = all.entry(signed.checkpoint.size).or_insert_with(|| signed.clone());
                signed.note.signatures().iter().for_each(|line| known.note.add(line.clone()));
                if known.entries.len() < signed.entries.len() {
                    // A key that signed the checkpoint again did so without its entries.
                    known.entries = signed.entries;
                }
            }
        }
        Ok(all.into_values().collect())
    }

    /// Opens the keys that are bound, asking for what they need.
    pub(super) fn unlock(&mut self, bound: &[VerifierKey]) -> CliResult<()> {
        if let Some((_, missing)) = self.mute.iter().find(|(key, _)| bound.contains(key)) {
            return Err(ledger_error(missing));
        }
        let context = self.context;
        self.bound(bound).try_for_each(|held| held.signer(context).map(drop))
    }

    fn bound(&mut self, bound: &[VerifierKey]) -> impl Iterator<Item = &mut Held> {
        self.held.iter_mut().filter(|held| bound.contains(held.ledger.key()))
    }

    /// Signs a checkpoint by every key that is bound; what is signed already is returned as it was.
    pub(super) fn sign(
        &mut self,
        bound: &[VerifierKey],
        checkpoint: &Checkpoint,
        entries: &[Vec<u8>],
        ground: &Ground<'_>,
    ) -> CliResult<Signed> {
        self.unlock(bound)?;
        let context = self.context;
        let mut all: Option<Signed> = None;
        for held in self.bound(bound) {
            let signed = held.sign(context, checkpoint, entries, ground)?;
            match &mut all {
                Some(all) => signed.note.signatures().iter().for_each(|line| all.note.add(line.clone())),
                None => all = Some(signed),
            }
        }
        all.ok_or_else(|| CliError::new("key-unbound", Exit::Refused, "no key here is bound to this register"))
    }

    /// Adds the signatures of bound keys that are missing: a command was killed between one key and the next, or a key
    /// signed it that is bound no more.
    pub(super) fn complete(&mut self, bound: &[VerifierKey], mut signed: Signed) -> CliResult<Signed> {
        let context = self.context;
        let ground = Ground { edge: &Edge::default(), proof: &[] };
        let is_missing = |key: &VerifierKey| !signed.note.signatures().iter().any(|line| line.is_by(key));
        let missing: Vec<VerifierKey> = bound.iter().filter(|key| is_missing(key)).cloned().collect();
        for held in self.bound(&missing) {
            // No ground is needed: another key of the register has signed this very checkpoint.
            let again = held.sign(context, &signed.checkpoint, &signed.entries, &ground)?;
            again.note.signatures().iter().for_each(|line| signed.note.add(line.clone()));
        }
        Ok(signed)
    }
}

//! The one way in which a register changes: gather → prepare → sign → hand over → wait.
//!
//! ```text
//! newest held ──gather──▶ changes ──prepare──▶ entries, checkpoint ──ledger──▶ signed ──desk──▶ node or store
//! ```
//!
//! Before anything new is prepared, whatever the signer's ledger holds beyond the node's newest head is handed over
//! again, to the byte: a command that was killed between signing and handing over is finished by the next one, and
//! makes no fork. Bodies wait in the outbox for that.

pub mod batch;
mod broad;
mod desk;
mod draft;
pub mod fence;
pub mod rotation;
mod screen;
mod signers;
mod status;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use standfast_node::fence::Continuity;
use standfast_node::keystore::{KeyUse, PublicPart};
use standfast_node::ledger::overrides;
use standfast_node::ledger::{Ground as LedgerGround, Signed};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::VerifierKey;
use standfast_protocol::limits;
use standfast_protocol::register::draft::{DraftError, Ground, Prepared};
use standfast_protocol::register::entry::Change as EntryChange;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::replica::Replica;
use standfast_protocol::sync::Submission;
use standfast_protocol::time::Time;
use standfast_protocol::trie::Trie;

use self::batch::Batch;
pub use self::desk::{Desk, Witnessed, node_error};
pub use self::draft::Draft;
use self::draft::Outbox;
use self::fence::Fence;
use self::signers::Signers;
pub use self::status::{publish_batch, run_status};
use crate::args::change::{Change, ChangeOptions};
use crate::command::register::own_registers;
use crate::command::{Context, key_error};
use crate::error::{CliError, CliResult, Exit};
use crate::held;

/// Bytes of changes in one entry, as reckoned by [`change_size`]: below what an entry may have, for its frame.
const ENTRY_ROOM: usize = limits::ENTRY_SIZE_MAX - 256;

/// One record to put, or to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordChange {
    /// The record's key.
    pub key: RecordKey,
    /// Its new body; `None` removes it.
    pub body: Option<Bytes>,
}

impl RecordChange {
    /// Puts a body.
    pub fn put(key: RecordKey, body: impl Into<Bytes>) -> Self {
        Self { key, body: Some(body.into()) }
    }

    /// Removes a record.
    pub fn remove(key: RecordKey) -> Self {
        Self { key, body: None }
    }
}

/// A register at its newest held head, with what a draft has gathered on top.
pub struct View<'a> {
    replica: &'a Replica,
    origin: &'a str,
    state: Trie,
    gathered: BTreeMap<RecordKey, Option<Bytes>>,
}

impl<'a> View<'a> {
    fn new(replica: &'a Replica, origin: &'a str, gathered: &[RecordChange]) -> Self {
        let state = replica.register(origin).map(|register| register.state_newest().clone()).unwrap_or_default();
        let gathered = gathered.iter().map(|change| (change.key.clone(), change.body.clone())).collect();
        Self { replica, origin, state, gathered }
    }

    /// Returns all that is held.
    pub fn replica(&self) -> &'a Replica {
        self.replica
    }

    /// Returns the register's origin.
    pub fn origin(&self) -> &'a str {
        self.origin
    }

    /// True when there is such a record.
    pub fn contains(&self, key: &RecordKey) -> bool {
        match self.gathered.get(key) {
            Some(body) => body.is_some(),
            None => self.held(key).is_some(),
        }
    }

    /// Returns the body of a record; `None` when there is no such record.
    pub fn body(&self, key: &RecordKey) -> CliResult<Option<Bytes>> {
        match self.gathered.get(key) {
            Some(body) => Ok(body.clone()),
            None => self.held_body(key),
        }
    }

    /// Lists the records whose keys begin with `prefix`, sorted.
    pub fn keys(&self, prefix: &str) -> Vec<RecordKey> {
        let held = self.replica.register(self.origin).map(|register| held::records(register, prefix));
        let mut keys: Vec<RecordKey> = held.into_iter().flatten().map(|(key, _)| key).collect();
        keys.extend(self.gathered.keys().filter(|key| key.as_str().starts_with(prefix)).cloned());
        keys.retain(|key| self.contains(key));
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The digest in the register itself.
    fn held(&self, key: &RecordKey) -> Option<Digest> {
        self.state.get(key.as_str().as_bytes())
    }

    fn held_body(&self, key: &RecordKey) -> CliResult<Option<Bytes>> {
        let Some(digest) = self.held(key) else { return Ok(None) };
        let record = self.replica.bodies().get(&digest).ok_or_else(|| {
            CliError::new("body-missing", Exit::Open, format!("the body of {} has not come here", key.as_str()))
                .cause("a change of it cannot be made without it")
                .hint("let a node run until it is level, then run this again")
        })?;
        Ok(Some(record.body().clone()))
    }

    /// Drops what would change nothing.
    fn effective(&self, changes: Vec<RecordChange>) -> Vec<RecordChange> {
        let differs = |change: &RecordChange| self.held(&change.key) != change.body.as_ref().map(|b| Digest::of(b));
        let mut last: BTreeMap<RecordKey, RecordChange> = BTreeMap::new();
        for change in changes {
            last.insert(change.key.clone(), change);
        }
        last.into_values().filter(differs).collect()
    }
}

/// What has been handed over.
#[derive(Debug, Clone)]
pub struct Published {
    /// The register.
    pub origin: String,
    /// Its name among all that are held.
    pub name: String,
    /// Its size before.
    pub size_before: u64,
    /// Its size now.
    pub size: u64,
    /// Its root now.
    pub root: Digest,
    /// The records changed, each with its new digest.
    pub changes: Vec<(RecordKey, Option<Digest>)>,
    /// Sizes that had been signed before, and were handed over again.
    pub resent: Vec<u64>,
    /// When handing over began.
    pub handed_over: Instant,
    /// How long it took until the node had made it durable.
    pub taken_after: Duration,
    /// Peers of the node; `None` when none runs.
    pub peers: Option<u64>,
    /// Witnesses that the charter names.
    pub witnesses_named: u64,
}

/// On what terms changes are published.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms<'a> {
    /// The size of a broad change, as confirmed.
    pub confirm_broad: Option<u64>,
    /// Why the write fence is passed against its word.
    pub override_fence: Option<&'a str>,
    /// Whether statuses are set, so that the batch goes along and the next one waits its time.
    sets_status: bool,
}

impl<'a> From<&'a ChangeOptions> for Terms<'a> {
    fn from(options: &'a ChangeOptions) -> Self {
        let override_fence = options.override_fence.as_deref();
        Self { confirm_broad: options.confirm_broad, override_fence, sets_status: false }
    }
}

/// A register whose key is here, and the node that takes its changes.
pub struct Publisher<'a> {
    context: &'a Context,
    /// The first key of the register that is here.
    own: PublicPart,
    /// All of them: while one takes over from another there are two.
    keys: Vec<PublicPart>,
    origin: String,
    desk: Desk,
    opened: Instant,
}

impl<'a> Publisher<'a> {
    /// Finds the register and the node.
    pub fn open(context: &'a Context, register: Option<&str>) -> CliResult<Self> {
        let keys = own_registers(context, register)?;
        let own = keys.first().cloned().ok_or_else(|| CliError::usage("no key here signs a register"))?;
        let Some(origin) = own.origin.clone() else {
            return Err(key_error(&standfast_node::keystore::KeystoreError::Unbound(own.name)));
        };
        let desk = Desk::open(context)?;
        Ok(Self { context, own, keys, origin, desk, opened: Instant::now() })
    }

    /// Returns the node.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Returns all that is held, and refuses a register that nobody has named.
    fn replica(&self) -> CliResult<Replica> {
        let replica = self.desk.replica(self.context)?;
        let name = held::name(&replica, &self.origin);
        match replica.bound().get(&self.origin) {
            Some(_) if self.keys.iter().any(|own| is_named(own, &self.bound(&replica))) => Ok(replica),
            Some(_) => Err(CliError::new(
                "key-unbound",
                Exit::Refused,
                format!("{name} is not bound to key {}", self.own.name),
            )
            .cause("the authority above it names other keys")
            .hint("nothing was signed; ask the authority above which keys it has bound")),
            None => Err(CliError::new("register-unbound", Exit::Refused, format!("nobody has named {name} yet"))
                .cause("no charter or trust entry held here binds it to its key, so no node would take it")
                .hint("give its binding to the authority above: standfast register show --binding")
                .hint("nothing was signed; run this again once that is published")),
        }
    }

    /// Returns the keys that anybody may be bound to: all that any version of any binding names.
    fn bound(&self, replica: &Replica) -> Vec<VerifierKey> {
        replica.bindings(&self.origin).into_iter().flat_map(|(_, bound)| bound.keys).collect()
    }

    fn signers(&self) -> CliResult<Signers<'a>> {
        Signers::open(self.context, &self.keys)
    }

    /// Hands over again what was signed beyond the newest head of the node; returns all that is held then.
    fn resend(&mut self, signers: &mut Signers<'_>, outbox: &Outbox) -> CliResult<(Replica, Vec<u64>)> {
        let replica = self.replica()?;
        let bound = self.bound(&replica);
        let size = replica.register(&self.origin).map_or(0, |register| register.size_newest());
        let mut signed = signers.signed_above(size)?;
        signed.retain(|signed| signed.checkpoint.size > 0);
        let fence = self.fence(&bound);
        let is_proven = !signed.is_empty() && fence.continuity(signers, &replica)? == Continuity::Proven;
        for signed in &mut signed {
            *signed = signers.complete(&bound, signed.clone())?;
        }
        if is_proven {
            // Killed between ledger and marker: named by it before it leaves, as ever.
            self.fence(&bound).raise(signers)?;
        }
        for signed in &signed {
            let bodies = outbox.bodies(&signed.checkpoint)?;
            self.hand_over(signed, bodies)?;
        }
        outbox.sweep()?;
        let sizes: Vec<u64> = signed.iter().map(|signed| signed.checkpoint.size).collect();
        Ok((if sizes.is_empty() { replica } else { self.replica()? }, sizes))
    }

    fn hand_over(&mut self, signed: &Signed, bodies: Vec<Bytes>) -> CliResult<()> {
        let submission =
            Submission { bodies: draft::distinct(bodies), heads: vec![draft::head(signed)], ..Submission::default() };
        self.desk.submit(submission).map_err(|e| {
            e.hint(format!("checkpoint {} stays signed: run this again to hand it over", signed.checkpoint.size))
        })
    }

    /// The fence, as the ledgers of these keys and their markers let it pass.
    fn fence<'f>(&'f self, bound: &'f [VerifierKey]) -> Fence<'f> {
        let overrides = overrides::path_beside(&self.context.keystore().ledger_path(&self.own.name));
        Fence { context: self.context, origin: &self.origin, bound, overrides }
    }

    /// The time, also of a command that has waited.
    fn now(&self) -> Time {
        self.context.now.plus(self.opened.elapsed().as_secs())
    }

    /// Signs what was prepared; once this returns, bodies and signature are durable here. The fence was passed.
    fn sign(
        &self,
        signers: &mut Signers<'_>,
        outbox: &Outbox,
        replica: &Replica,
        prepared: &Prepared,
        changes: &[RecordChange],
    ) -> CliResult<Signed> {
        let bound = self.bound(replica);
        signers.unlock(&bound)?;
        outbox.keep(prepared.checkpoint(), changes)?;
        let register = replica.register(&self.origin);
        let size = register.map_or(0, |register| register.size_newest());
        let edge = register.and_then(|register| register.edge(size)).unwrap_or_default();
        let newest = signers.newest().map_or(0, |(size, _)| size);
        let proof = register.and_then(|register| register.consistency(newest, size)).unwrap_or_default();
        let entries: Vec<Vec<u8>> = prepared.entries().iter().map(|entry| entry.bytes().to_vec()).collect();
        let ground = LedgerGround { edge: &edge, proof: &proof };
        let signed = signers.sign(&bound, prepared.checkpoint(), &entries, &ground)?;
        self.fence(&bound).raise(signers)?;
        Ok(signed)
    }

    /// Prepares entries on the newest head.
    fn prepare(&self, replica: &Replica, changes: &[RecordChange]) -> CliResult<Prepared> {
        for change in changes {
            change.body.as_ref().map_or(Ok(()), |body| draft::check_body(&change.key, body))?;
        }
        let ground = match replica.register(&self.origin) {
            Some(register) => Ground::of(register).map_err(|e| stopped(&held::name(replica, &self.origin), &e))?,
            None => Ground::empty(&self.origin),
        };
        let prepared = ground.prepare_all(self.now(), batches(changes));
        let refused = |e: &DraftError| CliError::of("change-refused", Exit::Refused, e);
        prepared.map_err(|e| refused(&e))?.ok_or_else(|| CliError::usage("there is nothing to change"))
    }

    /// Carries changes out, without a word: whoever calls has asked what was to be asked.
    pub fn publish(
        &mut self,
        gather: impl FnOnce(&View<'_>) -> CliResult<Vec<RecordChange>>,
        terms: Terms<'_>,
    ) -> CliResult<Published> {
        let mut signers = self.signers()?;
        let outbox = Outbox::open(self.context, &self.origin)?;
        let (replica, resent) = self.resend(&mut signers, &outbox)?;
        let mut batch = Batch::open(self.context, &self.origin)?;
        batch.settle(&signers)?;
        let replica = self.fence(&self.bound(&replica)).pass(&self.desk, &signers, replica, terms.override_fence)?;
        let waiting = self.batch_that_goes_along(&batch, &replica, terms)?;
        let is_with_batch = waiting.is_some();
        let waiting = waiting.unwrap_or_default();
        let view = View::new(&replica, &self.origin, &waiting);
        let gathered = gather(&view)?;
        let changes = view.effective(waiting.into_iter().chain(gathered).collect());
        broad::check(
            self.context,
            &view,
            &changes,
            terms.confirm_broad.or(batch.confirmed().filter(|_| is_with_batch)),
        )?;
        let mut published = self.standing(&replica, resent);
        if changes.is_empty() {
            // What waited and is held already was taken back before it went out.
            batch.keep_only(|_| !is_with_batch)?;
            return Ok(published);
        }
        let prepared = self.prepare(&replica, &changes)?;
        if is_with_batch || terms.sets_status {
            batch.seal(prepared.checkpoint(), self.now())?;
        }
        let signed = self.sign(&mut signers, &outbox, &replica, &prepared, &changes)?;
        published.handed_over = Instant::now();
        self.hand_over(&signed, changes.iter().filter_map(|change| change.body.clone()).collect())?;
        published.taken_after = published.handed_over.elapsed();
        outbox.forget(&signed.checkpoint);
        batch.settle(&signers)?;
        // A node that stops right after it took the change has taken it.
        published.peers = self.desk.peers().ok().flatten();
        published.size = signed.checkpoint.size;
        published.root = signed.checkpoint.root;
        published.changes = changes.iter().map(|c| (c.key.clone(), c.body.as_ref().map(|b| Digest::of(b)))).collect();
        Ok(published)
    }

    /// What is there before anything new is handed over.
    fn standing(&self, replica: &Replica, resent: Vec<u64>) -> Published {
        let register = replica.register(&self.origin);
        let size = register.map_or(0, |register| register.size_newest());
        Published {
            origin: self.origin.clone(),
            name: held::name(replica, &self.origin),
            size_before: size,
            size,
            root: register.and_then(|register| register.root_at(size)).unwrap_or(Digest::OF_NOTHING),
            changes: Vec::new(),
            resent,
            handed_over: Instant::now(),
            taken_after: Duration::ZERO,
            peers: None,
            witnesses_named: replica.quorum().witnesses().len() as u64,
        }
    }
}

/// Changes a register whose key is here: the function beneath every command that does.
pub fn publish(
    context: &Context,
    register: Option<&str>,
    changes: Vec<RecordChange>,
    confirm_broad: Option<u64>,
) -> CliResult<Published> {
    Publisher::open(context, register)?.publish(|_| Ok(changes), Terms { confirm_broad, ..Terms::default() })
}

/// How a change is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something is granted or said: it counts once it is witnessed.
    Grant,
    /// Something is taken back: it counts at once.
    Withdrawal,
}

/// Runs a command that changes a register: with `--draft` it gathers, with `--dry-run` it shows, else it publishes.
pub fn run(
    context: &Context,
    change: &Change,
    kind: Kind,
    gather: impl FnOnce(&View<'_>) -> CliResult<Vec<RecordChange>>,
) -> CliResult {
    let options = &change.options;
    if let Some(path) = &options.draft {
        return gather_draft(context, path, change, gather);
    }
    let mut publisher = Publisher::open(context, change.register.as_deref())?;
    if options.dry_run {
        return publisher.show(options, gather);
    }
    let published = publisher.publish(gather, options.into())?;
    tell(context, &publisher.desk, &published, options, kind)
}

fn tell(context: &Context, desk: &Desk, published: &Published, options: &ChangeOptions, kind: Kind) -> CliResult {
    let unchanged = published.changes.is_empty() && published.resent.is_empty();
    if unchanged && (options.wait.is_none() || published.size == 0) {
        screen::unchanged(context, published)?;
        return Ok(Exit::Done);
    }
    if options.urgent && kind == Kind::Withdrawal && !unchanged {
        screen::urgent(context, published)?;
    }
    let Some(span) = options.wait else {
        screen::published(context, published)?;
        return Ok(Exit::Done);
    };
    let span = Duration::from_secs(span.0);
    match desk.wait(&published.origin, published.size, published.handed_over, span)? {
        Some(witnessed) => screen::witnessed(context, published, witnessed)?,
        None => return Err(screen::not_witnessed(context, desk, published, span)),
    }
    Ok(Exit::Done)
}

/// Gathers changes in a file. The key need not be here: the draft is signed where it is.
fn gather_draft(
    context: &Context,
    path: &Path,
    change: &Change,
    gather: impl FnOnce(&View<'_>) -> CliResult<Vec<RecordChange>>,
) -> CliResult {
    let replica = Desk::open(context)?.replica(context)?;
    let (origin, key) = match (own_registers(context, change.register.as_deref()), &change.register) {
        (Ok(own), _) => {
            own.into_iter().next_back().map(|own| (own.origin.unwrap_or_default(), own.name)).unwrap_or_default()
        }
        (Err(_), Some(beginning)) => (held::bound(&replica, beginning)?, "KEY".to_owned()),
        (Err(missing), None) => {
            return Err(missing.hint("or say whose register it is, and sign where the key is: --register"));
        }
    };
    let held = Draft::read(path)?;
    let shown = path.display();
    if held.as_ref().is_some_and(Draft::is_signed) {
        return Err(CliError::usage(format!("{shown} is signed, so nothing can be added to it"))
            .hint(format!("hand it over: standfast register publish {shown}")));
    }
    if let Some(other) = held.as_ref().filter(|draft| draft.register != origin) {
        let other = held::name(&replica, &other.register);
        return Err(CliError::usage(format!("{shown} gathers changes of {other}")).hint("give another file"));
    }
    let mut draft = held.unwrap_or_else(|| Draft::new(&origin, &[]));
    let view = View::new(&replica, &origin, &draft.changes()?);
    let changes = gather(&view)?;
    draft.gather(&changes);
    let view = View::new(&replica, &origin, &[]);
    let all = view.effective(draft.changes()?);
    let confirmed = change.options.confirm_broad.or(draft.confirmed);
    broad::check(context, &view, &all, confirmed)?;
    draft.confirmed = confirmed;
    draft.write(path)?;
    screen::gathered(context, path, &key, &held::name(&replica, &origin), &all)?;
    Ok(Exit::Done)
}

impl Publisher<'_> {
    fn show(
        &self,
        options: &ChangeOptions,
        gather: impl FnOnce(&View<'_>) -> CliResult<Vec<RecordChange>>,
    ) -> CliResult {
        let replica = self.replica()?;
        let view = View::new(&replica, &self.origin, &[]);
        let changes = view.effective(gather(&view)?);
        if changes.is_empty() {
            screen::unchanged(self.context, &self.standing(&replica, Vec::new()))?;
            return Ok(Exit::Done);
        }
        broad::check(self.context, &view, &changes, options.confirm_broad)?;
        let prepared = self.prepare(&replica, &changes)?;
        screen::dry_run(self.context, &view, &held::name(&replica, &self.origin), &prepared, &changes)?;
        Ok(Exit::Done)
    }

    /// Signs a draft and keeps the signature in its file; sends nothing.
    fn sign_draft(&mut self, path: &Path, mut draft: Draft, terms: Terms<'_>) -> CliResult {
        let mut signers = self.signers()?;
        let outbox = Outbox::open(self.context, &self.origin)?;
        let replica = self.replica()?;
        let size = replica.register(&self.origin).map_or(0, |register| register.size_newest());
        if let Some((newest, _)) = signers.newest().filter(|(newest, _)| *newest > size) {
            return Err(CliError::new(
                "ledger-refuses",
                Exit::Refused,
                format!("the key has signed size {newest}, and what is held here ends at {size}"),
            )
            .hint("hand that over first: standfast register publish DRAFT, or run any change again"));
        }
        let replica = self.fence(&self.bound(&replica)).pass(&self.desk, &signers, replica, terms.override_fence)?;
        let view = View::new(&replica, &self.origin, &[]);
        let changes = view.effective(draft.changes()?);
        let confirmed = terms.confirm_broad.or(draft.confirmed);
        broad::check(self.context, &view, &changes, confirmed)?;
        draft.confirmed = confirmed;
        let prepared = self.prepare(&replica, &changes)?;
        let signed = self.sign(&mut signers, &outbox, &replica, &prepared, &changes)?;
        draft.set_signed(&signed);
        draft.write(path)?;
        screen::signed(self.context, path, &held::name(&replica, &self.origin), &signed)?;
        Ok(Exit::Done)
    }
}

/// Runs `register sign`: computes entry, roots and checkpoint of a draft from what is held here, and signs, offline.
pub fn sign_draft(context: &Context, path: &Path, key: &str, terms: Terms<'_>) -> CliResult {
    let draft = read_draft(path)?;
    if draft.is_signed() {
        return Err(CliError::usage(format!("{} is signed already", path.display()))
            .hint(format!("hand it over: standfast register publish {}", path.display())));
    }
    let public = context.keystore().public(key).map_err(|e| key_error(&e))?;
    public.demand(KeyUse::Register).map_err(|e| key_error(&e))?;
    if public.origin.as_deref() != Some(draft.register.as_str()) {
        let name = crate::output::words::origin_short(&draft.register);
        return Err(CliError::usage(format!("{} is a draft of {name}, which key {key} does not sign", path.display())));
    }
    let register = draft.register.clone();
    Publisher::open(context, Some(&register))?.sign_draft(path, draft, terms)
}

/// Runs `register publish`: hands a signed draft over.
pub fn publish_draft(context: &Context, path: &Path, options: &ChangeOptions) -> CliResult {
    let draft = read_draft(path)?;
    let Some(head) = draft.head()? else {
        return Err(CliError::usage(format!("{} is not signed yet", path.display()))
            .hint(format!("sign it: standfast register sign {} --key KEY", path.display())));
    };
    let mut desk = Desk::open(context)?;
    let (origin, size, root) = (head.checkpoint.origin.clone(), head.checkpoint.size, head.checkpoint.root);
    let size_before = head.first;
    {
        let replica = desk.replica(context)?;
        let view = View::new(&replica, &origin, &[]);
        // What is held here already is nothing to hold back.
        let changes = view.effective(draft.changes()?);
        broad::check(context, &view, &changes, options.confirm_broad.or(draft.confirmed))?;
    }
    fence::pass_signed(context, &desk, &origin, (size, root), options.override_fence.as_deref())?;
    let handed_over = Instant::now();
    desk.submit(Submission { bodies: draft::distinct(draft.bodies()?), heads: vec![head], ..Submission::default() })?;
    let taken_after = handed_over.elapsed();
    let replica = desk.replica(context)?;
    let changes = draft.changes()?;
    let published = Published {
        name: held::name(&replica, &origin),
        origin,
        size_before,
        size,
        root,
        changes: changes.iter().map(|c| (c.key.clone(), c.body.as_ref().map(|b| Digest::of(b)))).collect(),
        resent: Vec::new(),
        handed_over,
        taken_after,
        peers: desk.peers()?,
        witnesses_named: replica.quorum().witnesses().len() as u64,
    };
    tell(context, &desk, &published, options, Kind::Grant)
}

fn read_draft(path: &Path) -> CliResult<Draft> {
    Draft::read(path)?.ok_or_else(|| {
        CliError::new("file-missing", Exit::Io, format!("there is no file {}", path.display()))
            .hint("gather changes in one: the option --draft FILE of every command that changes a register")
    })
}

/// Hands a charter over to the running node or the store. Returns how many peers the node has, and what is held then.
pub fn submit_charter(context: &Context, note: Vec<u8>) -> CliResult<(Option<u64>, Replica)> {
    let mut desk = Desk::open(context)?;
    desk.submit(Submission { charters: vec![Bytes::from(note)], ..Submission::default() })?;
    Ok((desk.peers()?, desk.replica(context)?))
}

/// Hands over the charter that the operator chooses.
pub fn choose_charter(context: &Context, note: Vec<u8>) -> CliResult<(Option<u64>, Replica)> {
    let mut desk = Desk::open(context)?;
    desk.choose(Bytes::from(note))?;
    Ok((desk.peers()?, desk.replica(context)?))
}

/// Parts changes so that each part fits an entry.
fn batches(changes: &[RecordChange]) -> Vec<Vec<EntryChange>> {
    let mut batches: Vec<Vec<EntryChange>> = Vec::new();
    let mut room = 0;
    for change in changes {
        let size = change_size(&change.key);
        let entry = EntryChange { key: change.key.clone(), digest: change.body.as_ref().map(|b| Digest::of(b)) };
        match batches.last_mut() {
            Some(batch) if size <= room => batch.push(entry),
            _ => {
                batches.push(vec![entry]);
                room = ENTRY_ROOM;
            }
        }
        room = room.saturating_sub(size);
    }
    batches
}

/// Bytes of a change: an array, a kind, a key with its head, a digest with its head.
fn change_size(key: &RecordKey) -> usize {
    key.as_str().len() + 40
}

fn stopped(name: &str, error: &DraftError) -> CliError {
    stopped_words(name).because(error)
}

fn stopped_words(name: &str) -> CliError {
    CliError::new("register-stopped", Exit::Tampered, format!("{name} takes no more entries"))
        .hint("see why: standfast register show · then the authority above binds a new register")
}

/// True when one of the register's keys that are here is among `bound`.
fn is_named(own: &PublicPart, bound: &[VerifierKey]) -> bool {
    own.verifier_keys().is_ok_and(|keys| keys.iter().any(|key| bound.contains(key)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn put(n: usize) -> RecordChange {
        RecordChange::put(RecordKey::notice(&format!("{n:04}")).unwrap(), vec![1])
    }

    #[test]
    fn many_changes_are_parted_so_that_each_entry_fits() {
        let changes: Vec<RecordChange> = (0..1_000).map(put).collect();
        let parts = batches(&changes);
        assert!(parts.len() > 1);
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 1_000);
        let prepared = Ground::empty("a.example/register/0")
            .prepare_all(standfast_protocol::time::Time::from_secs_saturating(1_790_000_000), parts.clone());
        assert_eq!(prepared.unwrap().unwrap().entries().len(), parts.len());
    }

    #[test]
    fn long_keys_fit_too() {
        let key = |n: usize| RecordKey::notice(&format!("{n:04}{}", "x".repeat(900))).unwrap();
        let changes: Vec<RecordChange> = (0..100).map(|n| RecordChange::put(key(n), vec![1])).collect();
        let time = standfast_protocol::time::Time::from_secs_saturating(1_790_000_000);
        Ground::empty("a.example/register/0").prepare_all(time, batches(&changes)).unwrap().unwrap();
    }
}

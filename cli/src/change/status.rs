//! Changes of statuses: at once when they are urgent or the last ones are long past, else in a batch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use standfast_protocol::register::record::RecordKey;
use standfast_protocol::replica::Replica;
use standfast_protocol::status::native::StatusList;

use super::batch::{Batch, StatusValue, Waiting};
use super::{Change, ChangeOptions, Kind, Publisher, RecordChange, Terms, View, broad, screen, tell};
use crate::command::Context;
use crate::error::{CliResult, Exit};
use crate::held;

/// How often a command that waits for its batch looks at the clock.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long it waits for another command that has the ledger by then.
const LEDGER: Duration = Duration::from_secs(30);

/// Where statuses go.
enum Way {
    /// Out, at once.
    Now,
    /// Nowhere: the register says it already, and nothing waits.
    Said,
    /// Into the batch, durably.
    Waits(Waiting),
}

/// Runs a command that sets statuses; `gather` makes the new lists of `values`.
pub fn run_status(
    context: &Context,
    change: &Change,
    kind: Kind,
    values: &[StatusValue],
    gather: impl Fn(&View<'_>) -> CliResult<Vec<RecordChange>>,
) -> CliResult {
    let options = &change.options;
    if options.draft.is_some() || options.dry_run {
        return super::run(context, change, kind, gather);
    }
    let mut publisher = Publisher::open(context, change.register.as_deref())?;
    let waiting = match publisher.gather_batch(options, values, &gather)? {
        Way::Now => {
            let terms = Terms { sets_status: true, ..options.into() };
            let published = publisher.publish(gather, terms)?;
            return tell(context, &publisher.desk, &published, options, kind);
        }
        Way::Said => return Ok(Exit::Done),
        Way::Waits(waiting) => waiting,
    };
    let name = held::name(&publisher.desk.replica(context)?, &publisher.origin);
    if options.wait.is_none() {
        screen::batched(context, &name, &waiting)?;
        return Ok(Exit::Done);
    }
    context.output.note(&screen::waiting_line(&name, &waiting, context.now));
    // Others go on meanwhile: without a node, this holds the store.
    drop(publisher);
    let began = Instant::now();
    while context.now.plus(began.elapsed().as_secs()) < waiting.due_at {
        std::thread::sleep(LOOK_EVERY);
    }
    let mut publisher = Publisher::open(context, change.register.as_deref())?;
    publisher.opened = began;
    let published = publisher.flush(options.into(), LEDGER)?;
    tell(context, &publisher.desk, &published, options, kind)
}

/// Runs `register publish R`: what waits goes out now.
pub fn publish_batch(context: &Context, register: &str, options: &ChangeOptions) -> CliResult {
    let mut publisher = Publisher::open(context, Some(register))?;
    let published = publisher.flush(options.into(), Duration::ZERO)?;
    tell(context, &publisher.desk, &published, options, Kind::Withdrawal)
}

impl Publisher<'_> {
    /// Puts statuses into the batch, unless they may go out at once.
    fn gather_batch(
        &self,
        options: &ChangeOptions,
        values: &[StatusValue],
        gather: &impl Fn(&View<'_>) -> CliResult<Vec<RecordChange>>,
    ) -> CliResult<Way> {
        let signers = self.signers()?;
        let mut batch = Batch::open(self.context, &self.origin)?;
        batch.settle(&signers)?;
        if options.urgent || batch.due_at(self.now()).is_none() {
            return Ok(Way::Now);
        }
        let replica = self.replica()?;
        let plain = View::new(&replica, &self.origin, &[]);
        let waiting = batch.changes(&plain)?;
        let new = gather(&View::new(&replica, &self.origin, &waiting))?;
        let all = plain.effective(waiting.into_iter().chain(new).collect());
        broad::check(self.context, &plain, &all, options.confirm_broad.or(batch.confirmed()))?;
        batch.gather(values, self.now(), options.confirm_broad)?;
        // What is taken back before it went out never was.
        let mut lists: BTreeMap<String, Option<StatusList>> = BTreeMap::new();
        for value in values {
            let key = RecordKey::status(&value.list).ok();
            let body = key.map(|key| plain.held_body(&key)).transpose()?.flatten();
            lists.insert(value.list.clone(), body.and_then(|body| StatusList::parse(&body).ok()));
        }
        let held = |value: &StatusValue| lists.get(&value.list)?.as_ref()?.value(value.index);
        batch.keep_only(|value| held(value) != Some(value.value))?;
        let Some(waiting) = batch.waiting(self.now()) else {
            screen::unchanged(self.context, &self.standing(&replica, Vec::new()))?;
            return Ok(Way::Said);
        };
        Ok(Way::Waits(waiting))
    }

    /// Returns the lists that the batch makes, if it goes out with this change.
    pub(super) fn batch_that_goes_along(
        &self,
        batch: &Batch,
        replica: &Replica,
        terms: Terms<'_>,
    ) -> CliResult<Option<Vec<RecordChange>>> {
        if batch.is_empty() || !(terms.sets_status || batch.due_at(self.now()).is_none()) {
            return Ok(None);
        }
        let view = View::new(replica, &self.origin, &[]);
        let made = batch.changes(&view).and_then(|changes| {
            let changes = view.effective(changes);
            let confirmed = batch.confirmed().or(terms.confirm_broad);
            if !terms.sets_status {
                broad::check(self.context, &view, &changes, confirmed)?;
            }
            Ok(changes)
        });
        match made {
            // A change of something else is not held up by statuses that wait.
            Err(e) if !terms.sets_status => {
                let name = held::name(replica, &self.origin);
                self.context.output.note(&format!("note: the statuses of {name} still wait: {}", e.message));
                Ok(None)
            }
            made => made.map(Some),
        }
    }

    /// Publishes what waits; another command may have the ledger for a moment.
    fn flush(&mut self, terms: Terms<'_>, patience: Duration) -> CliResult<super::Published> {
        let began = Instant::now();
        loop {
            let terms = Terms { sets_status: true, ..terms };
            match self.publish(|_| Ok(Vec::new()), terms) {
                Err(e) if e.code == "ledger-locked" && began.elapsed() < patience => std::thread::sleep(LOOK_EVERY),
                done => return done,
            }
        }
    }
}

//! Broad changes: a slip of the hand that would reject a large part of what people carry wants its exact size confirmed.
//!
//! The same bounds as those of verifiers (`specs/status.md`, mass withdrawal): of a list more than 1 % and at least
//! 1,000 indices; of DID documents and permissions more than 5 % and at least 16. The shares may be configured.

use standfast_protocol::limits::{MASS_INDICES, MASS_RECORDS};
use standfast_protocol::status::native::StatusList;

use super::{RecordChange, View};
use crate::command::Context;
use crate::error::{CliError, CliResult, Exit};
use crate::output::words;

/// One broad part of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Broad {
    count: u64,
    what: String,
    why: String,
}

/// Refuses a broad change unless its exact size was confirmed.
pub(super) fn check(
    context: &Context,
    view: &View<'_>,
    changes: &[RecordChange],
    confirmed: Option<u64>,
) -> CliResult<()> {
    let publisher = &context.config.publisher;
    let mut found: Vec<Broad> = Vec::new();
    for change in changes.iter().filter(|change| change.key.prefix() == "status") {
        let Some(new) = change.body.as_ref().and_then(|body| StatusList::parse(body).ok()) else { continue };
        let old = view.held_body(&change.key)?.and_then(|body| StatusList::parse(&body).ok());
        found.extend(of_list(old.as_ref(), &new, publisher.broad_list_percent));
    }
    let is_counted = |prefix: &str| matches!(prefix, "did" | "trust");
    let gone = changes.iter().filter(|c| c.body.is_none() && is_counted(c.key.prefix())).count() as u64;
    let held = view.state.iter().filter(|(key, _)| key.starts_with(b"did/") || key.starts_with(b"trust/")).count();
    found.extend(of_records(gone, held as u64, publisher.broad_records_percent));
    refuse_unless(&found, confirmed)
}

fn of_list(old: Option<&StatusList>, new: &StatusList, percent: u64) -> Option<Broad> {
    let was_zero = |index: u64| old.and_then(|old| old.value(index)).unwrap_or(0) == 0;
    let newly = match old.and_then(|old| new.changes_since(old)) {
        Some(changes) => changes.iter().filter(|(index, value)| *value != 0 && was_zero(*index)).count() as u64,
        None => (0..new.length()).filter(|index| new.value(*index) != Some(0) && was_zero(*index)).count() as u64,
    };
    let share = new.length().saturating_mul(percent) / 100;
    (newly >= MASS_INDICES && newly > share).then(|| {
        let verb = match new.purpose() {
            "revocation" => "revokes",
            "suspension" => "suspends",
            _ => "sets",
        };
        Broad {
            count: newly,
            what: format!("this {verb} {} credentials of one list", words::share(newly, new.length())),
            why: format!(
                "more than {percent} % of a list ({}) at once needs its size confirmed",
                words::grouped(share)
            ),
        }
    })
}

fn of_records(gone: u64, held: u64, percent: u64) -> Option<Broad> {
    let share = held.saturating_mul(percent) / 100;
    (gone >= MASS_RECORDS && gone > share).then(|| Broad {
        count: gone,
        what: format!("this withdraws {} DID documents and permissions", words::share(gone, held)),
        why: format!("more than {percent} % of them ({}) at once needs its size confirmed", words::grouped(share)),
    })
}

fn refuse_unless(found: &[Broad], confirmed: Option<u64>) -> CliResult<()> {
    let total: u64 = found.iter().map(|broad| broad.count).sum();
    let [first, rest @ ..] = found else { return Ok(()) };
    if confirmed == Some(total) {
        return Ok(());
    }
    let mut error = CliError::new("broad-change-held", Exit::Refused, format!("held: {}", first.what));
    for broad in rest {
        error = error.cause(format!("and {}", broad.what));
    }
    error = error.cause(first.why.clone());
    if let Some(came) = confirmed {
        error = error.cause(format!("{} was confirmed, and it is {}", words::grouped(came), words::grouped(total)));
    }
    Err(error.hint(format!("if it is meant: --confirm-broad {total}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn list(length: u64, set: u64) -> StatusList {
        let list = StatusList::new("https://a.example/status/1", "revocation", 1, length).unwrap();
        list.edited(length, &(0..set).map(|i| (i, 1)).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_broad_revocation_wants_its_exact_size() {
        let broad = of_list(Some(&list(131_072, 0)), &list(131_072, 131_072), 1).unwrap();
        let error = refuse_unless(std::slice::from_ref(&broad), None).unwrap_err();
        let expected = "\
error: held: this revokes 131,072 of 131,072 credentials of one list
cause: more than 1 % of a list (1,310) at once needs its size confirmed
 hint: if it is meant: --confirm-broad 131072
";
        assert_eq!(error.draw(&crate::output::Style::PLAIN), expected);
        assert_eq!((error.code, error.exit), ("broad-change-held", Exit::Refused));
        assert!(refuse_unless(std::slice::from_ref(&broad), Some(131_071)).is_err());
        assert!(refuse_unless(&[broad], Some(131_072)).is_ok());
    }

    #[test]
    fn both_bounds_must_be_passed_and_what_was_set_counts_no_more() {
        assert_eq!(of_list(Some(&list(50_000, 0)), &list(50_000, 999), 1), None);
        assert_eq!(of_list(Some(&list(131_072, 0)), &list(131_072, 1_310), 1), None);
        assert!(of_list(Some(&list(131_072, 0)), &list(131_072, 1_311), 1).is_some());
        assert_eq!(of_list(Some(&list(131_072, 1_000)), &list(131_072, 2_000), 1), None);
        assert!(of_list(None, &list(50_000, 1_000), 1).is_some());
    }

    #[test]
    fn many_withdrawn_records_are_broad() {
        assert_eq!(of_records(15, 15, 5), None);
        assert_eq!(of_records(16, 320, 5), None);
        assert_eq!(of_records(17, 320, 5).unwrap().count, 17);
        assert_eq!(of_records(17, 320, 50), None);
        let broad = of_records(16, 10_000, 0).unwrap();
        assert_eq!(broad.why, "more than 0 % of them (0) at once needs its size confirmed");
    }
}

//! All copies of one did:webvh DID that a snapshot holds, compared with each other (`specs/did-webvh.md` §6).

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use super::{HeldRegister, Snapshot};
use crate::did::webvh::copies::ends;
use crate::did::webvh::resolve::{Resolution, ResolveError, Wanted};
use crate::did::webvh::{Log, WebvhDid};
use crate::digest::Digest;
use crate::limits;
use crate::register::body::Record;
use crate::register::record::RecordKey;
use crate::register::webvh::WebvhBody;
use crate::time::Time;

/// A copy in a register.
#[derive(Debug, Clone)]
pub struct HeldCopy {
    /// The register's origin.
    pub origin: String,
    /// The key of the record there.
    pub key: RecordKey,
    /// True when it stands there at W.
    pub witnessed: bool,
    record: Arc<Record>,
}

impl HeldCopy {
    /// Returns the copy, verified.
    pub fn body(&self) -> &WebvhBody {
        self.record.webvh().expect("only copies that hold are kept")
    }

    /// Returns its log.
    pub fn log(&self) -> &Log {
        self.body().log()
    }

    /// Returns the digest of its body.
    pub fn digest(&self) -> Digest {
        self.record.digest()
    }
}

/// What all copies of one DID say together.
#[derive(Debug, Default)]
pub struct WebvhStanding {
    /// The copies that no other goes on from. More than one: the DID is forked.
    pub ends: Vec<HeldCopy>,
    /// The same of those copies that stand in a register at W: what grants is read from them.
    pub witnessed: Vec<HeldCopy>,
    /// A copy that says that the DID is no more.
    pub deactivated: Option<HeldCopy>,
    /// True when there are more histories than are compared.
    pub crowded: bool,
}

/// Why a DID was not resolved from the copies held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebvhError {
    /// No copy stands in a register at W.
    #[error("no log of this DID is held in a register that witnesses stand for")]
    NotHeld,
    /// The copies answer differently.
    #[error("copies of the log part before that version: the DID has two histories")]
    Forked,
    /// The log does not answer.
    #[error("the log does not say it")]
    Log(#[source] ResolveError),
}

impl WebvhStanding {
    /// True when two copies part.
    pub fn is_forked(&self) -> bool {
        self.ends.len() > 1 || self.crowded
    }
}

impl Snapshot {
    /// Compares all copies of a `did:webvh` DID that any register holds, under any name that one of them gives it.
    pub fn webvh(&self, did: &str) -> Arc<WebvhStanding> {
        let kept = || self.webvh.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = kept().get(did) {
            return standing.clone();
        }
        let standing = Arc::new(self.compare(did));
        let mut kept = kept();
        if kept.len() >= limits::WEBVH_STANDINGS_KEPT {
            kept.clear();
        }
        kept.insert(did.to_owned(), standing.clone());
        standing
    }

    /// Resolves a `did:webvh` DID from the copies held, at a device's time. Copies at W answer, all of them alike; a
    /// deactivation counts in any copy.
    pub fn resolve_webvh(&self, did: &str, wanted: &Wanted, now: Time) -> Result<(Resolution, HeldCopy), WebvhError> {
        let standing = self.webvh(did);
        let asked = |copy: &HeldCopy| {
            let resolved = copy.log().resolve(wanted, now).map_err(WebvhError::Log)?;
            Ok((resolved, copy.clone()))
        };
        if let (Wanted::Newest, Some(copy)) = (wanted, &standing.deactivated) {
            return asked(copy);
        }
        let first = asked(standing.witnessed.first().ok_or(WebvhError::NotHeld)?);
        if !standing.is_forked() {
            return first;
        }
        let (resolved, copy) = first.map_err(|_| WebvhError::Forked)?;
        let same = |end: &HeldCopy| asked(end).is_ok_and(|(other, _)| other.document == resolved.document);
        let is_one = !standing.crowded && standing.ends.iter().chain(&standing.witnessed).all(same);
        if is_one { Ok((resolved, copy)) } else { Err(WebvhError::Forked) }
    }

    fn compare(&self, did: &str) -> WebvhStanding {
        let mut standing = WebvhStanding::default();
        let Some(scid) = WebvhDid::parse(did).map(|did| did.scid().to_owned()) else { return standing };
        let mut names = vec![did.to_owned()];
        let mut seen = BTreeSet::from([did.to_owned()]);
        let mut read: BTreeSet<(Digest, bool)> = BTreeSet::new();
        while let Some(name) = names.pop() {
            let Ok(key) = RecordKey::did(&name) else { continue };
            for (origin, held) in &self.registers {
                for (digest, witnessed) in copies_in(held, &key) {
                    let Some(record) = held.bodies().get(&digest) else { continue };
                    let Ok(body) = record.webvh() else { continue };
                    if body.log().scid() != scid || !body.log().names(&name) || !read.insert((digest, witnessed)) {
                        continue;
                    }
                    for name in body.log().dids().into_iter().rev() {
                        if seen.len() < limits::WEBVH_NAMES_MAX && seen.insert(name.to_owned()) {
                            names.push(name.to_owned());
                        }
                    }
                    let (origin, key, record) = (origin.clone(), key.clone(), record.clone());
                    standing.add(HeldCopy { origin, key, witnessed, record });
                }
            }
        }
        standing
    }
}

impl WebvhStanding {
    fn add(&mut self, copy: HeldCopy) {
        if copy.log().is_deactivated() && self.deactivated.is_none() {
            self.deactivated = Some(copy.clone());
        }
        if copy.witnessed {
            keep_end(&mut self.witnessed, copy.clone());
        }
        self.crowded |= !keep_end(&mut self.ends, copy);
    }
}

/// Keeps the ends; false when there is no room for one more.
fn keep_end(kept: &mut Vec<HeldCopy>, copy: HeldCopy) -> bool {
    kept.push(copy);
    let logs: Vec<&Log> = kept.iter().map(HeldCopy::log).collect();
    let places: BTreeSet<usize> = ends(&logs).into_iter().collect();
    let mut place = 0;
    kept.retain(|_| {
        place += 1;
        places.contains(&(place - 1))
    });
    let fits = kept.len() <= limits::WEBVH_BRANCHES_MAX;
    kept.truncate(limits::WEBVH_BRANCHES_MAX);
    fits
}

/// The digests of a record in a register, the one at W marked.
fn copies_in(held: &HeldRegister, key: &RecordKey) -> Vec<(Digest, bool)> {
    let at_w = held.digest_witnessed(key);
    held.digests(key).into_iter().map(|digest| (digest, at_w == Some(digest))).collect()
}

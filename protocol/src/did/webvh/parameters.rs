//! Parameters: what an entry sets, and what stays in force from those before.
//!
//! ```text
//! {"method":"did:webvh:1.0","scid":"QmYP…","updateKeys":["z6Mk…"],"nextKeyHashes":["QmZr…"],"portable":true,
//!  "witness":{"threshold":1,"witnesses":[{"id":"did:key:z6Mk…"}]},"watchers":[],"deactivated":false,"ttl":3600}
//! ```
//!
//! What is absent stays as it was. `null` counts as the default of a list, of `witness` and of `ttl`, as did:webvh 1.0
//! asks resolvers to read logs of before it.

use std::sync::Arc;

use super::{LogError, METHOD, check_keys, check_witnesses, hash_of, is_hash, shown};
use crate::credential::json::{Json, Object};
use crate::did::key;
use crate::limits::{MULTIKEY_SIZE_MAX, WEBVH_WATCHERS_MAX};

/// The time in seconds for which a resolution may be kept, where nothing is said.
pub const TTL_DEFAULT: u64 = 3600;
const TTL_MAX: u64 = 1 << 31;

/// The parameters in force after an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    scid: Arc<str>,
    update_keys: Arc<[String]>,
    next_key_hashes: Arc<[String]>,
    witness: Option<Arc<Witnesses>>,
    watchers: Arc<[String]>,
    portable: bool,
    deactivated: bool,
    ttl: u64,
}

/// Who witnesses the entries of a DID, and how many of them are enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnesses {
    /// How many are enough.
    pub threshold: usize,
    /// Their `did:key` DIDs, each once.
    pub dids: Vec<String>,
}

const MEMBERS: [&str; 9] =
    ["deactivated", "method", "nextKeyHashes", "portable", "scid", "ttl", "updateKeys", "watchers", "witness"];

impl Parameters {
    /// Reads what an entry sets on the parameters before it.
    pub(super) fn read(set: &Object, before: Option<&Self>) -> Result<Self, LogError> {
        let bad = LogError::Parameters;
        if set.iter().any(|(name, _)| !MEMBERS.contains(&name)) {
            return Err(bad("only the members of did:webvh 1.0"));
        }
        match set.get("method") {
            Some(Json::String(method)) if method == METHOD => {}
            Some(Json::String(other)) => return Err(LogError::Method(shown(other))),
            None if before.is_some() => {}
            _ => return Err(bad("a method")),
        }
        let scid = match (set.get("scid"), before) {
            (Some(Json::String(scid)), None) if is_hash(scid) => Arc::from(scid.as_str()),
            (None, Some(before)) => before.scid.clone(),
            (_, None) => return Err(bad("a scid that is a SHA-256 multihash in base58")),
            (_, Some(_)) => return Err(bad("a scid in the first entry only")),
        };
        let update_keys = strings(set, "updateKeys", MULTIKEY_SIZE_MAX, before.map(|before| &before.update_keys))?;
        let update_keys = update_keys.ok_or(bad("updateKeys in the first entry"))?;
        let hashes = strings(set, "nextKeyHashes", MULTIKEY_SIZE_MAX, before.map(|before| &before.next_key_hashes))?;
        let watchers = strings(set, "watchers", WATCHER_SIZE_MAX, before.map(|before| &before.watchers))?;
        let made = Self {
            scid,
            update_keys,
            next_key_hashes: hashes.unwrap_or_default(),
            witness: match set.get("witness") {
                None => before.and_then(|before| before.witness.clone()),
                Some(Json::Null) => None,
                Some(witness) => Witnesses::read(witness)?.map(Arc::new),
            },
            watchers: watchers.unwrap_or_default(),
            portable: match (boolean(set, "portable")?, before.map(|before| before.portable)) {
                (Some(true), Some(false)) => return Err(bad("portable to be true from the first entry on")),
                (Some(portable), _) => portable,
                (None, was) => was.unwrap_or_default(),
            },
            deactivated: boolean(set, "deactivated")?.unwrap_or_default(),
            ttl: match set.get("ttl") {
                None => before.map_or(TTL_DEFAULT, |before| before.ttl),
                Some(Json::Null) => TTL_DEFAULT,
                Some(ttl) => ttl.as_u64().filter(|ttl| *ttl <= TTL_MAX).ok_or(bad("a ttl from 0 to 2^31"))?,
            },
        };
        if before.is_some_and(Self::pre_rotates) {
            made.check_pre_rotation(set, before)?;
        }
        Ok(made)
    }

    /// Keys that come in were promised by the entry before, and the promise is renewed or ended by this one.
    fn check_pre_rotation(&self, set: &Object, before: Option<&Self>) -> Result<(), LogError> {
        let bad = LogError::PreRotation;
        if set.get("updateKeys").is_none() || set.get("nextKeyHashes").is_none() {
            return Err(bad("updateKeys and nextKeyHashes in every entry"));
        }
        if self.update_keys.is_empty() {
            return Err(bad("one of the promised keys"));
        }
        let promised = before.map(|before| &before.next_key_hashes[..]).unwrap_or_default();
        if !self.update_keys.iter().all(|key| promised.contains(&hash_of(key.as_bytes()))) {
            return Err(bad("update keys that the entry before promised"));
        }
        Ok(())
    }

    /// Returns the keys that may sign the entry that left these parameters.
    pub(super) fn signers_of<'a>(&'a self, before: Option<&'a Self>) -> &'a [String] {
        match before {
            Some(before) if !before.pre_rotates() => &before.update_keys,
            _ => &self.update_keys,
        }
    }

    /// Returns the witnesses that must stand for the entry that left these parameters: those before it, or its own where
    /// there were none.
    pub(super) fn witnesses_of(&self, before: Option<&Self>) -> Option<Arc<Witnesses>> {
        before.and_then(|before| before.witness.clone()).or_else(|| self.witness.clone())
    }

    /// Returns the SCID.
    pub fn scid(&self) -> &str {
        &self.scid
    }

    /// Returns the Multikeys that may sign the next entry, unless it must bring its own.
    pub fn update_keys(&self) -> &[String] {
        &self.update_keys
    }

    /// Returns the hashes of the keys that the next entry may bring.
    pub fn next_key_hashes(&self) -> &[String] {
        &self.next_key_hashes
    }

    /// True when the next entry must bring promised keys.
    pub fn pre_rotates(&self) -> bool {
        !self.next_key_hashes.is_empty()
    }

    /// Returns who witnesses the next entry.
    pub fn witness(&self) -> Option<&Witnesses> {
        self.witness.as_deref()
    }

    /// Returns the URLs of watchers.
    pub fn watchers(&self) -> &[String] {
        &self.watchers
    }

    /// True when the DID may move to another host.
    pub fn portable(&self) -> bool {
        self.portable
    }

    /// True when the DID is no more.
    pub fn deactivated(&self) -> bool {
        self.deactivated
    }

    /// Returns for how many seconds a resolution may be kept.
    pub fn ttl(&self) -> u64 {
        self.ttl
    }
}

impl Witnesses {
    /// Checks that the threshold can be met and that each is a `did:key` of its own.
    pub fn new(threshold: usize, dids: Vec<String>) -> Result<Self, LogError> {
        let bad = LogError::Parameters;
        check_witnesses(dids.len())?;
        if !dids.iter().all(|did| key::resolve(did).is_ok()) {
            return Err(bad("Ed25519 did:key DIDs as witnesses"));
        }
        let mut sorted: Vec<&String> = dids.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != dids.len() {
            return Err(bad("each witness once"));
        }
        if !(1..=dids.len()).contains(&threshold) {
            return Err(bad("a witness threshold from 1 to the number of witnesses"));
        }
        Ok(Self { threshold, dids })
    }

    /// Returns them as the parameter `witness`.
    pub fn to_json(&self) -> Json {
        let witness = |did: &String| Json::Object(Object::from_iter([("id", Json::from(did.as_str()))]));
        let threshold = u32::try_from(self.threshold).unwrap_or(u32::MAX);
        Json::Object(Object::from_iter([
            ("threshold", Json::from(threshold)),
            ("witnesses", Json::Array(self.dids.iter().map(witness).collect())),
        ]))
    }

    /// `{}` is nobody.
    fn read(value: &Json) -> Result<Option<Self>, LogError> {
        let bad = LogError::Parameters;
        let witness = value.as_object().ok_or(bad("a witness that is an object"))?;
        if witness.is_empty() {
            return Ok(None);
        }
        let threshold = witness.get("threshold").and_then(Json::as_u64).ok_or(bad("a witness threshold"))?;
        let listed = witness.get("witnesses").and_then(Json::as_array).ok_or(bad("witnesses in an array"))?;
        check_witnesses(listed.len())?;
        let id = |item: &Json| item.get("id").and_then(Json::as_str).map(str::to_owned);
        let dids: Option<Vec<String>> = listed.iter().map(id).collect();
        let dids = dids.ok_or(bad("an id of each witness"))?;
        if witness.len() != 2 {
            return Err(bad("only threshold and witnesses in witness"));
        }
        Self::new(usize::try_from(threshold).unwrap_or(usize::MAX), dids).map(Some)
    }
}

/// Bytes in the URL of a watcher.
const WATCHER_SIZE_MAX: usize = crate::limits::DID_SIZE_MAX;

/// A list of strings that is set, or the one before; `null` is an empty one.
fn strings(
    set: &Object,
    name: &'static str,
    size_max: usize,
    before: Option<&Arc<[String]>>,
) -> Result<Option<Arc<[String]>>, LogError> {
    let bad = LogError::Parameters;
    let listed = match set.get(name) {
        None => return Ok(before.cloned()),
        Some(Json::Null) => return Ok(Some(Arc::default())),
        Some(value) => value.as_array().ok_or(bad("arrays of strings"))?,
    };
    check_keys(listed.len())?;
    if name == "watchers" && listed.len() > WEBVH_WATCHERS_MAX {
        return Err(LogError::Limit { what: "watchers", max: WEBVH_WATCHERS_MAX });
    }
    let text = |item: &Json| item.as_str().filter(|text| text.len() <= size_max).map(str::to_owned);
    let texts: Option<Vec<String>> = listed.iter().map(text).collect();
    Ok(Some(texts.ok_or(bad("arrays of short strings"))?.into()))
}

fn boolean(set: &Object, name: &'static str) -> Result<Option<bool>, LogError> {
    let Some(value) = set.get(name) else { return Ok(None) };
    value.as_bool().map(Some).ok_or(LogError::Parameters("portable and deactivated as booleans"))
}

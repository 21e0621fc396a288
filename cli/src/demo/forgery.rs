//! What must not pass: a credential that somebody altered, and a second history signed by a stolen key.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use standfast_node::api::envelope;
use standfast_node::keystore::{KeyUse, Keystore, Passphrase};
use standfast_protocol::bundle::Bundle;
use standfast_protocol::digest::Digest;
use standfast_protocol::log::note;
use standfast_protocol::register::draft::Ground;
use standfast_protocol::register::entry::Change;
use standfast_protocol::register::record::RecordKey;
use standfast_protocol::sync::Submission;
use standfast_protocol::sync::message::{BodyItem, HeadMessage, Signed};
use standfast_protocol::time::Time;
use zeroize::Zeroizing;

use super::stage::{PASSPHRASE, Stage};
use crate::error::{CliError, CliResult, Exit};

/// Gives a signed token another class of licence, and leaves its signature as it was.
pub(super) fn alter(token: &[u8]) -> CliResult<Vec<u8>> {
    let bad = || CliError::new("demo", Exit::Refused, "the issued token is not a compact JWS");
    let text = std::str::from_utf8(token).map_err(|_| bad())?.trim();
    let mut parts = text.split('.');
    let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(bad());
    };
    let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).map_err(|_| bad())?;
    let payload = String::from_utf8(payload).map_err(|_| bad())?.replace("\"B\"", "\"C\"");
    Ok(format!("{header}.{}.{signature}", BASE64URL_NOPAD.encode(payload.as_bytes())).into_bytes())
}

/// A thief with the transport agency's key and passphrase, and no ledger to stop them.
pub(super) struct Thief {
    ground: Ground,
    key: String,
}

impl Thief {
    /// Copies the register as it stands now.
    pub(super) fn prepare(stage: &Stage, node: &str, key: &str, origin: &str) -> CliResult<Self> {
        let bundle = stage.client(node)?.get("/v1/snapshot")?.body;
        let failed = |e: &dyn std::error::Error| CliError::of("demo", Exit::Refused, e);
        let (replica, _) = Bundle::decode(&bundle).and_then(|b| b.open(u64::MAX / 2)).map_err(|e| failed(&e))?;
        let register = replica
            .register(origin)
            .map(Arc::clone)
            .ok_or_else(|| CliError::new("demo", Exit::Refused, format!("{origin} is not held")))?;
        Ok(Self { ground: Ground::of(&register).map_err(|e| failed(&e))?, key: key.to_owned() })
    }

    /// Signs another entry at a size that the agency has signed since, and hands it to `node`. Returns when it did so, the size and the root.
    pub(super) fn sign(self, stage: &Stage, owner: &str, node: &str, at: Time) -> CliResult<(Instant, u64, Digest)> {
        let failed = |e: &dyn std::error::Error| CliError::of("demo", Exit::Refused, e);
        let body = Bytes::from_static(b"Another history: nothing of the last entry has happened.");
        let key = RecordKey::notice("another-history").map_err(|e| failed(&e))?;
        let change = Change { key, digest: Some(Digest::of(&body)) };
        let prepared = self.ground.prepare(at, vec![change]).map_err(|e| failed(&e))?;
        let keystore = Keystore::in_data_dir(&stage.data_dir(owner));
        let passphrase = Passphrase::new(Zeroizing::new(PASSPHRASE.to_owned())).map_err(|e| failed(&e))?;
        let unlocked = keystore.unlock(&self.key, KeyUse::Register, &passphrase).map_err(|e| failed(&e))?;
        let keys = unlocked.public.verifier_keys().map_err(|e| failed(&e))?;
        let own = keys.first().ok_or_else(|| CliError::new("demo", Exit::Refused, "the key names no register"))?;
        let line = note::sign(&prepared.text(), own, &unlocked.secret);
        let head = HeadMessage {
            checkpoint: prepared.checkpoint().clone(),
            own: vec![Signed::from_line(&line)],
            cosignatures: Vec::new(),
            first: prepared.first(),
            entries: prepared.entries().iter().map(|entry| entry.bytes().clone()).collect(),
            bodies: vec![BodyItem::Whole(body)],
        };
        let submission = Submission { heads: vec![head], ..Submission::default() };
        let handed = Instant::now();
        let answer = stage.client(node)?.post("/v1/publish", "application/cbor", &envelope::encode(&submission))?;
        answer.json::<serde_json::Value>()?;
        Ok((handed, prepared.checkpoint().size, prepared.checkpoint().root))
    }
}

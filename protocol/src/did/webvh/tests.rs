//! Rules of a log, each by a log that breaks it.

use super::author::{AuthorError, Creation, Prepared, Update, create, document, key_hash, moved, template, update};
use super::copies::{Relation, ends};
use super::parameters::Witnesses;
use super::resolve::{ResolveError, Wanted};
use super::witness::{PreparedProof, pruned};
use super::*;
use crate::did::key::did_of;
use crate::key::SecretKey;

const START: u64 = 1_795_000_000;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn at(secs: u64) -> Time {
    Time::from_secs_saturating(START + secs)
}

fn creation() -> Creation {
    let did = template("transport.gov.example").expect("a location");
    Creation {
        time: at(0),
        document: document(&did, &[("k1", key(9).public())]),
        update_keys: vec![key(1).public()],
        next_key_hashes: Vec::new(),
        witness: None,
        watchers: Vec::new(),
        portable: false,
        ttl: None,
    }
}

fn finish(prepared: Result<Prepared, AuthorError>, by: &SecretKey) -> Result<Bytes, LogError> {
    let prepared = prepared.expect("prepared");
    let signature = by.sign(&prepared.input());
    prepared.finish(&signature).map_err(|error| match error {
        AuthorError::Refused(error) => error,
        other => panic!("{other}"),
    })
}

fn begun(edit: impl FnOnce(&mut Creation)) -> Bytes {
    let mut creation = creation();
    edit(&mut creation);
    finish(create(&creation, key(1).public()), &key(1)).expect("a log")
}

fn then(log: &Bytes, seed: u8, secs: u64, edit: impl FnOnce(&mut Update)) -> Result<Bytes, LogError> {
    let mut change = Update::at(at(secs));
    edit(&mut change);
    let read = Log::read_unwitnessed(log).expect("a log");
    finish(update(log, &read, &change, key(seed).public()), &key(seed))
}

fn read(log: &Bytes) -> Log {
    Log::read(log, b"").expect("a log")
}

fn code(log: &Bytes) -> &'static str {
    match Log::read(log, b"") {
        Ok(log) => log.ended().map_or("whole", |(_, error)| error.code()),
        Err(error) => error.code(),
    }
}

fn edited(log: &Bytes, from: &str, to: &str) -> Bytes {
    let text = std::str::from_utf8(log).expect("text");
    assert!(text.contains(from), "{from} is not in {text}");
    Bytes::from(text.replace(from, to))
}

/// Signs an entry again, with its hashes, after an edit of the text of its body.
fn forged(edit: impl FnOnce(String) -> String) -> Bytes {
    let log = begun(|_| {});
    let mut entry = Entry::read(&log[..log.len() - 1]).expect("an entry").body;
    let scid = read(&log).scid().to_owned();
    entry.insert("versionId", Json::from(PLACEHOLDER));
    let text = edit(crate::credential::jcs::object_to_string(&entry).replace(&scid, PLACEHOLDER));
    let placed = Json::parse(text.as_bytes()).expect("JSON").to_string();
    let scid = hash_of(placed.as_bytes());
    let Json::Object(mut body) = Json::parse(placed.replace(PLACEHOLDER, &scid).as_bytes()).expect("JSON") else {
        panic!("an object")
    };
    body.insert("versionId", Json::from(scid.as_str()));
    let id = format!("1-{}", hash_of(crate::credential::jcs::object_to_string(&body).as_bytes()));
    body.insert("versionId", Json::from(id));
    let config = proof::configuration(key(1).public(), at(0));
    let input = proof::signing_input(&config, &crate::credential::jcs::object_to_string(&body));
    body.insert("proof", proof::with_value(config, &key(1).sign(&input)));
    Bytes::from(Json::Object(body).to_string())
}

#[test]
fn reads_what_it_writes_and_writes_the_same_bytes() {
    let log = begun(|_| {});
    assert_eq!(log, begun(|_| {}));
    let read = read(&log);
    assert!(read.is_whole() && WebvhDid::parse(read.newest().did()).is_some_and(|did| did.scid() == read.scid()));
    assert_eq!(code(&forged(|text| text)), "whole");
    assert_eq!(Log::read(&Bytes::new(), b"").err(), Some(LogError::Empty));
}

#[test]
fn each_rule_of_the_first_entry_is_kept() {
    let cases: [(&str, &str, &str); 15] = [
        ("\"did:webvh:1.0\"", "\"did:webvh:0.5\"", "method"),
        ("\"deactivated\":false", "\"deactivated\":0", "parameters"),
        ("\"deactivated\":false", "\"unknown\":false", "parameters"),
        ("\"scid\":\"{SCID}\"", "\"scid\":\"Qm\"", "parameters"),
        ("\"witness\":{}", "\"witness\":{\"threshold\":0,\"witnesses\":[]}", "parameters"),
        ("\"witness\":{}", "\"witness\":[]", "parameters"),
        ("\"nextKeyHashes\":[]", "\"nextKeyHashes\":[1]", "parameters"),
        ("\"updateKeys\":[", "\"ttl\":-1,\"updateKeys\":[", "parameters"),
        ("Z\"}", ".1+01:00\"}", "version-time"),
        ("Z\"}", "\"}", "version-time"),
        ("\"state\":{", "\"more\":1,\"state\":{", "member"),
        ("\"id\":\"did:webvh:{SCID}:transport.gov.example\"", "\"id\":\"did:web:a.example\"", "document-id"),
        ("\"id\":\"did:webvh:{SCID}:transport.gov.example\"", "\"id\":\"did:webvh:{SCID}:10.0.0.1\"", "document-id"),
        ("\"updateKeys\":[", "\"updateKeys\":[],\"watchers\":[", "json"),
        ("\"updateKeys\":[\"z", "\"updateKeys\":[\"y", "key-not-active"),
    ];
    for (from, to, expected) in cases {
        if expected == "json" {
            assert_eq!(code(&edited(&begun(|_| {}), from, to)), expected, "{to}");
            continue;
        }
        let log = forged(|text| {
            assert!(text.contains(from), "{from} is not in {text}");
            text.replace(from, to)
        });
        assert_eq!(code(&log), expected, "{to}");
    }
    let log = begun(|_| {});
    for (from, to, expected) in [
        ("\"versionId\":\"1-", "\"versionId\":\"2-", "version-number"),
        ("\"versionId\":\"1-", "\"versionId\":\"01-", "version-number"),
        ("\"deactivated\":false", "\"deactivated\":true", "entry-hash"),
        ("\"proofValue\":\"z", "\"proofValue\":\"", "proof-form"),
        ("\"eddsa-jcs-2022\"", "\"eddsa-rdfc-2022\"", "proof-form"),
        ("\"assertionMethod\",\"proofValue\"", "\"authentication\",\"proofValue\"", "proof-form"),
        ("\"created\":\"2026", "\"created\":\"2025", "signature"),
    ] {
        assert_eq!(code(&edited(&log, from, to)), expected, "{to}");
    }
}

#[test]
fn the_scid_is_the_hash_of_the_first_entry() {
    let log = begun(|_| {});
    let scid = read(&log).scid().to_owned();
    let other = edited(&log, &scid, &hash_of(b"another"));
    assert_eq!(code(&other), "entry-hash");
    // With the entry hash made again, the SCID is what is left to be wrong.
    let mut entry = Entry::read(&other[..other.len() - 1]).expect("an entry").body;
    entry.insert("versionId", Json::from(hash_of(b"another")));
    let id = format!("1-{}", hash_of(crate::credential::jcs::object_to_string(&entry).as_bytes()));
    let old = Entry::read(&other[..other.len() - 1]).expect("an entry").body;
    let old = old.get("versionId").and_then(Json::as_str).expect("an id").to_owned();
    assert_eq!(code(&edited(&other, &old, &id)), "scid");
}

#[test]
fn a_prefix_that_holds_stays() {
    let first = begun(|_| {});
    let second = then(&first, 1, 10, |_| {}).expect("an entry");
    let mut log = second.to_vec();
    log.extend_from_slice(b"{}\n");
    let log = read(&log.into());
    assert_eq!(log.versions().len(), 2);
    assert_eq!(log.ended().map(|(at, error)| (at, error.code())), Some((2, "member")));
    let refused = log.resolve(&Wanted::Newest, at(20));
    assert!(matches!(refused, Err(ResolveError::Invalid { at: 3, .. })), "{refused:?}");
    assert!(log.resolve(&Wanted::Number(2), at(20)).is_ok());
    assert!(log.resolve(&Wanted::Time(at(5)), at(20)).is_ok());
    assert!(matches!(log.resolve(&Wanted::Time(at(15)), at(20)), Err(ResolveError::Invalid { .. })));
}

#[test]
fn times_rise_and_are_not_far_ahead() {
    let first = begun(|_| {});
    assert_eq!(then(&first, 1, 0, |_| {}).map_err(|e| e.code()), Err("version-time"));
    let log = read(&then(&first, 1, 400, |_| {}).expect("an entry"));
    assert_eq!((log.settled(at(99)), log.settled(at(100))), (1, 2));
    assert!(matches!(log.resolve(&Wanted::Newest, at(99)), Err(ResolveError::Invalid { at: 2, .. })));
    assert!(log.resolve(&Wanted::Number(1), at(99)).is_ok());
    let fraction = |text| VersionTime::parse(text).expect("a time");
    assert!(fraction("2026-01-01T00:00:00.25Z").is_after(&fraction("2026-01-01T00:00:00.1+00:00")));
    assert_eq!(VersionTime::parse("2026-01-01T00:00:00+01:00"), None);
}

#[test]
fn only_active_keys_sign() {
    let first = begun(|_| {});
    assert_eq!(then(&first, 2, 10, |_| {}).map_err(|e| e.code()), Err("key-not-active"));
    // The entry that brings a key is signed by the keys before it, the next by that key alone.
    let rotated = |log: &mut Update| log.update_keys = Some(vec![key(2).public()]);
    assert_eq!(then(&first, 2, 10, rotated).map_err(|e| e.code()), Err("key-not-active"));
    let second = then(&first, 1, 10, rotated).expect("an entry");
    assert_eq!(then(&second, 1, 20, |_| {}).map_err(|e| e.code()), Err("key-not-active"));
    let third = then(&second, 2, 20, |log| log.update_keys = Some(Vec::new())).expect("an entry");
    assert_eq!(then(&third, 2, 30, |_| {}).map_err(|e| e.code()), Err("key-not-active"));
}

#[test]
fn pre_rotation_admits_promised_keys_alone() {
    let promise = |seed: u8| vec![key_hash(key(seed).public())];
    let first = begun(|c| c.next_key_hashes = promise(2));
    let turn = |seed: u8, next: Option<Vec<String>>| {
        move |u: &mut Update| {
            u.update_keys = Some(vec![key(seed).public()]);
            u.next_key_hashes = next;
        }
    };
    assert_eq!(then(&first, 1, 10, |_| {}).map_err(|e| e.code()), Err("pre-rotation"));
    assert_eq!(then(&first, 2, 10, turn(2, None)).map_err(|e| e.code()), Err("pre-rotation"));
    assert_eq!(then(&first, 3, 10, turn(3, Some(promise(4)))).map_err(|e| e.code()), Err("pre-rotation"));
    assert_eq!(then(&first, 1, 10, turn(2, Some(promise(3)))).map_err(|e| e.code()), Err("key-not-active"));
    let second = then(&first, 2, 10, turn(2, Some(promise(3)))).expect("an entry");
    // The entry that ends pre-rotation is still bound by it; the next is not.
    let third = then(&second, 3, 20, turn(3, Some(Vec::new()))).expect("an entry");
    assert!(then(&third, 3, 30, |u| u.update_keys = Some(vec![key(7).public()])).is_ok());
}

#[test]
fn a_deactivated_did_ends() {
    let first = begun(|_| {});
    let last = then(&first, 1, 10, |u| u.deactivate = true).expect("an entry");
    let log = read(&last);
    assert!(log.is_deactivated());
    let resolved = log.resolve(&Wanted::Newest, at(20)).expect("a document");
    assert!(resolved.deactivated);
    assert!(!log.resolve(&Wanted::Number(1), at(20)).expect("a document").deactivated);
    let refused = update(&last, &log, &Update::at(at(20)), key(1).public()).map(|_| ());
    assert_eq!(refused, Err(AuthorError::Closed("the DID was deactivated")));
    let other = then(&first, 1, 10, |_| {}).expect("an entry");
    let beyond = then(&other, 1, 20, |_| {}).expect("an entry");
    let spliced = [&last[..], beyond.split(|b| *b == b'\n').nth(2).expect("a line")].concat();
    assert_eq!(code(&spliced.into()), "after-deactivation");
}

#[test]
fn a_did_moves_only_when_it_is_portable_and_says_so() {
    let fixed = begun(|_| {});
    let to = |log: &Bytes| moved(&read(log), "new.gov.example:8443/agencies").expect("a document");
    let document = to(&fixed);
    assert_eq!(then(&fixed, 1, 10, |u| u.document = Some(document)).map_err(|e| e.code()), Err("document-id"));
    let portable = begun(|c| c.portable = true);
    let document = to(&portable);
    let mut silent = document.as_object().expect("an object").clone();
    silent.remove("alsoKnownAs");
    let silent = Json::Object(silent);
    assert_eq!(then(&portable, 1, 10, |u| u.document = Some(silent)).map_err(|e| e.code()), Err("document-id"));
    let log = then(&portable, 1, 10, |u| u.document = Some(document.clone())).expect("an entry");
    let log = read(&log);
    let old = log.versions()[0].did().to_owned();
    assert_eq!(log.dids().len(), 2);
    assert!(log.newest().did().ends_with(":new.gov.example%3A8443:agencies"), "{}", log.newest().did());
    assert_eq!(log.current_method(&format!("{old}#k1")), Some(format!("{}#k1", log.newest().did())));
    assert_eq!(log.current_method("did:web:a.example#k1"), None);
    // Portability that was given up does not come back.
    let pinned = then(&portable, 1, 10, |u| u.pin = true).expect("an entry");
    let elsewhere = moved(&read(&pinned), "b.example").expect("a document");
    assert_eq!(then(&pinned, 1, 20, |u| u.document = Some(elsewhere)).map_err(|e| e.code()), Err("document-id"));
}

fn witnessed(log: &Bytes, file: &[u8], version: usize, seed: u8) -> Vec<u8> {
    let id = Log::read_unwitnessed(log).expect("a log").versions()[version].id().to_owned();
    let proof = PreparedProof::new(&id, key(seed).public(), at(0));
    let signature = key(seed).sign(&proof.input());
    proof.add_to(file, &signature).expect("a file")
}

fn standing(log: &Bytes, file: &[u8]) -> (usize, &'static str) {
    match Log::read(log, file) {
        Ok(log) => (log.versions().len(), log.ended().map_or("whole", |(_, error)| error.code())),
        Err(error) => (0, error.code()),
    }
}

#[test]
fn witnesses_stand_for_entries_up_to_theirs() {
    let witnesses = |threshold, seeds: &[u8]| {
        Witnesses::new(threshold, seeds.iter().map(|seed| did_of(key(*seed).public())).collect()).expect("witnesses")
    };
    let first = begun(|c| c.witness = Some(witnesses(2, &[11, 12, 13])));
    assert_eq!(standing(&first, b""), (0, "unwitnessed"));
    let one = witnessed(&first, b"", 0, 11);
    assert_eq!(standing(&first, &one), (0, "unwitnessed"));
    assert_eq!(standing(&first, &witnessed(&first, &one, 0, 14)), (0, "unwitnessed"));
    let two = witnessed(&first, &one, 0, 12);
    assert_eq!(standing(&first, &two), (1, "whole"));
    // New witnesses count from the next entry on.
    let second = then(&first, 1, 10, |u| u.witness = Some(Some(witnesses(1, &[14])))).expect("an entry");
    assert_eq!(standing(&second, &witnessed(&second, &two, 1, 14)), (1, "unwitnessed"));
    let both = witnessed(&second, &witnessed(&second, &two, 1, 12), 1, 13);
    assert_eq!(standing(&second, &both), (2, "whole"));
    let third = then(&second, 1, 20, |u| u.witness = Some(None)).expect("an entry");
    assert_eq!(standing(&third, &both), (2, "unwitnessed"));
    // A proof over a later entry stands for the earlier ones; one over an entry that is not there for none.
    let late = witnessed(&third, &witnessed(&third, &witnessed(&third, b"", 2, 14), 1, 11), 2, 12);
    assert_eq!(standing(&third, &late), (3, "whole"));
    assert_eq!(standing(&second, &late), (0, "unwitnessed"));
    let fourth = then(&third, 1, 30, |_| {}).expect("an entry");
    assert_eq!(standing(&fourth, &late), (4, "whole"));
    let all = witnessed(&third, &both, 2, 14);
    let kept = pruned(Log::read_unwitnessed(&fourth).expect("a log").versions(), &all).expect("a file");
    assert!(kept.len() < all.len());
    assert_eq!(standing(&fourth, &kept), (4, "whole"));
    assert_eq!(standing(&first, b"{}"), (0, "witness-file"));
}

#[test]
fn the_first_witnesses_stand_at_once() {
    let first = begun(|_| {});
    let witnesses = Witnesses::new(1, vec![did_of(key(11).public())]).expect("witnesses");
    let second = then(&first, 1, 10, |u| u.witness = Some(Some(witnesses))).expect("an entry");
    assert_eq!(standing(&second, b""), (1, "unwitnessed"));
    assert_eq!(standing(&second, &witnessed(&second, b"", 1, 11)), (2, "whole"));
    let twice = vec![did_of(key(11).public()); 2];
    assert!(Witnesses::new(1, twice.clone()).is_err() && Witnesses::new(0, twice[..1].to_vec()).is_err());
    assert!(Witnesses::new(2, twice[..1].to_vec()).is_err() && Witnesses::new(1, vec!["did:web:a".into()]).is_err());
}

#[test]
fn copies_extend_each_other_or_part() {
    let first = begun(|_| {});
    let second = then(&first, 1, 10, |_| {}).expect("an entry");
    let other = then(&first, 1, 11, |_| {}).expect("an entry");
    let (first, second, other) = (read(&first), read(&second), read(&other));
    assert_eq!(first.relation(&second), Relation::Older);
    assert_eq!(second.relation(&first), Relation::Newer);
    assert_eq!(second.relation(&second.clone()), Relation::Same);
    assert_eq!(second.relation(&other), Relation::Diverges(1));
    assert_eq!(ends(&[&first, &second, &first, &second]), [1]);
    assert_eq!(ends(&[&second, &first, &other]), [0, 2]);
}

#[test]
fn maps_dids_to_urls_and_refuses_what_is_no_host() {
    let scid = hash_of(b"");
    let did = |rest: &str| format!("did:webvh:{scid}:{rest}");
    for (rest, log, base) in [
        ("example.com", "https://example.com/.well-known/did.jsonl", "https://example.com"),
        ("example.com:dids:issuer", "https://example.com/dids/issuer/did.jsonl", "https://example.com/dids/issuer"),
        ("localhost%3A8000:a", "https://localhost:8000/a/did.jsonl", "https://localhost:8000/a"),
    ] {
        let text = did(rest);
        let did = WebvhDid::parse(&text).expect("a DID");
        assert_eq!((did.log_url(), did.base_url()), (log.to_owned(), base.to_owned()));
        assert_eq!(did.witness_url(), log.replace("did.jsonl", "did-witness.json"));
    }
    for rest in
        ["", "1.2.3.4", "a..b", "a.example:", "a.example::b", "a.example%3A0", "a.example%3A99999", "a.example:.."]
    {
        assert_eq!(WebvhDid::parse(&did(rest)), None, "{rest}");
    }
    assert_eq!(WebvhDid::parse("did:webvh:QmX7:a.example"), None);
    assert_eq!(template("localhost:8080/a/b/").as_deref(), Ok("did:webvh:{SCID}:localhost%3A8080:a:b"));
    for location in ["", "a b", "https://a.example", "A.example", "127.0.0.1", "a.example/.."] {
        assert!(template(location).is_err(), "{location}");
    }
}

#[test]
fn reads_the_query_of_a_did_url() {
    assert_eq!(Wanted::parse(""), Ok(Wanted::Newest));
    assert_eq!(Wanted::parse("versionNumber=2"), Ok(Wanted::Number(2)));
    assert_eq!(
        Wanted::parse("versionTime=2026-11-20T14%3A28%3A00Z").ok(),
        Time::from_rfc3339("2026-11-20T14:28:00Z").map(Wanted::Time)
    );
    for query in ["versionNumber=x", "version=1", "versionId", "versionId=1&versionTime=2"] {
        assert!(Wanted::parse(query).is_err(), "{query}");
    }
}

#[test]
fn implicit_services_give_way_to_explicit_ones() {
    let log = read(&begun(|c| {
        let mut whole = c.document.as_object().expect("an object").clone();
        let service = r#"[{"id":"did:webvh:{SCID}:transport.gov.example#files","type":"relativeRef","serviceEndpoint":"https://cdn.example"}]"#;
        whole.insert("service", Json::parse(service.as_bytes()).expect("JSON"));
        c.document = Json::Object(whole);
    }));
    let resolved = log.resolve(&Wanted::Newest, at(1)).expect("a document");
    let services = resolved.document.get("service").and_then(Json::as_array).expect("services");
    let ends: Vec<_> = services.iter().filter_map(|s| s.get("serviceEndpoint")?.as_str()).collect();
    assert_eq!(ends, ["https://cdn.example", "https://transport.gov.example/whois.vp"]);
}

#[test]
fn what_is_foreign_is_bounded() {
    let log = begun(|_| {});
    let long = [&log[..], &vec![b' '; WEBVH_LOG_SIZE_MAX]].concat();
    assert_eq!(code(&long.into()), "limit");
    let wide = [&log[..], &vec![b' '; WEBVH_ENTRY_SIZE_MAX + 1], b"\n"].concat();
    assert_eq!(code(&wide.into()), "limit");
    let keys: Vec<_> = (0..=WEBVH_KEYS_MAX).map(|_| key(1).public()).collect();
    assert_eq!(
        finish(create(&Creation { update_keys: keys, ..creation() }, key(1).public()), &key(1)).map_err(|e| e.code()),
        Err("limit")
    );
    let file = vec![b' '; WEBVH_WITNESS_SIZE_MAX + 1];
    let witnesses = Witnesses::new(1, vec![did_of(key(11).public())]).expect("witnesses");
    assert_eq!(standing(&begun(|c| c.witness = Some(witnesses)), &file), (0, "limit"));
    for end in 0..log.len() - 1 {
        assert!(Log::read(&log.slice(..end), b"").is_err(), "{end}");
    }
}

#[test]
fn no_changed_byte_leaves_a_log_whole() {
    let log = then(&begun(|c| c.portable = true), 1, 10, |u| u.ttl = Some(60)).expect("an entry");
    for at in 0..log.len() {
        for mask in [0x01, 0x20, 0x80] {
            let mut changed = log.to_vec();
            changed[at] ^= mask;
            let read = Log::read(&changed.into(), b"");
            assert!(read.is_err() || read.is_ok_and(|log| !log.is_whole()), "byte {at} ^ {mask:#x}");
        }
    }
}

#[test]
fn no_changed_byte_of_a_witness_file_lets_fewer_witnesses_pass() {
    let witnesses = Witnesses::new(1, vec![did_of(key(11).public())]).expect("witnesses");
    let log = begun(|c| c.witness = Some(witnesses));
    let file = witnessed(&log, b"", 0, 11);
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x01;
        assert_eq!(standing(&log, &changed).0, 0, "byte {at}");
    }
}

//! The story itself, top to bottom.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use standfast_protocol::time::Time;

use super::directory::Directory;
use super::forgery::{Thief, alter};
use super::stage::{NODES, PATIENCE, Stage, WITNESSES, io_error};
use super::{Teller, millis};
use crate::error::{CliError, CliResult, Exit};
use crate::output::words;

const LICENCE: &str = "https://gov.example/DrivingLicence";
const FISHING: &str = "https://gov.example/FishingLicence";
const TRANSPORT: &str = "did:web:transport.gov.example";
const COAST: &str = "did:web:coast.gov.example";
const LIST: &str = "https://transport.gov.example/status/1";
const COAST_LIST: &str = "https://coast.gov.example/status/1";
const DAY_S: u64 = 86_400;

/// Plays all six steps.
pub(super) fn play(stage: &mut Stage, teller: &mut Teller<'_>) -> CliResult<()> {
    prepare(stage, teller)?;
    let directory = issued_and_checked(stage, teller)?;
    directory_dies(stage, teller, directory)?;
    no_quorum(stage, teller)?;
    cable_pulled(stage, teller)?;
    must_not_pass(stage, teller)?;
    two_histories(stage, teller)
}

/// Keys, registers and the charter, then five nodes that start with nothing else.
fn prepare(stage: &mut Stage, teller: &Teller<'_>) -> CliResult<()> {
    let start = Instant::now();
    let keys = [
        ("interior", "interior", "register"),
        ("interior", "interior-root", "root"),
        ("interior", "interior-witness", "witness"),
        ("interior", "coast", "register"),
        ("interior", "fish-2026", "issue"),
        ("interior", "stranger", "issue"),
        ("customs", "customs-witness", "witness"),
        ("health", "health-witness", "witness"),
        ("transport", "transport", "register"),
        ("transport", "lic-2026", "issue"),
    ];
    for node in NODES {
        stage.configure(node)?;
    }
    for (node, name, key_use) in keys {
        stage.make_key(node, name, key_use)?;
    }
    let anchor = stage.command("interior", &["register", "create", "interior.gov.example", "--key", "interior"])?;
    stage.command("interior", &["register", "create", "coast.gov.example", "--key", "coast"])?;
    stage.command("transport", &["register", "create", "transport.gov.example", "--key", "transport"])?;
    stage.write("plan.toml", plan(stage, &anchor)?.as_bytes())?;
    stage.command("interior", &["charter", "create", "plan.toml", "--out", "charter-1.note"])?;
    stage.command("interior", &["charter", "sign", "charter-1.note", "--key", "interior-root"])?;
    for node in NODES {
        stage.command(node, &["charter", "publish", "charter-1.note", "--yes"])?;
        stage.start(node)?;
    }
    let joined = stage.until(|stage| {
        let peers = |node| stage.ask(node, "/v1/status").ok().and_then(|s| s["node"]["peers"].as_u64()).unwrap_or(0);
        NODES.iter().all(|node| peers(node) >= if *node == "police" { 1 } else { 3 })
    });
    if joined.is_none() {
        return Err(CliError::new("demo", Exit::Refused, "the nodes do not find each other within 20 s"));
    }
    teller.say(&format!(
        "10 keys, 3 registers, 1 charter, 5 processes that have found each other  {:>6}",
        super::seconds(start.elapsed())
    ))
}

fn plan(stage: &Stage, anchor: &Value) -> CliResult<String> {
    let key = |node: &str, name: &str, which: usize| -> CliResult<String> {
        let shown = stage.command(node, &["key", "show", name])?;
        Ok(shown["verifier_keys"][which].as_str().unwrap_or_default().to_owned())
    };
    let mut text = format!(
        "expires_at = \"2036-01-01T00:00:00Z\"\n\n[roots]\nthreshold = 1\nkeys = [\"{}\"]\n\n[witnesses]\n\
         quorum = \"\"\"\ngroup agencies 2 interior customs health\nquorum agencies\n\"\"\"\n",
        key("interior", "interior-root", 0)?
    );
    for node in NODES.iter().take(WITNESSES) {
        let name = format!("{node}-witness");
        let (cosign, view) = (key(node, &name, 0)?, key(node, &name, 1)?);
        text.push_str(&format!("\n[witnesses.named.{node}]\ncosign = \"{cosign}\"\nview = \"{view}\"\n"));
    }
    let (origin, keys) = (&anchor["origin"], &anchor["keys"]);
    text.push_str(&format!(
        "\n[[anchors]]\nauthority = \"did:web:interior.gov.example\"\nregister = {{ origin = {origin}, keys = {keys} }}\n"
    ));
    Ok(text)
}

/// An unsigned credential. Its terms are absolute, so that no context beside W3C's is needed.
fn unsigned(issuer: &str, types: &[&str], holder: &str) -> Value {
    let types: Vec<&str> = ["VerifiableCredential"].iter().chain(types).copied().collect();
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": types,
        "issuer": issuer,
        "validFrom": "2021-05-03T00:00:00Z",
        "validUntil": "2035-05-03T00:00:00Z",
        "credentialSubject": {
            "id": format!("did:example:{holder}"),
            "https://gov.example/vocab#licenceClass": "B",
        },
    })
}

struct Issue<'a> {
    node: &'a str,
    key: &'a str,
    form: &'a str,
    status: Option<&'a str>,
}

impl Issue<'_> {
    fn issue(&self, stage: &Stage, credential: &Value, out: &str) -> CliResult<()> {
        let input = format!("{out}.unsigned");
        stage.write(&input, credential.to_string().as_bytes())?;
        let mut words = vec!["credential", "issue", &input, "--key", self.key, "--as", self.form, "--out", out];
        if let Some(list) = self.status {
            words.extend(["--status", list]);
        }
        stage.command(self.node, &words).map(drop)
    }
}

/// What the police's own command line says of a credential, by the police's own data.
fn police(stage: &Stage, name: &str, more: &[&str]) -> CliResult<Value> {
    let words: Vec<&str> = ["verify", name].iter().chain(more).copied().collect();
    stage.try_command("police", &words).map(|(_, verdict)| verdict)
}

/// Waits until the police's command line comes to a decision with this code.
fn police_until(stage: &Stage, name: &str, outcome: &str) -> CliResult<(Value, Duration)> {
    let start = Instant::now();
    loop {
        let verdict = police(stage, name, &[])?;
        if verdict["outcome"] == outcome || start.elapsed() > PATIENCE {
            return Ok((verdict, start.elapsed()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How old, and how many stand behind it.
fn ages(verdict: &Value) -> String {
    let age = verdict["ages"]["witnessed"]["age_s"].as_u64().map_or_else(|| "of no known age".to_owned(), words::age);
    let (have, named) = (&verdict["trust"]["witnesses"], &verdict["trust"]["witnesses_named"]);
    format!("{age} old · {have} of {named} witnesses")
}

fn issued_and_checked(stage: &Stage, teller: &mut Teller<'_>) -> CliResult<Directory> {
    let start = Instant::now();
    stage.command("transport", &["did", "create", "transport.gov.example", "--method", "web", "--key", "lic-2026"])?;
    stage.command(
        "interior",
        &[
            "trust",
            "grant",
            TRANSPORT,
            "issue",
            LICENCE,
            "--until",
            "2035-01-01",
            "--register",
            "transport.binding",
            "--register",
            "interior.gov.example",
            "--yes",
            "--wait",
        ],
    )?;
    stage.command("transport", &["did", "publish", TRANSPORT, "--yes", "--wait"])?;
    stage.command("transport", &["status-list", "create", LIST, "--length", "131072", "--yes", "--wait"])?;
    let jwt = Issue { node: "transport", key: "lic-2026", form: "vc+jwt", status: Some(LIST) };
    for (name, holder) in [("licence.jwt", "ada"), ("second.jwt", "ben"), ("third.jwt", "cem"), ("fourth.jwt", "dia")] {
        jwt.issue(stage, &unsigned(TRANSPORT, &[LICENCE], holder), name)?;
    }
    let integrity = Issue { form: "eddsa-rdfc-2022", ..jwt };
    integrity.issue(stage, &unsigned(TRANSPORT, &[LICENCE], "eve"), "licence.json")?;
    let document = stage.ask("transport", "/1.0/identifiers/did:web:transport.gov.example")?;
    let directory = Directory::open(document.to_string().into_bytes()).map_err(io_error)?;
    let served = Directory::ask(directory.address()).is_ok_and(|bytes| bytes == document.to_string().into_bytes());
    teller.expect_that(served, "", "answers", "the central directory hands out the agency's DID document".to_owned());
    for name in ["licence.jwt", "licence.json"] {
        let (verdict, _) = police_until(stage, name, "accepted")?;
        let text = ages(&verdict);
        teller.expect(name, &verdict, "accepted", None, text);
    }
    teller.step("A licence is issued, and checked by the police", start.elapsed())?;
    Ok(directory)
}

/// Revokes a credential and measures until the last living node rejects it.
fn revoke(stage: &Stage, teller: &mut Teller<'_>, name: &str, remark: &str) -> CliResult<()> {
    let bytes = stage.read(name)?;
    let living = stage.living();
    let before = Instant::now();
    let done = stage.command("transport", &["credential", "revoke", name, "--urgent", "--yes"])?;
    let handed = before.elapsed();
    // The agency's node took it this long after it was handed over; the rest is counted from the command's end.
    let since = done["taken_after_ms"].as_u64().map_or(Duration::ZERO, Duration::from_millis);
    let took = stage.until(|stage| {
        living.iter().all(|node| stage.verdict(node, &bytes).is_ok_and(|verdict| verdict["outcome"] == "rejected"))
    });
    for node in &living {
        let verdict = stage.verdict(node, &bytes)?;
        if verdict["code"] != "status-revoked" {
            let text = format!("{node} has not heard of it ({} ms after)", millis(handed));
            teller.expect(name, &verdict, "rejected", Some("status-revoked"), text);
            return Ok(());
        }
    }
    let (verdict, _) = police_until(stage, name, "rejected")?;
    let count = living.len();
    let took = took.map_or(PATIENCE, |took| took + since);
    let text = format!("revoked{remark}: {count} of {count} living nodes in {} ms", millis(took));
    teller.expect(name, &verdict, "rejected", Some("status-revoked"), text);
    Ok(())
}

fn directory_dies(stage: &mut Stage, teller: &mut Teller<'_>, directory: Directory) -> CliResult<()> {
    let start = Instant::now();
    let address = directory.address();
    drop(directory);
    stage.kill("health");
    let dead = Directory::ask(address).is_err();
    teller.expect_that(dead, "", "is down", "the central directory; health's node is killed too".to_owned());
    let verdict = police(stage, "licence.jwt", &[])?;
    teller.expect("licence.jwt", &verdict, "accepted", None, "nothing has changed".to_owned());
    revoke(stage, teller, "second.jwt", "")?;
    teller.step("The central directory dies, and a witness with it", start.elapsed())
}

fn no_quorum(stage: &mut Stage, teller: &mut Teller<'_>) -> CliResult<()> {
    let start = Instant::now();
    stage.kill("customs");
    revoke(stage, teller, "third.jwt", ", no quorum")?;
    stage.command("interior", &["did", "create", "coast.gov.example", "--method", "web", "--key", "fish-2026"])?;
    let coast = ["--register", "coast.gov.example", "--yes"];
    let grant = [
        "trust",
        "grant",
        COAST,
        "issue",
        FISHING,
        "--until",
        "2035-01-01",
        "--register",
        "coast.binding",
        "--register",
        "interior.gov.example",
        "--yes",
    ];
    stage.command("interior", &grant)?;
    stage.command("interior", &[["did", "publish", COAST].as_slice(), &coast].concat())?;
    let list = ["status-list", "create", COAST_LIST, "--length", "131072"];
    stage.command("interior", &[list.as_slice(), &coast].concat())?;
    let issue = Issue { node: "interior", key: "fish-2026", form: "vc+jwt", status: None };
    issue.issue(stage, &unsigned(COAST, &[FISHING], "ada"), "fishing.jwt")?;
    let pending = |stage: &Stage| police(stage, "fishing.jwt", &[]).is_ok_and(|v| v["code"] == "authority-pending");
    stage.until(pending);
    let verdict = police(stage, "fishing.jwt", &[])?;
    let text = "its new issuer is not witnessed yet".to_owned();
    teller.expect("fishing.jwt", &verdict, "indeterminate", Some("authority-pending"), text);
    let back = Instant::now();
    stage.start("customs")?;
    let (verdict, _) = police_until(stage, "fishing.jwt", "accepted")?;
    let text = format!("a witness came back: {}", super::seconds(back.elapsed()));
    teller.expect("fishing.jwt", &verdict, "accepted", None, text);
    teller.step("A second witness dies: no quorum", start.elapsed())
}

fn cable_pulled(stage: &Stage, teller: &mut Teller<'_>) -> CliResult<()> {
    let start = Instant::now();
    stage.cable.pull();
    let alone = stage.until(|stage| stage.ask("police", "/v1/status").is_ok_and(|s| s["node"]["peers"] == 0));
    let text = "the police's node has no peer".to_owned();
    teller.expect_that(alone.is_some(), "", "cut off", text);
    stage.command("transport", &["credential", "revoke", "fourth.jwt", "--urgent", "--yes"])?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let later = Time::from_secs_saturating(now + DAY_S + 3500).to_string();
    let verdict = police(stage, "fourth.jwt", &["--now", &later])?;
    let age = verdict["ages"]["witnessed"]["age_s"].as_u64().map_or_else(String::new, words::age);
    let text = format!("{age} old, limit 24 h · connect or import");
    teller.expect("fourth.jwt", &verdict, "indeterminate", Some("stale-witnessed"), text);
    stage.cable.plug_in();
    let (verdict, _) = police_until(stage, "fourth.jwt", "rejected")?;
    let text = format!("cable back: {} bytes told it all", words::grouped(stage.cable.bytes()));
    teller.expect("fourth.jwt", &verdict, "rejected", Some("status-revoked"), text);
    teller.step("The police's cable is pulled, a day passes", start.elapsed())
}

fn must_not_pass(stage: &Stage, teller: &mut Teller<'_>) -> CliResult<()> {
    let start = Instant::now();
    stage.write("forged.jwt", &alter(&stage.read("licence.jwt")?)?)?;
    stage.command("interior", &["did", "create", "stranger.example", "--method", "web", "--key", "stranger"])?;
    let stranger = Issue { node: "interior", key: "stranger", form: "vc+jwt", status: None };
    stranger.issue(stage, &unsigned("did:web:stranger.example", &[LICENCE], "ada"), "stranger.jwt")?;
    let extra = Issue { node: "transport", key: "lic-2026", form: "eddsa-jcs-2022", status: Some(LIST) };
    extra.issue(stage, &unsigned(TRANSPORT, &[LICENCE, FISHING], "ada"), "extra-type.json")?;
    let mut foreign = unsigned(TRANSPORT, &[LICENCE], "ada");
    foreign["credentialStatus"] = json!({
        "id": format!("{COAST_LIST}#7"), "type": "BitstringStatusListEntry", "statusPurpose": "revocation",
        "statusListIndex": "7", "statusListCredential": COAST_LIST,
    });
    Issue { node: "transport", key: "lic-2026", form: "vc+jwt", status: None }.issue(
        stage,
        &foreign,
        "foreign-list.jwt",
    )?;
    for (name, outcome, code) in [
        ("forged.jwt", "rejected", "signature-mismatch"),
        ("stranger.jwt", "rejected", "authority-absent"),
        ("extra-type.json", "rejected", "type-unauthorised"),
        ("foreign-list.jwt", "indeterminate", "status-foreign"),
    ] {
        let verdict = police(stage, name, &[])?;
        teller.expect(name, &verdict, outcome, Some(code), code.to_owned());
    }
    teller.step("Four that must not pass", start.elapsed())
}

fn two_histories(stage: &Stage, teller: &mut Teller<'_>) -> CliResult<()> {
    let start = Instant::now();
    let status = stage.ask("transport", "/v1/status")?;
    let origin = status["registers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|register| register["origin"].as_str())
        .find(|origin| origin.starts_with("transport.gov.example/"))
        .unwrap_or_default()
        .to_owned();
    let thief = Thief::prepare(stage, "transport", "transport", &origin)?;
    stage.write("maintenance.txt", b"The counter is closed on Friday.")?;
    stage.command("transport", &["record", "publish", "notice/maintenance", "maintenance.txt", "--yes", "--wait"])?;
    let at = Time::from_secs_saturating(1_800_000_000);
    let (handed, size, other) = thief.sign(stage, "transport", "interior", at)?;
    let state = |stage: &Stage, node: &str| {
        let status = stage.ask(node, "/v1/status").unwrap_or_default();
        let registers = status["registers"].as_array().cloned().unwrap_or_default();
        registers.into_iter().find(|r| r["origin"] == origin.as_str()).unwrap_or_default()
    };
    let living = stage.living();
    let took = stage.until(|stage| living.iter().all(|node| state(stage, node)["state"] == "forked"));
    let took = took.map(|_| handed.elapsed());
    let ours = state(stage, "police")["root"].as_str().unwrap_or_default().to_owned();
    let text = format!(
        "size {size}: {} and {} · all know in {} ms",
        words::short(&ours),
        words::short(&other.to_string()),
        millis(took.unwrap_or(PATIENCE))
    );
    teller.expect_that(took.is_some(), "", "forked", text);
    let proof = stage.until(|stage| stage.command("police", &["fork", "show", &origin]).is_ok());
    teller.fork = match proof {
        Some(_) => Some(stage.command("police", &["fork", "show", &origin])?),
        None => None,
    };
    let verdict = police(stage, "licence.jwt", &[])?;
    teller.expect("licence.jwt", &verdict, "accepted", None, "what was witnessed still stands".to_owned());
    let verdict = police(stage, "second.jwt", &[])?;
    let text = "what was revoked stays revoked".to_owned();
    teller.expect("second.jwt", &verdict, "rejected", Some("status-revoked"), text);
    teller.step("The transport agency's key signs two histories", start.elapsed())
}

//! did:webvh logs that commands of ours write, read by npm's `didwebvh-ts` and PyPI's `did-webvh`; and theirs, read and
//! continued by ours.

use serde_json::{Value, json};
use standfast_protocol::key::SecretKey;
use standfast_tests::interop::{NodeTools, Python, node_tools, python};
use standfast_tests::skip::unless_missing;

use crate::outlives::Town;

type Tool = Box<dyn Fn(&Value) -> Value>;

/// The two, by their names.
fn tools() -> Vec<(&'static str, Tool)> {
    let node: Option<NodeTools> = unless_missing(node_tools());
    let python: Option<Python> = unless_missing(python());
    let node = node.map(|node| ("didwebvh-ts", Box::new(move |job: &Value| node.webvh(job)) as Tool));
    let python = python.map(|python| ("did-webvh", Box::new(move |job: &Value| python.webvh(job)) as Tool));
    node.into_iter().chain(python).collect()
}

/// What both say of a log in a file, in the words of ours.
fn demand_same(tools: &[(&str, Tool)], town: &Town, of: &str, did: &str) {
    town.screen(of, &format!("did show {did} --log read.jsonl --yes"));
    let job = json!({"do": "read", "log": town.read("read.jsonl"), "witnessFile": null});
    let ours = town.json(of, &format!("did show {did}"));
    let methods = ours["document"]["verificationMethod"].as_array().expect("methods");
    let keys: Vec<&Value> = methods.iter().map(|method| &method["publicKeyMultibase"]).collect();
    let newest = ours["versions"].as_array().and_then(|versions| versions.last()).expect("a version");
    let expected =
        json!({"versionId": newest["version_id"], "deactivated": ours["deactivated"], "keys": keys, "error": null});
    for (name, tool) in tools {
        let mut said = tool(&job);
        if ours["deactivated"] == true {
            // Of a DID that has ended the one gives no document, the other the last one.
            said["keys"] = expected["keys"].clone();
        }
        assert_eq!(said, expected, "{name} reads {did}");
    }
}

#[test]
fn both_read_what_our_commands_write() {
    let tools = tools();
    let (town, did) = Town::new("[witnesses]\nquorum = \"quorum none\"", None, "");
    demand_same(&tools, &town, "transport", &did);
    town.grant(&did);
    town.carry("interior", "transport");
    town.screen("transport", &format!("did publish {did}"));
    for (line, yes) in [("--to lic-2", ""), ("--to lic-3 --drop-old", " --yes")] {
        town.screen("transport", &format!("did rotate {did} {line}{yes}"));
        demand_same(&tools, &town, "transport", &did);
    }
    let mut document = town.json("transport", &format!("did show {did}"))["document"].clone();
    document["alsoKnownAs"] = json!(["https://hub.example/about"]);
    town.write("did.json", &document.to_string());
    town.screen("transport", &format!("did update {did} did.json"));
    demand_same(&tools, &town, "transport", &did);
    // Not vacuous: one digit of a signature, and neither takes it.
    let log = town.read("read.jsonl");
    let (head, tail) = log.rsplit_once("\"proofValue\":\"z").expect("a proof");
    let other = if tail.starts_with('3') { '4' } else { '3' };
    let altered = format!("{head}\"proofValue\":\"z{other}{}", &tail[1..]);
    for (name, tool) in &tools {
        let said = tool(&json!({"do": "read", "log": altered, "witnessFile": null}));
        assert_ne!(said["error"], Value::Null, "{name}: {said}");
    }
    town.screen("transport", &format!("did deactivate {did} --yes"));
    demand_same(&tools, &town, "transport", &did);
}

#[test]
fn we_read_and_continue_what_both_write() {
    let tools = tools();
    let (town, own) = Town::new("[witnesses]\nquorum = \"quorum none\"", None, "");
    town.grant(&own);
    town.carry("interior", "transport");
    let key = SecretKey::from_seed(&[9; 32]).public().to_multikey();
    for (at, (name, tool)) in tools.iter().enumerate() {
        let seeds: Vec<String> = (1..=4).map(|n| format!("{:02x}", 16 * (at + 1) + n).repeat(32)).collect();
        for end in [true, false] {
            // Another host, or the two would be one DID in two histories.
            let host = if end { "ended.example" } else { "hub.example" };
            let written = tool(&json!({"do": "write", "host": host, "seeds": seeds, "key": key, "end": end}));
            let (did, log) = (written["did"].as_str().expect("a DID"), written["log"].as_str().expect("a log"));
            town.write("theirs.jsonl", log);
            town.screen("transport", "did publish theirs.jsonl");
            let shown = town.json("transport", &format!("did show {did}"));
            let versions = shown["versions"].as_array().map(Vec::len);
            assert_eq!((&shown["did"], versions), (&json!(did), Some(if end { 4 } else { 3 })), "{name}: {shown}");
            assert_eq!((&shown["deactivated"], &shown["forked"]), (&json!(end), &json!(false)), "{name}: {shown}");
            assert_eq!(shown["document"]["verificationMethod"][0]["publicKeyMultibase"], json!(key), "{name}");
            demand_same(&tools, &town, "transport", did);
            if end {
                continue;
            }
            // The key that they promised, brought here, signs the next version.
            let theirs = format!("theirs{at}");
            town.write(&format!("credentials/standfast.{theirs}"), "correct horse battery staple");
            town.write("seed.hex", &seeds[3]);
            town.screen("transport", &format!("key import {theirs} seed.hex --use update"));
            town.screen("transport", &format!("did rotate {did} --to lic-2"));
            demand_same(&tools, &town, "transport", did);
            town.screen("transport", &format!("did deactivate {did} --yes"));
            demand_same(&tools, &town, "transport", did);
        }
    }
}

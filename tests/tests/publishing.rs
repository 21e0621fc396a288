//! Publishing safely: restores, nodes that are alone, statuses that wait, drafts that travel. Real processes.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use standfast_tests::cluster::{Federation, Node, ended, within};

const PERMIT: &str = "https://gov.example/Permit";
const LIST: &str = "https://harbour.example/status/1";

fn federation(witnesses: usize) -> Federation {
    Federation::new(Path::new(env!("CARGO_BIN_EXE_standfast-under-test")), witnesses)
}

fn streams(output: Output) -> (Option<i32>, String, String) {
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    (output.status.code(), out, err)
}

/// Runs a command that is to end with `exit`; returns both streams.
fn ends(node: &Node, line: &str, exit: i32) -> (String, String) {
    let (code, out, err) = streams(ended(node.cli(line)));
    assert_eq!(code, Some(exit), "$ standfast {line}\n{out}{err}");
    (out, err)
}

fn json(node: &Node, line: &str) -> Value {
    serde_json::from_str(&ends(node, &format!("{line} --json"), 0).0).expect("one JSON document")
}

fn notice(node: &Node, number: u64) -> Value {
    fs::write(node.dir().join("notice.txt"), format!("notice {number}")).expect("a file");
    json(node, &format!("record publish notice/{number} notice.txt"))
}

/// A federation with a harbour whose key is at a node of its own, which runs and knows the witnesses.
fn harbour(witnesses: usize) -> (Federation, Node, String) {
    let mut federation = federation(witnesses);
    let addresses = federation.start_witnesses();
    let mut node = federation.node();
    node.peers = addresses;
    node.start();
    let binding = node.make_register("harbour");
    for part in federation.founding() {
        node.publish(&part);
    }
    node.publish(&federation.permit("did:web:harbour.example", PERMIT, &binding));
    let read: Value = serde_json::from_str(&binding).expect("JSON");
    let origin = read["origin"].as_str().expect("an origin").to_owned();
    // Until a quorum has seen it, nobody takes the harbour's entries.
    node.witnessed(&federation.ministry.origin, 2);
    (federation, node, origin)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}

/// Puts an older copy of a node's data in its place; what stands outside every backup stays.
fn restore(node: &Node, backup: &Path) {
    let (data, marks) = (node.data_dir(), node.dir().join("marks"));
    fs::rename(data.join("marks"), &marks).expect("marks");
    fs::remove_dir_all(&data).expect("the data is gone");
    copy(backup, &data);
    let _ = fs::remove_dir_all(data.join("marks"));
    fs::rename(marks, data.join("marks")).expect("marks");
}

#[test]
fn an_honest_restore_appends_nothing_behind_its_newest_head() {
    let (mut federation, mut node, origin) = harbour(3);
    for number in 1..=3 {
        notice(&node, number);
    }
    node.witnessed(&origin, 3);
    node.kill();
    let backup = node.dir().join("backup");
    copy(&node.data_dir(), &backup);
    node.start();
    notice(&node, 4);
    notice(&node, 5);
    federation.witnesses.iter().for_each(|witness| drop(witness.witnessed(&origin, 5)));
    node.kill();

    // Put back on this machine, and nobody in reach: its marker knows better.
    federation.witnesses.iter_mut().for_each(Node::kill);
    restore(&node, &backup);
    node.start();
    fs::write(node.dir().join("notice.txt"), "notice 6").expect("a file");
    let publish = "record publish notice/6 notice.txt";
    let (_, behind) = ends(&node, publish, 1);
    let expected = "\
error: this machine has signed size 5 of harbour.example and holds less
cause: its ledger and data are an older copy: what the key signed last is in
       neither
 hint: let the node catch up, then run this again: standfast register show harbour.example
 hint: if it is known that nothing newer exists: --override-fence REASON
";
    assert_eq!(behind, expected);
    assert_eq!(node.size_newest(&origin), 3);
    node.kill();

    // Put back on another machine, where no marker is.
    fs::remove_dir_all(node.data_dir().join("marks")).expect("no marks");
    let (_, alone) = ends(&node, publish, 3);
    let expected = "\
error: nobody can say that what is held here of harbour.example is its newest
       head
cause: no marker on this machine proves that its ledger and data are not an
       older copy
cause: no node runs on this data directory that could ask
 hint: standfast node run
 hint: if it is known that nothing newer exists: --override-fence REASON
";
    assert_eq!(alone, expected);
    node.start();
    let (_, unanswered) = ends(&node, publish, 3);
    assert!(unanswered.contains("cause: 0 of 3 witnesses and 0 of 0 peers have answered since "), "{unanswered}");
    assert_eq!(node.size_newest(&origin), 3, "nothing was signed");
    let ledger = fs::read_to_string(node.data_dir().join("keys/harbour.ledger")).expect("a ledger");
    assert_eq!(ledger.lines().count(), 4, "nothing was signed");
    node.kill();

    // Its witnesses come into reach: what was lost comes first, and the next entry stands on it.
    federation.witnesses.iter_mut().for_each(Node::start);
    node.start();
    let told = notice(&node, 6);
    assert_eq!((&told["size_before"], &told["size"]), (&5.into(), &6.into()), "{told}");
    for held in federation.witnesses.iter().chain([&node]) {
        held.witnessed(&origin, 6);
        assert_eq!(held.get("/v1/status").json()["forks"], Value::Array(Vec::new()));
    }
    let heard = node.get(&format!("/v1/fence/{origin}")).json();
    assert_eq!((&heard["kind"], &heard["state"]), (&"standfast/fence/v1".into(), &"level".into()), "{heard}");
    // From now on this machine proves it again, also alone.
    for witness in &mut federation.witnesses {
        witness.kill();
    }
    assert_eq!(notice(&node, 7)["size"], 7);
    let unbound = node.get("/v1/fence/nobody.example/register/00");
    assert_eq!((unbound.status, &unbound.json()["code"]), (404, &"register-unbound".into()));
}

#[test]
fn the_fence_is_passed_for_a_reason_that_is_kept() {
    let (_federation, mut node, origin) = harbour(1);
    notice(&node, 1);
    node.witnessed(&origin, 1);
    node.kill();
    fs::remove_dir_all(node.data_dir().join("marks")).expect("no marks");
    fs::write(node.dir().join("notice.txt"), "notice 2").expect("a file");
    let publish = |reason: &str| {
        let mut command = node.cli("record publish notice/2 notice.txt --override-fence");
        command.arg(reason);
        streams(ended(command))
    };
    let (code, _, empty) = publish(" ");
    assert_eq!(code, Some(2), "{empty}");
    let (code, _, told) = publish("moved to a new disk, both were compared");
    assert_eq!(code, Some(0), "{told}");
    let shown = ends(&node, "register show harbour.example", 0).0;
    assert!(shown.contains("\n  fence      passed at size 1, "), "{shown}");
    assert!(shown.contains(" UTC: moved to a new disk, both were compared\n"), "{shown}");
    let status = json(&node, "status");
    assert_eq!(status["overrides"][0]["reason"], "moved to a new disk, both were compared");
    assert_eq!(status["overrides"][0]["size"], 1);
    // It proves itself from now on, and a reason that was not needed is not kept.
    let (code, _, told) = publish("not needed");
    assert_eq!(code, Some(0), "{told}");
    notice(&node, 3);
    assert_eq!(json(&node, "status")["overrides"][0]["reason"], "moved to a new disk, both were compared");
}

#[test]
fn what_is_published_alone_is_delivered_when_a_peer_comes() {
    let (mut federation, mut node, origin) = harbour(1);
    federation.witnesses[0].kill();
    node.kill();
    node.peers.clear();
    node.start();
    notice(&node, 1);
    node.kill();
    // Without a node at all, into its store.
    notice(&node, 2);
    node.start();
    notice(&node, 3);
    node.kill();
    node.start();
    let mut joiner = federation.node();
    joiner.peers = vec![node.address()];
    joiner.start();
    joiner.status_when("all three", |status| {
        let register = standfast_tests::cluster::register_in(status, &origin);
        register["size_newest"] == 3 && register["bodies_missing"] == 0
    });
    // The witness comes back, and a quorum with it, by way of the joiner.
    federation.witnesses[0].peers = vec![joiner.address()];
    federation.witnesses[0].start();
    node.witnessed(&origin, 3);
}

fn list(node: &Node, now: &str) {
    ends(node, &format!("status-list create {LIST} --length 1000{now}"), 0);
}

/// Waits until so many statuses of the list are set in the snapshot, which a node writes once a second.
fn is_set(node: &Node, count: u64) {
    let shown = || {
        // Until the list itself is in the snapshot, the answer is that it is not held.
        let (_, out, _) = streams(ended(node.cli(&format!("status-list show {LIST} --json"))));
        let document: Value = serde_json::from_str(&out).expect("one JSON document");
        (document["set"] == count).then_some(())
    };
    assert!(within(shown).is_some(), "{count} statuses are set");
}

fn revoke(node: &Node, index: u64, more: &str) -> String {
    ends(node, &format!("credential revoke {LIST}#{index}{more}"), 0).0
}

#[test]
fn statuses_wait_for_their_batch_and_are_never_forgotten() {
    let (_federation, mut node, origin) = harbour(1);
    list(&node, "");
    let stands = |node: &Node, entries: u64, set: u64| {
        assert_eq!(node.size_newest(&origin), entries);
        is_set(node, set);
    };
    // The first goes out at once: nothing was said of late.
    assert!(revoke(&node, 1, "").contains("entry 2 of harbour.example published"));
    let waits = revoke(&node, 2, "");
    let lines: Vec<&str> = waits.lines().collect();
    assert!(lines[0].starts_with("? not sent: harbour.example: 1 status waits until "), "{waits}");
    assert!(lines[0].ends_with(" UTC, 14 min from now") || lines[0].ends_with(" 15 min from now"), "{waits}");
    assert_eq!(lines[1], "→ next: then, or at any time: standfast register publish harbour.example");
    assert_eq!(lines[2], "→ what cannot wait is sent at once with --urgent");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{waits}");
    assert!(revoke(&node, 3, "").starts_with("? not sent: harbour.example: 2 statuses wait until "));
    assert!(revoke(&node, 3, "").starts_with("? not sent: harbour.example: 2 statuses wait until "), "said twice");
    stands(&node, 2, 1);
    // A node that dies has no part in it: it waits beside the key, and every look shows it.
    node.kill();
    node.start();
    let shown = ends(&node, "register show harbour.example", 0).0;
    assert!(shown.contains("\n  waiting    2 statuses wait until "), "{shown}");
    let status = ends(&node, "status", 0).0;
    assert!(status.contains("waiting  ? harbour.example: 2 statuses wait until "), "{status}");
    assert_eq!(json(&node, "status")["batches"][0]["statuses"], 2);
    // Another change before it is due leaves it; it is no sooner told when somebody was revoked.
    assert_eq!(notice(&node, 1)["size"], 3);
    stands(&node, 3, 1);
    // An urgent one takes it along, as one entry.
    let urgent = revoke(&node, 4, " --urgent");
    assert!(urgent.contains("Sent to 1 peer: every node it reaches rejects from now on\n"), "{urgent}");
    stands(&node, 4, 4);
    assert_eq!(json(&node, "status")["batches"], Value::Array(Vec::new()));
    // The batch begins anew. It is overdue in a quarter of an hour, and says so; any change takes it along then.
    revoke(&node, 5, "");
    let later = |minutes: u64| {
        let at = std::time::SystemTime::now() + std::time::Duration::from_secs(60 * minutes);
        let secs = at.duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970").as_secs();
        format!(" --now {}", standfast_protocol::time::Time::from_secs_saturating(secs))
    };
    let overdue = ends(&node, &format!("register show harbour.example{}", later(20)), 0).0;
    assert!(overdue.contains("\n  waiting    1 status waits, due since "), "{overdue}");
    fs::write(node.dir().join("notice.txt"), "a later notice").expect("a file");
    ends(&node, &format!("record publish notice/2 notice.txt{}", later(20)), 0);
    stands(&node, 5, 5);
    // By hand, at any time.
    let at = later(21);
    revoke(&node, 6, &at);
    revoke(&node, 7, &at);
    stands(&node, 5, 5);
    let flushed = json(&node, &format!("register publish harbour.example{at}"));
    assert_eq!((&flushed["kind"], &flushed["size"]), (&"standfast/published/v1".into(), &6.into()));
    stands(&node, 6, 7);
    let nothing = ends(&node, &format!("register publish harbour.example{at}"), 0).0;
    assert_eq!(nothing, "✓ nothing to change: harbour.example says it already\n");
}

#[test]
fn what_is_reinstated_before_it_went_out_was_never_suspended() {
    let (_federation, node, _) = harbour(1);
    ends(&node, &format!("status-list create {LIST} --length 1000 --purpose suspension"), 0);
    ends(&node, &format!("credential suspend {LIST}#1"), 0);
    ends(&node, &format!("credential suspend {LIST}#2"), 0);
    let taken_back = ends(&node, &format!("credential reinstate {LIST}#2"), 0).0;
    assert_eq!(taken_back, "✓ nothing to change: harbour.example says it already\n");
    assert_eq!(json(&node, "status")["batches"], Value::Array(Vec::new()));
    ends(&node, &format!("credential reinstate {LIST}#1"), 0);
    ends(&node, &format!("credential suspend {LIST}#3"), 0);
    // With --wait it waits until it is due, and then for the witnesses. Two seconds, here.
    fs::write(node.dir().join("short.toml"), "[publisher]\nbatch_s = 2\n").expect("a file");
    let waited = ends(&node, &format!("credential suspend {LIST}#4 --wait --config short.toml"), 0).0;
    assert!(waited.contains("entry 3 of harbour.example witnessed by 1 of 1 after "), "{waited}");
    // 3 and 4, and 1 no more.
    is_set(&node, 2);
    fs::write(node.dir().join("off.toml"), "[publisher]\nbatch_s = 0\n").expect("a file");
    for (index, entry) in [(5, 4), (6, 5)] {
        let told = ends(&node, &format!("credential suspend {LIST}#{index} --config off.toml"), 0).0;
        assert!(told.contains(&format!("entry {entry} of harbour.example published")), "{told}");
    }
}

#[test]
fn what_takes_back_a_status_that_is_signed_and_not_sent_is_not_said_already() {
    let (_federation, node, _) = harbour(1);
    ends(&node, &format!("status-list create {LIST} --length 1000 --purpose suspension"), 0);
    ends(&node, &format!("credential suspend {LIST}#1"), 0);
    // Signed, and never handed over: as after a kill, or with a node that had just stopped.
    ends(&node, &format!("credential suspend {LIST}#2 --draft draft"), 0);
    ends(&node, "register sign draft --key harbour", 0);
    let waits = ends(&node, &format!("credential reinstate {LIST}#2"), 0).0;
    assert!(waits.starts_with("? not sent: harbour.example: 1 status waits until "), "{waits}");
    is_set(&node, 2);
    ends(&node, "register publish harbour.example", 0);
    is_set(&node, 1);
}

#[test]
fn a_draft_takes_back_no_status_that_was_set_after_it_was_gathered() {
    let (_federation, node, _) = harbour(1);
    list(&node, "");
    ends(&node, &format!("credential revoke {LIST}#1 --draft draft"), 0);
    revoke(&node, 2, " --urgent");
    ends(&node, &format!("credential revoke {LIST}#3 --draft draft"), 0);
    let (_, stale) = ends(&node, "register sign draft --key harbour", 1);
    assert!(stale.contains(" is not what the draft") && stale.contains("hint: nothing was signed"), "{stale}");
    fs::remove_file(node.dir().join("draft")).expect("a draft");
    ends(&node, &format!("credential revoke {LIST}#1 {LIST}#3 --draft draft"), 0);
    ends(&node, "register sign draft --key harbour", 0);
    ends(&node, "register publish draft", 0);
    is_set(&node, 3);
}

#[test]
fn a_broad_batch_is_held_as_a_whole_and_a_broad_draft_too() {
    let (_federation, node, _) = harbour(1);
    ends(&node, &format!("status-list create {LIST} --length 4000"), 0);
    revoke(&node, 0, "");
    let span = |from: u64, to: u64| {
        let all: Vec<String> = (from..to).map(|index| format!("{LIST}#{index}")).collect();
        format!("credential revoke {}", all.join(" "))
    };
    ends(&node, &span(1, 900), 0);
    let (_, held) = ends(&node, &format!("{} --yes", span(900, 1200)), 1);
    assert!(held.starts_with("error: held: this revokes 1,199 of 4,000 credentials of one list\n"), "{held}");
    assert_eq!(json(&node, "status")["batches"][0]["statuses"], 899, "nothing was added");
    ends(&node, &format!("{} --confirm-broad 1199", span(900, 1200)), 0);
    // Confirmed once, it goes out without being asked again.
    ends(&node, "register publish harbour.example", 0);
    is_set(&node, 1200);
    // A draft that grew broad since it was gathered, or was written by hand, is held where it is signed.
    ends(&node, &format!("{} --draft draft --confirm-broad 1000", span(1200, 2200)), 0);
    let text = fs::read_to_string(node.dir().join("draft")).expect("a draft");
    assert!(text.contains("\"confirmed\":1000"), "it says what was confirmed");
    fs::write(node.dir().join("bare"), text.replace("\"confirmed\":1000", "\"confirmed\":null")).expect("a file");
    let (_, held) = ends(&node, "register sign bare --key harbour", 1);
    assert!(held.starts_with("error: held: this revokes 1,000 of 4,000 credentials of one list\n"), "{held}");
    ends(&node, "register sign bare --key harbour --confirm-broad 1000", 0);
    let signed = fs::read_to_string(node.dir().join("bare")).expect("a draft");
    fs::write(node.dir().join("bare"), signed.replace("\"confirmed\":1000", "\"confirmed\":null")).expect("a file");
    ends(&node, "register publish bare", 1);
    ends(&node, "register publish bare --confirm-broad 1000", 0);
    // A publisher that wants it narrower says so in its settings.
    fs::write(node.dir().join("wide.toml"), "[publisher]\nbroad_list_percent = 30\nbatch_s = 0\n").expect("a file");
    ends(&node, &format!("{} --config wide.toml", span(2200, 3300)), 0);
}

#[test]
fn a_draft_is_signed_on_a_machine_without_a_network() {
    let mut federation = federation(1);
    let addresses = federation.start_witnesses();
    let mut online = federation.node();
    online.peers = addresses;
    online.start();
    let offline = federation.node();
    let binding = offline.make_register("harbour");
    for part in federation.founding() {
        online.publish(&part);
    }
    online.publish(&federation.permit("did:web:harbour.example", PERMIT, &binding));
    online.witnessed(&federation.ministry.origin, 2);
    let carry = |from: &Node, to: &Node, name: &str| {
        fs::copy(from.dir().join(name), to.dir().join(name)).expect("a copy");
    };
    let carry_bundle = || {
        ends(&online, "bundle export --out new.standfast --yes", 0);
        carry(&online, &offline, "new.standfast");
        ends(&offline, "bundle import new.standfast", 0);
    };
    for round in 1..=2u64 {
        carry_bundle();
        fs::write(online.dir().join("notice.txt"), format!("notice {round}")).expect("a file");
        let _ = fs::remove_file(online.dir().join("draft"));
        let gathered = ends(
            &online,
            &format!("record publish notice/{round} notice.txt --register harbour.example --draft draft"),
            0,
        )
        .0;
        assert!(gathered.contains("→ next: standfast register sign draft --key KEY\n"), "{gathered}");
        let (_, unsigned) = ends(&online, "register publish draft", 2);
        assert!(unsigned.starts_with("error: draft is not signed yet\n"), "{unsigned}");
        carry(&online, &offline, "draft");
        let signed = ends(&offline, "register sign draft --key harbour", 0).0;
        assert!(signed.starts_with(&format!("Signed entry {round} of harbour.example: root ")), "{signed}");
        // The ledger remembers: another draft of this size is not signed.
        fs::write(offline.dir().join("notice.txt"), "another").expect("a file");
        let _ = fs::remove_file(offline.dir().join("other"));
        ends(&offline, "record publish notice/other notice.txt --draft other", 0);
        let (_, refused) = ends(&offline, "register sign other --key harbour", 1);
        assert!(
            refused.starts_with(&format!("error: the key has signed size {round}, and what is held here ends at ")),
            "{refused}"
        );
        carry(&offline, &online, "draft");
        let published = ends(&online, "register publish draft --wait", 0).0;
        assert!(
            published.contains(&format!("entry {round} of harbour.example witnessed by 1 of 1 after ")),
            "{published}"
        );
        ends(&online, "register publish draft", 0);
    }
    // The signer's machine was restored from a copy without its marker: it signs nothing behind what it has signed.
    carry_bundle();
    fs::remove_dir_all(offline.data_dir().join("marks")).expect("no marks");
    let (_, unproven) = ends(&offline, "register sign other --key harbour", 3);
    assert!(
        unproven.starts_with("error: nobody can say that what is held here of harbour.example is its newest\n"),
        "{unproven}"
    );
    assert_eq!(online.get("/v1/status").json()["forks"], Value::Array(Vec::new()));
}

//! Every crash point of the journal and of the snapshot file, and each sync call left out in turn.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};

use super::{
    disk::{CrashingDisk, SyncPoint},
    journal::{Frame, FrameKind, Journal, JournalError, JournalOptions},
    snapshot_file::SnapshotFile,
};

const STORE: &str = "/data/standfast";
/// Small, so that the script fills several segments.
const OPTIONS: JournalOptions = JournalOptions { segment_size: 420, id: [9; 16] };
/// One for each way in which a [`CrashingDisk`] tears a file.
const SEEDS: u64 = 8;
const GROUPS: usize = 16;

/// What the world has been told, and what it has not yet been told.
#[derive(Clone, Default)]
struct Log {
    acknowledged: Vec<Frame>,
    /// Groups that were tried since the last acknowledgement.
    open: Vec<Vec<Frame>>,
    snapshot: Option<Vec<u8>>,
    open_snapshots: Vec<Vec<u8>>,
}

fn journal_path() -> PathBuf {
    Path::new(STORE).join("journal")
}

/// Group `number`: bodies, then a batch that names them, and other kinds; frames of equal size, but for a few.
fn group(number: usize) -> Vec<Frame> {
    let body = |part: usize| format!("body {number:04} {part:04} of a script").into_bytes();
    let mut frames = vec![Frame::new(FrameKind::Body, body(0)).unwrap()];
    if number % 3 != 1 {
        frames.push(Frame::new(FrameKind::Batch, format!("names {number:04} 0000 batch script")).unwrap());
    }
    if number % 3 == 2 {
        let kind = FrameKind::ALL[number % FrameKind::ALL.len()];
        let filler = "x".repeat(if number.is_multiple_of(2) { 0 } else { 190 });
        frames.push(Frame::new(kind, format!("other {number:04} {filler}")).unwrap());
    }
    frames
}

/// Opens the store and writes groups `from..to` and some snapshots, going on after a failure as the node would.
fn work(disk: &CrashingDisk, log: &mut Log, from: usize, to: usize) -> Result<(), JournalError> {
    let (mut journal, recovered) = match Journal::open(disk.clone(), &journal_path(), OPTIONS) {
        Err(_) if !disk.crashed() => Journal::open(disk.clone(), &journal_path(), OPTIONS)?,
        outcome => outcome?,
    };
    if !recovered.damage.is_empty() {
        return Err(JournalError::UpgradeNeeded { segment: 0 }); // seen by `check`, which opens it again
    }
    // Whatever is read here is acted upon: it must not go away any more.
    log.acknowledged =
        journal.reader().frames(None).map(|item| item.map(|(_, frame)| frame)).collect::<Result<_, _>>()?;
    log.open.clear();
    let mut snapshot = SnapshotFile::new(disk.clone(), STORE.into());
    for number in from..to {
        let frames = group(number);
        log.open.push(frames.clone());
        if journal.append(&frames).and_then(|_| journal.commit()).is_ok() {
            log.acknowledged.extend(frames);
            log.open.clear();
        }
        if number % 4 == 3 {
            let bytes = format!("snapshot {number}, {}", "y".repeat(number * 5)).into_bytes();
            log.open_snapshots.push(bytes.clone());
            if snapshot.replace(&bytes).is_ok() {
                log.snapshot = Some(bytes);
                log.open_snapshots.clear();
            }
        }
        if disk.crashed() {
            break;
        }
    }
    Ok(())
}

/// Says what a reboot lost or made up, if anything.
fn check(disk: &CrashingDisk, log: &Log) -> Result<(), String> {
    let (journal, recovered) = Journal::open(disk.clone(), &journal_path(), OPTIONS).map_err(|e| e.to_string())?;
    if let Some(damage) = recovered.damage.first() {
        return Err(format!("a crash was taken for damage: {damage}"));
    }
    let frames = journal.reader().frames(None).map(|item| item.map(|(_, frame)| frame));
    let frames = frames.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
    if recovered.frames != frames.len() as u64 {
        return Err(format!("{} frames were counted, {} read", recovered.frames, frames.len()));
    }
    let Some(rest) = frames.strip_prefix(log.acknowledged.as_slice()) else {
        return Err(format!("{} frames were acknowledged, and {} others found", log.acknowledged.len(), frames.len()));
    };
    if !rest.is_empty() && !log.open.iter().any(|group| group.starts_with(rest)) {
        return Err(format!("{} frames were found that nobody wrote like this", rest.len()));
    }
    for (at, frame) in frames.iter().enumerate().filter(|(_, frame)| frame.kind() == FrameKind::Batch) {
        let number = &frame.payload()[6..10];
        if !frames[..at].iter().any(|body| body.kind() == FrameKind::Body && body.payload()[5..9] == *number) {
            return Err("a batch stands before its body".to_owned());
        }
    }
    let found = SnapshotFile::new(disk.clone(), STORE.into()).read().map_err(|e| e.to_string())?;
    let found = found.map(|bytes| bytes.to_vec());
    let tried = found.as_ref().is_some_and(|found| log.open_snapshots.contains(found));
    if found != log.snapshot && !tried {
        return Err("the snapshot is neither the last one nor one that was being written".to_owned());
    }
    Ok(())
}

/// Returns the number of changing calls of the whole script.
fn calls() -> u64 {
    let disk = CrashingDisk::new();
    work(&disk, &mut Log::default(), 0, GROUPS).unwrap();
    disk.calls()
}

/// Crashes at every call, starts again (after a kill or a power cut), crashes at every call of that, and checks.
fn crash_everywhere(ignored: Option<SyncPoint>) -> Result<u64, String> {
    let mut outcomes = 0;
    for first in 1..=calls() + 1 {
        let disk = CrashingDisk::new().ignoring(ignored).crash_at(first);
        let mut log = Log::default();
        let _ = work(&disk, &mut log, 0, GROUPS);
        let restarts = (0..SEEDS).map(Some).chain([None]);
        for restart in restarts {
            let again = || restart.map_or_else(|| disk.after_kill(), |seed| disk.after_crash(seed)).ignoring(ignored);
            let place = |second| format!("crash at call {first}, restart {restart:?}, crash at call {second}");
            check(&again(), &log).map_err(|loss| format!("{}: {loss}", place(0)))?;
            for second in 1.. {
                let disk = again().crash_at(second);
                let mut log = log.clone();
                let _ = work(&disk, &mut log, 100, 102);
                for seed in 0..SEEDS {
                    let reboot = disk.after_crash(seed.wrapping_add(first).wrapping_add(second << 8));
                    check(&reboot, &log).map_err(|loss| format!("{}, seed {seed}: {loss}", place(second)))?;
                    outcomes += 1;
                }
                if !disk.crashed() {
                    break;
                }
            }
        }
    }
    Ok(outcomes)
}

/// Fails every call once, goes on, crashes at one of the calls after it, and checks.
fn fail_everywhere(ignored: Option<SyncPoint>) -> Result<u64, String> {
    let mut outcomes = 0;
    for failure in 1..=calls() {
        for after in (1..=10).chain([10_000]) {
            let disk = CrashingDisk::new().ignoring(ignored).fail_at(failure).crash_at(failure + after);
            let mut log = Log::default();
            let _ = work(&disk, &mut log, 0, GROUPS);
            for seed in 0..SEEDS {
                let reboot = disk.after_crash(seed);
                let place = || format!("failure at call {failure}, crash {after} calls later, seed {seed}");
                check(&reboot, &log).map_err(|loss| format!("{}: {loss}", place()))?;
                outcomes += 1;
            }
        }
    }
    Ok(outcomes)
}

#[test]
fn loses_nothing_acknowledged_at_any_crash_point() {
    let outcomes = crash_everywhere(None).unwrap();
    eprintln!("{} calls, {outcomes} outcomes of crashes, seeds 0..{SEEDS}", calls());
}

#[test]
fn loses_nothing_acknowledged_after_a_full_disk() {
    let outcomes = fail_everywhere(None).unwrap();
    eprintln!("{outcomes} outcomes of failures, seeds 0..{SEEDS}");
}

#[test]
fn each_sync_call_is_needed() {
    for point in SyncPoint::ALL {
        let loss = crash_everywhere(Some(point)).and_then(|_| fail_everywhere(Some(point)));
        let loss = loss.expect_err(&format!("{point:?} can be left out and nothing is lost"));
        eprintln!("without {point:?}: {loss}");
    }
}

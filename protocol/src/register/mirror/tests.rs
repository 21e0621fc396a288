//! Files of registers of all sizes that matter, each altered, cut and taken away.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;

use super::*;
use crate::proof::tests::{NOW, World, notice, origin};

const HOST: &str = "interior.example";

type Files = BTreeMap<String, Bytes>;

fn files(world: &World) -> Files {
    let register = world.replica.register(&origin(HOST)).unwrap();
    let mirror = Mirror::new(register, world.replica.bodies());
    let paths = mirror.paths().unwrap();
    paths.into_iter().map(|path| (path.clone(), mirror.read(&path).unwrap().bytes)).collect()
}

fn check(world: &World, files: &Files) -> Result<Replay, ReplayError> {
    let register = world.replica.register(&origin(HOST)).unwrap();
    let read = |path: &str, _| Ok::<_, Infallible>(files.get(path).cloned());
    replay(&origin(HOST), register.keys(), Some(register.witnessing()), read)
}

/// A register of so many entries, the last `pending` of them not witnessed.
fn world(size: u64, pending: u64) -> World {
    let mut world = World::new();
    for n in 0..size {
        let all = [("A", NOW), ("B", NOW + 1), ("C", NOW + 2)];
        let witnesses = if n + 1 == size - pending { &all[..] } else { &[] };
        let record = notice(&(n % 40).to_string(), &format!("text {n}"));
        world.publish(HOST, &[record], witnesses);
    }
    world
}

#[test]
fn what_is_written_replays() {
    for (size, pending) in [(1, 0), (2, 1), (3, 3), (255, 0), (256, 0), (257, 1), (300, 45)] {
        let world = world(size, pending);
        let files = files(&world);
        let replay = check(&world, &files).unwrap();
        assert_eq!((replay.newest.checkpoint.size, replay.changes), (size, size), "{size}");
        assert_eq!(replay.witnessed.as_ref().map_or(0, |s| s.checkpoint.size), size - pending, "{size}");
        assert_eq!((replay.bodies_missing.len(), replay.is_forked), (0, false));
        assert_eq!(replay.checked.len(), files.len(), "{size}");
        let at = replay.witnessed.unwrap_or(replay.newest);
        assert_eq!((at.cosigners.len(), at.unknown), (if pending == size { 0 } else { 3 }, 0));
    }
}

#[test]
fn a_folder_that_is_brought_up_to_date_is_whole_after_every_file() {
    let mut world = world(3, 1);
    let mut folder = files(&world);
    for (size, next) in [(3, 7), (7, 255), (255, 257), (257, 300)] {
        for n in size..next {
            let witnesses: &[_] = if n + 2 == next { &[("A", NOW), ("B", NOW)] } else { &[] };
            world.publish(HOST, &[notice(&(n % 40).to_string(), &format!("text {n}"))], witnesses);
        }
        let register = world.replica.register(&origin(HOST)).unwrap();
        let mirror = Mirror::new(register, world.replica.bodies());
        for path in mirror.paths().unwrap() {
            folder.insert(path.clone(), mirror.read(&path).unwrap().bytes);
            let replay = check(&world, &folder).unwrap_or_else(|e| panic!("{next}, {path}: {e}"));
            assert_eq!(replay.bodies_missing, [], "{next}, {path}");
        }
        assert_eq!(check(&world, &folder).unwrap().newest.checkpoint.size, next);
    }
}

#[test]
fn every_file_that_is_altered_cut_or_gone_is_found() {
    for (size, pending) in [(3, 1), (258, 2)] {
        let world = world(size, pending);
        let whole = files(&world);
        check(&world, &whole).unwrap();
        for (path, bytes) in &whole {
            let places: Vec<usize> =
                (0..bytes.len()).step_by(1 + bytes.len() / (if size > 9 { 7 } else { 97 })).collect();
            for at in places {
                let mut bad = bytes.to_vec();
                bad[at] ^= 1;
                let mut altered = whole.clone();
                altered.insert(path.clone(), bad.into());
                // A signature line whose name or key id is altered becomes one by an unknown key.
                let found = check(&world, &altered);
                let lost = found.as_ref().is_ok_and(|r| {
                    [Some(&r.newest), r.witnessed.as_ref()].into_iter().flatten().any(|stood| stood.unknown == 1)
                });
                assert!(found.is_err() || lost, "{path}, byte {at}");
                let mut cut = whole.clone();
                cut.insert(path.clone(), bytes.slice(..at));
                assert!(check(&world, &cut).is_err(), "{path}, cut at {at}");
            }
            let mut gone = whole.clone();
            gone.remove(path);
            match check(&world, &gone) {
                Err(ReplayError::Missing(missing)) => assert_eq!(missing, *path),
                Ok(replay) if path.starts_with(BODY) => assert_eq!(replay.bodies_missing.len(), 1, "{path}"),
                Ok(_) => assert!([BINDING, WITNESSED].contains(&path.as_str()) || path.contains(".p/"), "{path}"),
                other => panic!("{path}: {other:?}"),
            }
        }
    }
}

#[test]
fn tiles_of_an_earlier_size_are_told_from_others() {
    let world = world(300, 0);
    let replay = check(&world, &files(&world)).unwrap();
    let register = world.replica.register(&origin(HOST)).unwrap();
    let mirror = Mirror::new(register, world.replica.bodies());
    for path in ["tile/0/000.p/7", "tile/entries/001.p/3", "tile/entries/000.p/255"] {
        let file = mirror.read(path).unwrap();
        assert_eq!((replay.holds(path, &file.bytes), file.is_final), (Some(true), true), "{path}");
        let mut bad = file.bytes.to_vec();
        bad[40] ^= 1;
        assert_eq!(replay.holds(path, &bad), Some(false), "{path}");
    }
    assert_eq!(replay.holds("tile/0/001.p/45", &[0; 45 * 32]), Some(false));
    assert_eq!(replay.holds("index.html", b""), None);
    assert_eq!(replay.holds(&format!("{BODY}{}", Digest::of(b"x")), b"y"), Some(false));
}

#[test]
fn what_is_not_there_is_told_why() {
    let world = world(3, 0);
    let register = world.replica.register(&origin(HOST)).unwrap();
    let mirror = Mirror::new(register, world.replica.bodies());
    for path in
        ["", "fork", "tile/0/000", "tile/0/000.p/4", "tile/1/000.p/1", "body/00", "tile/entries/001.p/1", "../x"]
    {
        assert_eq!(mirror.read(path), Err(NotThere::Nothing), "{path}");
    }
    let empty = Register::new(&origin(HOST), register.keys(), register.witnessing().clone());
    let mirror = Mirror::new(&empty, world.replica.bodies());
    assert_eq!((mirror.read(CHECKPOINT), mirror.paths()), (Err(NotThere::Empty), Err(NotThere::Empty)));
}

#[test]
fn a_register_held_from_a_state_says_which_entries_it_lacks() {
    let world = world(300, 0);
    let register = world.replica.register(&origin(HOST)).unwrap();
    let stand = register.witnessed_stand().unwrap();
    let (entry, proof) = register.proof_of_last(300).unwrap();
    let state = register.state_witnessed().clone();
    let (keys, witnessing) = (register.keys(), register.witnessing().clone());
    let cosignatures = stand.cosignatures().cloned().collect();
    let last = (entry.clone(), proof);
    let held = Register::from_state(keys, witnessing, stand.head().clone(), cosignatures, last, state).unwrap();
    let mirror = Mirror::new(&held, world.replica.bodies());
    assert_eq!(mirror.paths(), Err(NotThere::BeforeBase(300)));
    assert_eq!(mirror.read("tile/entries/000"), Err(NotThere::BeforeBase(300)));
    assert_eq!(mirror.read("tile/0/001.p/44"), Err(NotThere::BeforeBase(300)));
    assert_eq!(mirror.read("tile/0/001.p/45"), Err(NotThere::Nothing));
    assert!(mirror.read(CHECKPOINT).is_ok());
}

#[test]
fn a_binding_from_before_a_rotation_still_names_the_register() {
    let world = world(3, 0);
    let files = files(&world);
    let register = world.replica.register(&origin(HOST)).unwrap();
    let new = crate::proof::tests::vkey(&origin(HOST), crate::key::Algorithm::Note, "new key");
    let read = |path: &str, _| Ok::<_, Infallible>(files.get(path).cloned());
    let both = [register.keys(), std::slice::from_ref(&new)].concat();
    assert!(replay(&origin(HOST), &both, None, read).is_ok());
    assert!(names_register(&files[BINDING], &origin(HOST), &both));
    assert!(!names_register(&files[BINDING], &origin(HOST), &[new]));
    assert!(!names_register(files[BINDING].trim_ascii_end(), &origin(HOST), &both), "in one form only");
}

#[test]
fn other_keys_or_another_register_are_refused() {
    let world = world(3, 0);
    let files = files(&world);
    let register = world.replica.register(&origin(HOST)).unwrap();
    let read = |path: &str, _| Ok::<_, Infallible>(files.get(path).cloned());
    assert!(matches!(replay("other.example/1", register.keys(), None, read), Err(ReplayError::Head { .. })));
    assert!(matches!(replay(&origin(HOST), &[], None, read), Err(ReplayError::Head { .. })));
    let unwitnessed = replay(&origin(HOST), register.keys(), None, read).unwrap();
    assert_eq!((unwitnessed.newest.unknown, unwitnessed.newest.cosigners.len()), (3, 0));
}

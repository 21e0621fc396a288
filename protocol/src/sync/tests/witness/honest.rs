//! Random honest histories: whatever happens to machines, disks, clocks and links, no proof comes of it.

#![allow(clippy::print_stdout, reason = "counts and the seed belong to what the test shows")]

use super::*;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

const WITNESSES: [&str; 3] = ["A", "B", "C"];

fn duties_of(i: usize) -> Duties {
    match WITNESSES.get(i) {
        Some(name) => witness(name),
        None if i == 3 => publisher_node("interior.example"),
        None => Duties::none(),
    }
}

/// What one history came to.
#[derive(Default)]
struct Told {
    promises: usize,
    put_back: usize,
    forks: usize,
}

fn history(seed: u64, steps: u64) -> Told {
    let mut dice = Dice(seed);
    let mut told = Told::default();
    let mut net = started();
    let mut interior = Publisher::new("interior.example");
    let mut thief: Option<Publisher> = None;
    for step in 0..steps {
        let i = dice.throw(5) as usize;
        let text = format!("{seed}-{step}");
        match dice.throw(16) {
            0..=4 => {
                let _ = net.submit(3, interior.publish(&[notice(&text)]));
            }
            // A head that is skipped: its entry comes under the next.
            5 => drop(interior.head(&[notice(&text)])),
            6..=8 => net.tick(1 + dice.throw(90)),
            9 => {
                net.cut(i);
                net.run();
            }
            10 => {
                net.link_all();
                net.run();
            }
            11 => net.node(i).gossip_off ^= true,
            12 => net.node(i).disk_full ^= true,
            // A clock is set: by seconds mostly, by a year at times.
            13 => {
                let far = [3_000, 60_000, 3_600_000, 31_536_000_000][dice.throw(4) as usize];
                net.node(i).ahead_ms = if dice.throw(2) == 0 { far } else { -far };
            }
            // A restart from all of its disk.
            14 => put_back(&mut net, i, duties_of(i), usize::MAX),
            // A backup is put back. Whoever holds what it said since can be asked.
            _ => {
                let kept = dice.throw(net.node(i).durable.len() as u64 + 1) as usize;
                put_back(&mut net, i, duties_of(i), kept);
                told.put_back += 1;
            }
        }
        if thief.is_none() && dice.throw(60) == 0 {
            thief = Some(Publisher { host: "interior.example", ground: interior.ground.clone() });
        } else if let Some(thief) = &mut thief
            && dice.throw(8) == 0
        {
            let _ = net.submit(i, thief.publish(&[notice(&format!("thief {text}"))]));
        }
    }
    (0..5).for_each(|i| net.node(i).disk_full = false);
    (0..5).for_each(|i| net.node(i).gossip_off = false);
    net.link_all();
    net.run();
    net.tick(60);
    for i in 0..5 {
        if let Some(proof) = net.node(i).machine.replica().witness_proofs().values().next().cloned() {
            let shown = net.node(i).machine.replica().check_witness_proof(&proof).expect("held");
            panic!("seed {seed}: node {i} has a proof against an honest witness: {} {shown:?}", proof.witness());
        }
    }
    told.promises = (0..3).map(|i| promised(&mut net, i).len()).sum();
    let register = net.node(4).machine.replica().register(&at()).cloned();
    told.forks = usize::from(register.is_some_and(|register| register.is_forked()));
    told
}

#[test]
fn no_honest_history_gives_a_proof() {
    let count: u64 = std::env::var("STANDFAST_HISTORIES").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let first = std::env::var("STANDFAST_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut sum = Told::default();
    // 20622: a view from a clock a year ahead, which peers hold apart, has to be learned too.
    for seed in [20_622].into_iter().chain(first..first + count) {
        let Told { promises, put_back, forks } = history(seed, 60);
        sum = Told { promises: sum.promises + promises, put_back: sum.put_back + put_back, forks: sum.forks + forks };
    }
    println!(
        "{count} histories from seed {first}: {} promises, {} backups put back, {} forked",
        sum.promises, sum.put_back, sum.forks
    );
    assert!(sum.promises > 0 && sum.put_back > 0, "nothing happened");
}

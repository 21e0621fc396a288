//! What a verdict costs beside the signature check in it.
//!
//! ```text
//! cargo bench --workspace --bench verify                # or only one format: … --bench verify -- vc+jwt
//! ```
//!
//! Pairs, one after the other on one thread: `verify` of a credential from its bytes to the verdict, with trust, status and
//! ages, offline, on a warm snapshot; then `verify_strict` of `ed25519-dalek` over the signing input of the same credential,
//! which is already made, under a key that is already read. The ratio of a pair is free of what the machine does
//! meanwhile; the median of the ratios is the result.
//!
//! A round has 64 credentials of 64 issuers, each with its own register, key and status list. Every round has new credentials:
//! the snapshot is warm, the credential never is.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use ed25519_dalek::{Signature, VerifyingKey};
use standfast_protocol::credential::contexts::Contexts;
use standfast_protocol::credential::{Credential, Format};
use standfast_protocol::policy::Policy;
use standfast_protocol::snapshot::Snapshot;
use standfast_protocol::time::Time;
use standfast_protocol::verdict::Outcome;
use standfast_protocol::verify::verify;
use standfast_tests::world::{Draft, NOW, World, entry, issuing_key, list_of};

/// Issuers, and credentials of a round.
const ISSUERS: usize = 64;
/// Rounds that are measured.
const ROUNDS: usize = 16;
/// Rounds before, which fill what the snapshot keeps.
const WARM_ROUNDS: usize = 2;
/// The length of each status list, of which one entry in a hundred is set.
const LIST_LENGTH: u64 = 100_000;
/// The formats with the targets of the design.
const TARGETS: [(Format, f64); 3] = [(Format::VcJwt, 1.3), (Format::EddsaJcs2022, 1.8), (Format::EddsaRdfc2022, 4.0)];

/// One credential, and what checking its signature alone needs.
struct Case {
    bytes: Vec<u8>,
    input: Vec<u8>,
    signature: Signature,
    key: VerifyingKey,
}

impl Case {
    fn new(issuer: &'static str, format: Format, index: u64) -> Self {
        let status = Some(entry(&list_of(issuer), index));
        let bytes = Draft { issuer, format, status, ..Draft::default() }.issue();
        let credential = Credential::parse(&bytes).expect("a credential");
        let input = credential.signing_input(&Contexts::builtin()).expect("known contexts").into_owned();
        let signature = Signature::from_bytes(credential.signature());
        let key = VerifyingKey::from_bytes(issuing_key(issuer).public().as_bytes()).expect("a key");
        Self { bytes, input, signature, key }
    }

    /// Nanoseconds of `verify` and of `verify_strict`.
    fn time(&self, snapshot: &Snapshot, policy: &Policy, now: Time) -> (f64, f64) {
        let start = Instant::now();
        let verdict = verify(black_box(&self.bytes), snapshot, policy, now);
        let whole = start.elapsed();
        assert_eq!(verdict.outcome(), Outcome::Accepted, "{}", verdict.reason());
        let start = Instant::now();
        let bare = black_box(&self.key).verify_strict(black_box(&self.input), &self.signature);
        let reference = start.elapsed();
        assert!(bare.is_ok());
        (whole.as_nanos() as f64, reference.as_nanos() as f64)
    }
}

fn main() -> io::Result<()> {
    let issuers: Vec<&'static str> = (0..ISSUERS).map(|i| &*format!("issuer{i:02}").leak()).collect();
    let world = World::wide(&issuers, LIST_LENGTH);
    let snapshot = world.snapshot();
    let policy = Policy::built_in("standard").expect("built in");
    let now = Time::from_secs_saturating(NOW + 60);
    let pairs = ISSUERS * ROUNDS;
    // cargo itself adds `--bench`.
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let mut out = io::stdout().lock();
    writeln!(out, "verify / ed25519-dalek 3 verify_strict, {pairs} pairs a format, {ISSUERS} issuers a round\n")?;
    writeln!(out, "| format | median | min | quartiles | max | verify | verify_strict | bytes | target |")?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
    let chosen = |(format, _): &(Format, f64)| only.is_empty() || only.iter().any(|name| name == format.name());
    for (format, target) in TARGETS.into_iter().filter(chosen) {
        let mut spans = Vec::with_capacity(pairs);
        let mut size = 0;
        for round in 0..WARM_ROUNDS + ROUNDS {
            // Index 0 and every hundredth after it are revoked.
            let cases = issuers.iter().zip(1 + 100 * round as u64..).map(|(issuer, i)| {
                let index = if i.is_multiple_of(100) { i + 50 } else { i };
                Case::new(issuer, format, index)
            });
            let cases: Vec<Case> = cases.collect();
            size = cases.iter().map(|case| case.bytes.len()).max().unwrap_or(size);
            let timed = cases.iter().map(|case| case.time(&snapshot, &policy, now));
            let timed: Vec<(f64, f64)> = timed.collect();
            if round >= WARM_ROUNDS {
                spans.extend(timed);
            }
        }
        let ratios = Spread::of(spans.iter().map(|(whole, bare)| whole / bare));
        let whole = Spread::of(spans.iter().map(|(whole, _)| whole / 1_000.0));
        let bare = Spread::of(spans.iter().map(|(_, bare)| bare / 1_000.0));
        let met = if ratios.median <= target { "met" } else { "missed: it belongs to a later issue" };
        let Spread { min, lower, median, upper, max } = ratios;
        writeln!(
            out,
            "| {} | **{median:.2}** | {min:.2} | {lower:.2}–{upper:.2} | {max:.2} | {:.1} µs | {:.1} µs | {size} | ≤ {target:.1}, {met} |",
            format.name(),
            whole.median,
            bare.median,
        )?;
    }
    Ok(())
}

/// How measurements spread.
struct Spread {
    min: f64,
    lower: f64,
    median: f64,
    upper: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |part: usize| sorted[(sorted.len() - 1) * part / 4];
        Self { min: at(0), lower: at(1), median: at(2), upper: at(3), max: at(4) }
    }
}

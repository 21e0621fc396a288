use serde_json::{Value, json};
use standfast_protocol::digest::Digest;
use standfast_protocol::key::{Algorithm, KeyError, SecretKey, VerifierKey};
use standfast_protocol::log::checkpoint::{Checkpoint, CheckpointError, HeadError, SignedHead};
use standfast_protocol::log::cosignature::{self, Cosignature};
use standfast_protocol::log::merkle::{Tree, leaf_hash};
use standfast_protocol::log::note::{self, Note, NoteError, SignatureLine};
use standfast_protocol::log::policy::Quorum;
use standfast_protocol::log::proof::{ProofError, TlogProof};
use standfast_protocol::log::tiles::{Tile, TilePathError};
use standfast_tests::vectors::{digest, hex, list, number, refused, same, text};

use super::{edited, made_again, open, to_hex};

const FORMAT: &str = "The formats of C2SP as specs/register.md sections 1, 3, 10 and 12 use them. `log`: vkeys and Ed25519 seeds of a log and \
    of three witnesses, two of which are the quorum of `policy`. `checkpoints`: a signed note, the keys that know it, and \
    what it says. `refused_checkpoints`, `refused_proofs`: the note of the first checkpoint, the text of the first proof, in \
    which the first occurrence of edit[0] is replaced by edit[1]. `proofs`: a tlog-proof, the leaf in hex, and what it shows \
    under the log's key and the policy. `keys`: verifier keys, and why one is not used. `tiles`: a path and what it names, \
    or null. `tile_sizes`: the paths of all tiles of a tree of that size, or how many there are.";

const ORIGIN: &str = "behind-the-sofa.example/log";

#[test]
fn tlog() {
    let (file, mut report) = open("tlog.json", make);
    report.check("made again", made_again(&file, make));
    let key: VerifierKey = text(&file["log"]["key"]).parse().expect("a key");
    let policy = Quorum::parse(text(&file["log"]["policy"])).expect("a policy");
    for case in list(&file["checkpoints"]) {
        report.check(text(&case["name"]), accept_checkpoint(case, &key, &policy));
    }
    for case in list(&file["refused_checkpoints"]) {
        let note = edited(text(&file["checkpoints"][0]["note"]), case);
        let found = read_checkpoint(note.as_bytes(), &key, &policy).err();
        report.check(text(&case["name"]), refused(found.as_ref().map(head_reason), text(&case["reason"])));
    }
    for case in list(&file["proofs"]) {
        report.check(text(&case["name"]), accept_proof(case, &key, &policy));
    }
    for case in list(&file["refused_proofs"]) {
        let proof = edited(text(&file["proofs"][0]["proof"]), case);
        let leaf = hex(&file["proofs"][0]["leaf"]);
        let found = TlogProof::parse(proof.as_bytes()).and_then(|p| verify(&p, &leaf, &key, &policy)).err();
        report.check(text(&case["name"]), refused(found.as_ref().map(proof_reason), text(&case["reason"])));
    }
    for case in list(&file["keys"]) {
        let found = text(&case["key"]).parse::<VerifierKey>().err().map(key_reason);
        report.check(text(&case["name"]), same("reason", found, case["reason"].as_str()));
    }
    for case in list(&file["tiles"]) {
        let found = tile_case(text(&case["path"]));
        report.check(text(&case["path"]), same("tile", &found, case));
    }
    for case in list(&file["tile_sizes"]) {
        report.check(&case["size"].to_string(), same("tiles", &tiles_of(number(&case["size"])), case));
    }
    report.finish();
}

fn read_checkpoint(
    data: &[u8],
    key: &VerifierKey,
    policy: &Quorum,
) -> Result<(SignedHead, Vec<Cosignature>), HeadError> {
    let head = SignedHead::authenticate(Note::parse(data)?, ORIGIN, std::slice::from_ref(key))?;
    let cosignatures = Cosignature::all_in(head.note(), head.checkpoint(), policy.witnesses())?;
    Ok((head, cosignatures))
}

fn accept_checkpoint(case: &Value, key: &VerifierKey, policy: &Quorum) -> Result<(), String> {
    let (head, cosignatures) =
        read_checkpoint(text(&case["note"]).as_bytes(), key, policy).map_err(|e| format!("refused: {e:?}"))?;
    let Checkpoint { origin, size, root } = head.checkpoint();
    same("origin", origin.as_str(), text(&case["origin"]))?;
    same("size", *size, number(&case["size"]))?;
    same("root", Some(*root), digest(&case["root"]))?;
    same("cosigned", &cosigned(&cosignatures), &case["cosigned"])?;
    let times = |name: &str| cosignatures.iter().find(|c| c.witness() == name).map(Cosignature::time);
    same("quorum time", policy.time(times), case["quorum_time"].as_u64())?;
    same("written again", head.note().to_string().as_str(), text(&case["note"]))
}

fn cosigned(cosignatures: &[Cosignature]) -> Value {
    cosignatures.iter().map(|c| json!([c.witness(), c.time()])).collect()
}

fn verify(proof: &TlogProof, leaf: &[u8], key: &VerifierKey, policy: &Quorum) -> Result<Vec<Cosignature>, ProofError> {
    let logged = proof.verify(leaf, ORIGIN, std::slice::from_ref(key), policy, |_| true)?;
    Ok(logged.cosignatures().to_vec())
}

fn accept_proof(case: &Value, key: &VerifierKey, policy: &Quorum) -> Result<(), String> {
    let proof = TlogProof::parse(text(&case["proof"]).as_bytes()).map_err(|e| format!("refused: {e:?}"))?;
    let cosignatures = verify(&proof, &hex(&case["leaf"]), key, policy).map_err(|e| format!("refused: {e:?}"))?;
    same("index", proof.index, number(&case["index"]))?;
    same("extra", proof.extra.as_ref().map(to_hex).as_deref(), case["extra"].as_str())?;
    same("hashes", proof.hashes.len() as u64, number(&case["hashes"]))?;
    same("cosigned", &cosigned(&cosignatures), &case["cosigned"])?;
    same("written again", proof.to_string().as_str(), text(&case["proof"]))
}

fn tile_case(path: &str) -> Value {
    match path.parse::<Tile>() {
        Ok(tile) => {
            json!({"path": path, "names": {"index": tile.index, "width": tile.width, "start": tile.start()}, "reason": null})
        }
        Err(error) => {
            let reason = match error {
                TilePathError::Shape => "shape",
                TilePathError::Level => "level",
                TilePathError::Number => "number",
                TilePathError::Width => "width",
            };
            json!({"path": path, "names": null, "reason": reason})
        }
    }
}

fn tile_cases(paths: &[&str]) -> Value {
    paths.iter().map(|path| tile_case(path)).collect()
}

fn tiles_of(size: u64) -> Value {
    let paths: Vec<String> = Tile::of_size(size).map(|tile| tile.to_string()).collect();
    let shown = if paths.len() <= 12 { json!(paths) } else { json!(null) };
    json!({"size": size, "tiles": paths.len(), "last": paths.last(), "paths": shown})
}

fn head_reason(error: &HeadError) -> &'static str {
    match error {
        HeadError::Note(error) => note_reason(*error),
        HeadError::Checkpoint(CheckpointError::Extension) => "extension",
        HeadError::Checkpoint(CheckpointError::Number) => "size",
        HeadError::Checkpoint(CheckpointError::Base64) => "base64",
        HeadError::Checkpoint(CheckpointError::Root) => "root",
        HeadError::Checkpoint(_) => "checkpoint",
        HeadError::WrongOrigin => "origin",
    }
}

fn note_reason(error: NoteError) -> &'static str {
    match error {
        NoteError::BadSignature => "signature",
        NoteError::UnknownKey => "unknown-key",
        NoteError::BlankLine => "blank-line",
        NoteError::SignatureLine => "signature-line",
        NoteError::Base64 => "base64",
        NoteError::SignatureLength => "signature-length",
        NoteError::SignatureTime => "signature-time",
        NoteError::ControlCharacter => "control-character",
        _ => "other-note",
    }
}

fn proof_reason(error: &ProofError) -> &'static str {
    match error {
        ProofError::Header => "header",
        ProofError::Extra => "extra",
        ProofError::Index => "index",
        ProofError::Hash => "hash",
        ProofError::Inclusion => "inclusion",
        ProofError::Quorum => "quorum",
        ProofError::BlankLine => "blank-line",
        ProofError::Note(error) => note_reason(*error),
        ProofError::Head(error) => head_reason(error),
        _ => "other-proof",
    }
}

fn key_reason(error: KeyError) -> &'static str {
    match error {
        KeyError::MlDsa44 => "ml-dsa-44",
        KeyError::Algorithm => "algorithm",
        KeyError::Id => "id",
        KeyError::Weak => "weak",
        _ => "other-key",
    }
}

fn key(name: &str, algorithm: Algorithm, seed: u8) -> (VerifierKey, SecretKey) {
    let secret = SecretKey::from_seed(&[seed; 32]);
    (VerifierKey::new(name, algorithm, secret.public()).expect("a name"), secret)
}

fn leaf(n: u64) -> Vec<u8> {
    format!("entry {n}").into_bytes()
}

/// A verifier key for ML-DSA-44, whose key is all of one byte.
fn ml_dsa_44(name: &str, byte: u8, id: Option<[u8; 4]>) -> String {
    let material = [&[0x06][..], &[byte; 1312]].concat();
    let hash = Digest::of_parts(&[name.as_bytes(), b"\n", &material]);
    let id = id.unwrap_or([hash.0[0], hash.0[1], hash.0[2], hash.0[3]]);
    format!("{name}+{}+{}", to_hex(id), data_encoding::BASE64.encode(&material))
}

fn make() -> Value {
    let (own, secret) = key(ORIGIN, Algorithm::Note, 1);
    let names = ["w1", "w2", "w3"];
    let witnesses: Vec<_> = (2_u8..)
        .zip(names)
        .map(|(seed, name)| key(&format!("{name}.example/witness"), Algorithm::Cosignature, seed))
        .collect();
    let mut policy: String =
        names.iter().zip(&witnesses).map(|(name, (key, _))| format!("witness {name} {key}\n")).collect();
    policy += "group q 2 w1 w2 w3\nquorum q\n";
    let mut tree = Tree::default();
    (0..300).for_each(|n| tree.push(leaf_hash(&leaf(n))));
    let signed = |size: u64, by: &[(usize, u64)]| {
        let root = tree.root_at(size).expect("inside");
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root };
        let mut lines = vec![note::sign(&checkpoint.text(), &own, &secret)];
        lines.extend(
            by.iter()
                .map(|(at, time)| cosignature::sign(&checkpoint.text(), *time, &witnesses[*at].0, &witnesses[*at].1)),
        );
        (checkpoint.clone(), Note::new(checkpoint.text(), lines))
    };
    let cosigned = |by: &[(usize, u64)]| -> Value { by.iter().map(|(at, time)| json!([names[*at], time])).collect() };
    let pq = SignatureLine { name: "w1.example/witness".to_owned(), id: [6, 6, 6, 6], blob: vec![7; 8 + 2420] };

    let checkpoint = |name: &str, size: u64, by: &[(usize, u64)], more: Option<&SignatureLine>, time: Option<u64>| {
        let (checkpoint, mut note) = signed(size, by);
        more.into_iter().for_each(|line| note.add(line.clone()));
        json!({"name": name, "note": note.to_string(), "origin": ORIGIN, "size": size, "root": checkpoint.root.to_string(),
            "cosigned": cosigned(by), "quorum_time": time})
    };
    let proof =
        |name: &str, index: u64, size: u64, extra: Option<&[u8]>, by: &[(usize, u64)], more: Option<&SignatureLine>| {
            let (_, mut checkpoint) = signed(size, by);
            more.into_iter().for_each(|line| checkpoint.add(line.clone()));
            let hashes = tree.inclusion(index, size).expect("inside");
            let count = hashes.len();
            let proof = TlogProof { extra: extra.map(<[u8]>::to_vec), index, hashes, checkpoint };
            json!({"name": name, "proof": proof.to_string(), "leaf": to_hex(leaf(index)), "index": index,
            "extra": extra.map(to_hex), "hashes": count, "cosigned": cosigned(by)})
        };
    let edit =
        |name: &str, reason: &str, from: &str, to: &str| json!({"name": name, "reason": reason, "edit": [from, to]});
    let both = [(0, 1_679_315_147), (2, 1_679_315_150)];
    let root_7 = data_encoding::BASE64.encode(&tree.root_at(7).expect("inside").0);
    let sizes: Vec<Value> = [0, 1, 255, 256, 257, 65_536, 70_000].map(tiles_of).into();
    json!({
        "format": FORMAT,
        "log": {"key": own.to_string(), "seed": to_hex([1; 32]), "policy": policy,
            "witness_seeds": (2_u8..5).map(|seed| to_hex([seed; 32])).collect::<Vec<_>>()},
        "checkpoints": [
            checkpoint("cosigned by a quorum", 7, &both, None, Some(1_679_315_147)),
            checkpoint("cosigned by too few", 300, &both[..1], None, None),
            checkpoint("cosigned by nobody, of one entry", 1, &[], None, None),
            checkpoint("with a cosignature of type 0x06, which is passed over", 7, &both, Some(&pq), Some(1_679_315_147)),
        ],
        "refused_checkpoints": [
            edit("another size under the signature", "signature", "\n7\n", "\n8\n"),
            edit("a size with a leading zero", "size", "\n7\n", "\n07\n"),
            edit("an extension line", "extension", &format!("{root_7}\n"), &format!("{root_7}\nmore\n")),
            edit("another origin", "origin", "behind-the-sofa.example/log\n", "behind-the-sofa.example/other\n"),
            edit("a root without its padding", "base64", &root_7, root_7.trim_end_matches('=')),
            edit("a signature line of another form", "signature-line", "\u{2014} behind", "- behind"),
            edit("a carriage return", "control-character", "\n7\n", "\r\n7\n"),
            edit("no signature of the log", "unknown-key", "\u{2014} behind-the-sofa.example/log", "\u{2014} elsewhere.example/log"),
        ],
        "proofs": [
            proof("with extra data", 5, 7, Some(&[0, 1, 2]), &both, None),
            proof("the last of 300", 299, 300, None, &both, None),
            proof("the only entry: no hashes", 0, 1, None, &both, None),
            proof("with a cosignature of type 0x06, which is passed over", 0, 256, None, &both, Some(&pq)),
        ],
        "refused_proofs": [
            edit("another first line", "header", "@v1", "@v2"),
            edit("extra data without its padding", "extra", "extra AAEC", "extra AAE"),
            edit("an extra line that is empty", "extra", "extra AAEC", "extra "),
            edit("an index with a leading zero", "index", "index 5", "index 05"),
            edit("another index", "inclusion", "index 5", "index 4"),
            edit("a hash that is too short", "hash", "index 5\n", "index 5\nAAAA\n"),
            edit("a hash too many", "inclusion", "index 5\n", "index 5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"),
            edit("too few witnesses", "quorum", "\u{2014} w1.example/witness", "\u{2014} w9.example/witness"),
            edit("another tree under the signature", "signature", "\n7\n", "\n9\n"),
        ],
        "keys": [
            {"name": "of a log", "key": own.to_string(), "reason": null},
            {"name": "of a witness", "key": witnesses[0].0.to_string(), "reason": null},
            {"name": "for ML-DSA-44: known, and not supported", "key": ml_dsa_44("w.example/pq", 5, None), "reason": "ml-dsa-44"},
            {"name": "for ML-DSA-44 with another id", "key": ml_dsa_44("w.example/pq", 5, Some([0; 4])), "reason": "id"},
        ],
        "tiles": tile_cases(&["tile/0/000", "tile/0/x001/x234/067", "tile/1/000.p/17", "tile/63/999", "tile/entries/273.p/112",
            "tile/entries/x001/000", "checkpoint", "tile/00/000", "tile/64/000", "tile/0/x000/001", "tile/0/01",
            "tile/0/000.p/256", "tile/0/000.p/0", "tile/0/000.p/012"]),
        "tile_sizes": sizes,
    })
}

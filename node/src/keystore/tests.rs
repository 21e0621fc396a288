#![allow(clippy::unwrap_used)]
use std::os::unix::fs::PermissionsExt as _;

use data_encoding::BASE64;
use standfast_protocol::key::{self, Algorithm, VerifierKey};

use super::*;

const NOW: u64 = 1_790_000_000;

fn now() -> Time {
    Time::from_secs_saturating(NOW)
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
}

fn store() -> (tempfile::TempDir, Keystore) {
    let dir = tempfile::tempdir().unwrap();
    let store = Keystore::in_data_dir(dir.path());
    (dir, store)
}

#[test]
fn a_key_opens_with_its_passphrase_alone() {
    let (_dir, store) = store();
    let made = store.create("transport", KeyUse::Register, &passphrase("correct horse"), now()).unwrap();
    let opened = store.unlock("transport", KeyUse::Register, &passphrase("correct horse")).unwrap();
    assert_eq!(opened.secret.public().to_multikey(), made.public_key);
    let refused = store.unlock("transport", KeyUse::Register, &passphrase("wrong horse")).err().unwrap();
    assert!(matches!(refused, KeystoreError::Passphrase { whole: true, .. }), "{refused}");
    let text = fs::read_to_string(store.key_path("transport")).unwrap();
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"));
    assert_eq!(fs::metadata(store.key_path("transport")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(store.dir()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn one_key_has_one_use_and_one_name() {
    let (_dir, store) = store();
    store.create("lic-2026", KeyUse::Issue, &passphrase("correct horse"), now()).unwrap();
    let refused = store.unlock("lic-2026", KeyUse::Root, &passphrase("correct horse")).err().unwrap();
    assert!(matches!(refused, KeystoreError::Use { .. }));
    let refused = store.create("lic-2026", KeyUse::Issue, &passphrase("correct horse"), now()).err().unwrap();
    assert!(matches!(refused, KeystoreError::Exists(_)));
    fs::copy(store.key_path("lic-2026"), store.key_path("other")).unwrap();
    let refused = store.recover("other", &passphrase("correct horse"), now()).err().unwrap();
    assert!(matches!(refused, KeystoreError::Format { .. }));
    for name in ["", "a/b", "..", "-a", "a b", "a+b", "ä"] {
        assert!(check_name(name).is_err(), "{name}");
    }
}

#[test]
fn an_imported_key_is_the_one_that_was_brought() {
    let (_dir, store) = store();
    let seed = Seed::parse("07".repeat(32).as_bytes()).unwrap();
    let made = store.import("root", KeyUse::Root, &seed, &passphrase("correct horse"), now()).unwrap();
    assert_eq!(made.key().unwrap(), SecretKey::from_seed(&[7; 32]).public());
    let opened = store.unlock("root", KeyUse::Root, &passphrase("correct horse")).unwrap();
    assert_eq!(opened.secret.public(), SecretKey::from_seed(&[7; 32]).public());
    let public = fs::read_to_string(store.dir().join("root.pub")).unwrap();
    assert!(!public.contains(&"07".repeat(32)), "the seed is nowhere but in the encrypted file");
}

#[test]
fn refuses_to_import_a_witness_or_one_key_twice() {
    let (_dir, store) = store();
    let seed = Seed::parse("07".repeat(32).as_bytes()).unwrap();
    let import = |name, key_use| store.import(name, key_use, &seed, &passphrase("correct horse"), now());
    assert!(matches!(import("customs", KeyUse::Witness), Err(KeystoreError::TwoSeeds(KeyUse::Witness))));
    import("root", KeyUse::Root).unwrap();
    assert!(matches!(import("root", KeyUse::Root), Err(KeystoreError::Exists(_))));
    assert!(matches!(import("lic-2026", KeyUse::Issue), Err(KeystoreError::Held(name)) if name == "root"));
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn a_witness_has_two_keys_with_two_names() {
    let (_dir, store) = store();
    let made = store.create("customs", KeyUse::Witness, &passphrase("correct horse"), now()).unwrap();
    let keys = made.verifier_keys().unwrap();
    assert_eq!(keys.iter().map(VerifierKey::name).collect::<Vec<_>>(), ["customs/witness", "customs/view"]);
    assert_eq!(keys[0].algorithm(), Algorithm::Cosignature);
    assert_ne!(keys[0].key(), keys[1].key());
    assert_eq!(store.list().unwrap(), [made]);
}

#[test]
fn a_register_key_serves_one_register() {
    let (_dir, store) = store();
    let made = store.create("transport", KeyUse::Register, &passphrase("correct horse"), now()).unwrap();
    assert!(made.verifier_keys().unwrap().is_empty());
    let origin = key::origin_of("transport.gov.example/register", &made.key().unwrap());
    let bound = store.bind_origin("transport", &origin).unwrap();
    assert!(key::is_own_origin(&bound.verifier_keys().unwrap()[0]));
    assert!(matches!(store.bind_origin("transport", "other"), Err(KeystoreError::Bound { .. })));
    let timestamp = store.create_timestamp("transport", &origin).unwrap();
    assert_eq!(timestamp.key.algorithm(), Algorithm::Cosignature);
    let again = store.create_timestamp("transport", &origin).unwrap();
    assert_eq!(again.key, timestamp.key);
    assert_eq!(store.timestamps().unwrap().len(), 1);
    assert!(matches!(store.create_timestamp("transport", "other"), Err(KeystoreError::Bound { .. })));
}

#[test]
fn a_changed_passphrase_replaces_the_old_one() {
    let (_dir, store) = store();
    let made = store.create("root", KeyUse::Root, &passphrase("correct horse"), now()).unwrap();
    let later = now().plus(60);
    let changed =
        store.change_passphrase("root", &passphrase("correct horse"), &passphrase("battery staple"), later).unwrap();
    assert_eq!((changed.passphrase_changed_at, changed.created_at), (later, made.created_at));
    assert!(store.unlock("root", KeyUse::Root, &passphrase("correct horse")).is_err());
    assert!(store.unlock("root", KeyUse::Root, &passphrase("battery staple")).is_ok());
}

#[test]
fn a_damaged_key_file_is_not_called_a_wrong_passphrase() {
    let (_dir, store) = store();
    store.create("root", KeyUse::Root, &passphrase("correct horse"), now()).unwrap();
    let mut bytes = fs::read(store.key_path("root")).unwrap();
    bytes.truncate(bytes.len() - 60);
    fs::write(store.key_path("root"), bytes).unwrap();
    let refused = store.unlock("root", KeyUse::Root, &passphrase("correct horse")).err().unwrap();
    assert!(!matches!(refused, KeystoreError::Passphrase { whole: true, .. }), "{refused}");
}

#[test]
fn refuses_unknown_members_and_short_passphrases() {
    let (_dir, store) = store();
    assert!(store.create("root", KeyUse::Root, &passphrase("short"), now()).is_err());
    store.create("root", KeyUse::Root, &passphrase("correct horse"), now()).unwrap();
    let path = store.dir().join("root.pub");
    let text = fs::read_to_string(&path).unwrap().replacen('{', "{\"more\": 1,", 1);
    fs::write(&path, text).unwrap();
    assert!(matches!(store.public("root"), Err(KeystoreError::Format { .. })));
}

#[test]
fn a_key_behind_a_program_has_no_file_and_signs_through_it() {
    let (_dir, store) = store();
    let secret = SecretKey::from_seed(&[7; 32]);
    let (public, signature) = (BASE64.encode(secret.public().as_bytes()), BASE64.encode(&secret.sign(b"text")));
    let script = format!(
        "echo standfast-signer 1; read word use rest; case $word in public-key) echo public-key {public};; *) echo signature {signature};; esac"
    );
    let argv = ["/bin/sh".to_owned(), "-c".to_owned(), script];
    let made = store.create_behind("hsm", KeyUse::Issue, &argv, now()).unwrap();
    assert_eq!((made.key().unwrap(), made.signer.as_deref()), (secret.public(), Some(argv.as_slice())));
    assert_eq!(store.public("hsm").unwrap(), made);
    assert!(!store.key_path("hsm").exists());
    let program = store.program("hsm", KeyUse::Issue).unwrap().unwrap();
    assert_eq!(Signer::sign(&program, b"text").unwrap(), secret.sign(b"text"));
    assert!(Signer::sign(&program, b"other").is_err());
    assert!(matches!(store.program("hsm", KeyUse::Root), Err(KeystoreError::Use { .. })));
    let opened = store.unlock("hsm", KeyUse::Issue, &passphrase("correct horse")).err().unwrap();
    assert!(matches!(opened, KeystoreError::Elsewhere(_)), "{opened}");
    let again = store.create_behind("other", KeyUse::Issue, &argv, now()).err().unwrap();
    assert!(matches!(again, KeystoreError::Held(name) if name == "hsm"));
    let witness = store.create_behind("customs", KeyUse::Witness, &argv, now()).err().unwrap();
    assert!(matches!(witness, KeystoreError::NoProgram(KeyUse::Witness)));
}

#[test]
fn a_rotation_takes_the_timestamping_key_along() {
    let (_dir, store) = store();
    let made = store.create("transport", KeyUse::Register, &passphrase("correct horse"), now()).unwrap();
    let origin = key::origin_of("transport.gov.example/register", &made.key().unwrap());
    let held = store.create_timestamp("transport", &origin).unwrap();
    let adopted = store.adopt_timestamp("transport", "transport-2").unwrap();
    assert_eq!((&adopted.key, &adopted.name), (&held.key, &"transport-2".to_owned()));
    assert_eq!(store.adopt_timestamp("transport", "transport-2").unwrap().key, held.key);
    assert_eq!(store.timestamps().unwrap().len(), 1, "it is one key");
    store.create_timestamp("other", &origin).unwrap();
    assert!(matches!(store.adopt_timestamp("transport", "other"), Err(KeystoreError::Bound { .. })));
}

#[test]
fn a_key_file_that_others_may_read_is_noticed() {
    let (_dir, store) = store();
    store.create("root", KeyUse::Root, &passphrase("correct horse"), now()).unwrap();
    assert!(!store.is_exposed("root"));
    fs::set_permissions(store.key_path("root"), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(store.is_exposed("root"));
}

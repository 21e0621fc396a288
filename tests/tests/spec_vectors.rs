//! The vectors of our own formats in `specs/vectors`: each is read from its file, checked, and made again.
//!
//! ```text
//! STANDFAST_UPDATE_VECTORS=1 cargo test --release --workspace spec_vectors     # writes them; look at the difference
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::Value;
use standfast_protocol::codec::{CborError, Reader};
use standfast_tests::vectors::{self, Report, same, text};

mod bundle;
mod charter;
mod frontier;
mod status_list;
mod sync_messages;
mod tlog;
mod trust;
mod view;
mod webvh;

/// The variable that has the files written again.
const UPDATE_VARIABLE: &str = "STANDFAST_UPDATE_VECTORS";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/vectors")
}

/// Reads a file of vectors, after writing it when that is asked for.
fn open(file: &str, make: fn() -> Value) -> (Value, Report) {
    if std::env::var_os(UPDATE_VARIABLE).is_some_and(|value| value == "1") {
        let mut json = serde_json::to_string_pretty(&make()).expect("JSON");
        json.push('\n');
        fs::write(folder().join(file), json).expect("the vectors are written");
    }
    vectors::open(&folder(), file)
}

/// Checks that what is made today is what the file has.
fn made_again(file: &Value, make: fn() -> Value) -> Result<(), String> {
    let made = make();
    let members = made.as_object().expect("an object");
    let differs: Vec<&str> = members.keys().map(String::as_str).filter(|name| file[name] != made[name]).collect();
    same("members that are made otherwise today", differs, Vec::new())
}

fn to_hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

/// Returns the text of `case` with the first `edit[0]` replaced by `edit[1]`.
fn edited(whole: &str, case: &Value) -> String {
    let (from, to) = (text(&case["edit"][0]), text(&case["edit"][1]));
    assert!(whole.contains(from), "{}: nothing to replace", case["name"]);
    whole.replacen(from, to, 1)
}

/// Returns CBOR in the diagnostic notation of RFC 8949 §8.
fn diagnostic(data: &[u8]) -> String {
    let mut reader = Reader::new(data);
    let mut out = String::new();
    show(&mut reader, &mut out).expect("deterministic CBOR");
    reader.finish().expect("nothing behind it");
    out
}

fn show(reader: &mut Reader<'_>, out: &mut String) -> Result<(), CborError> {
    match reader.peek_major() {
        Some(0) => out.push_str(&reader.uint()?.to_string()),
        Some(2) => out.push_str(&format!("h'{}'", to_hex(reader.bytes()?))),
        Some(3) => out.push_str(&Value::from(reader.text()?).to_string()),
        Some(4) => {
            out.push('[');
            for place in 0..reader.array()? {
                out.push_str(if place > 0 { ", " } else { "" });
                show(reader, out)?;
            }
            out.push(']');
        }
        _ => {
            out.push('{');
            for place in 0..reader.map()? {
                out.push_str(&format!("{}{}: ", if place > 0 { ", " } else { "" }, reader.uint()?));
                show(reader, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// The code of a refusal by the CBOR reader.
fn cbor_reason(error: CborError) -> &'static str {
    match error {
        CborError::Truncated => "truncated",
        CborError::TrailingBytes(_) => "trailing-bytes",
        CborError::Indefinite => "indefinite",
        CborError::NonMinimal => "non-minimal",
        CborError::Tag => "tag",
        CborError::Type { .. } => "type",
        CborError::Key { .. } => "key",
        CborError::Length { .. } => "length",
        _ => "other-cbor",
    }
}

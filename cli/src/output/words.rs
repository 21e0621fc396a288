//! Ages, times, sizes, counts, hashes and DIDs in words, and other people's text made harmless.

use standfast_protocol::time::Time;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const MONTH: u64 = 30 * DAY;

/// Units, each with the seconds up to which it is used: they change at 2 min, 2 h, 72 h and 60 days.
const UNITS: [(u64, u64, &str, &str); 5] = [
    (2 * MINUTE, 1, "s", "s"),
    (2 * HOUR, MINUTE, "min", "min"),
    (72 * HOUR, HOUR, "h", "h"),
    (60 * DAY, DAY, "day", "days"),
    (u64::MAX, MONTH, "month", "months"),
];

/// Returns an age, rounded up: `119 s`, `4 min`, `31 h`, `3 days`, `6 months`.
pub fn age(secs: u64) -> String {
    span(secs, true)
}

/// Returns the time left, rounded down.
pub fn left(secs: u64) -> String {
    span(secs, false)
}

/// The unit is chosen by what is shown: 7,199 s round up to 120 min, which are 2 h.
fn span(secs: u64, up: bool) -> String {
    let count = |unit: u64| if up { secs.div_ceil(unit) } else { secs / unit };
    let (_, unit, one, many) = UNITS
        .into_iter()
        .find(|(below, unit, ..)| count(*unit).saturating_mul(*unit) < *below)
        .unwrap_or((u64::MAX, MONTH, "month", "months"));
    let count = count(unit);
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// Returns a date: `2028-01-01`.
pub fn date(time: Time) -> String {
    time.to_string().chars().take(10).collect()
}

/// Returns a time to the minute in UTC; today's date is left out: `14:28 UTC`, `2026-11-20 14:28 UTC`.
pub fn at(time: Time, now: Time) -> String {
    let text = time.to_string();
    let clock: String = text.chars().skip(11).take(5).collect();
    if date(time) == date(now) { format!("{clock} UTC") } else { format!("{} {clock} UTC", date(time)) }
}

/// Returns a past time with its age: `2026-11-20 14:28 UTC, 4 min ago`.
pub fn ago(time: Time, now: Time) -> String {
    format!("{}, {} ago", at(time, now), age(now.since(time)))
}

/// Returns a coming time with the time left: `2026-11-21 14:28 UTC, 23 h from now`.
pub fn from_now(time: Time, now: Time) -> String {
    format!("{}, {} from now", at(time, now), left(time.since(now)))
}

/// Returns a count in groups of three: `131,072`. Not for what is to be pasted.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns a count with its noun: `1 entry`, `1,004 entries`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// Returns a size: bytes below 1 KiB, then `9.1 KiB`, `61 MiB`.
pub fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return counted(bytes, "byte", "bytes");
    }
    let mut unit = 1024_u64;
    for name in ["KiB", "MiB", "GiB", "TiB"] {
        let tenths = u128::from(bytes) * 10 / u128::from(unit);
        if tenths < 100 {
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
        if tenths < 10_240 || name == "TiB" {
            let whole = u64::try_from(tenths / 10).unwrap_or(u64::MAX);
            return format!("{} {name}", grouped(whole));
        }
        unit = unit.saturating_mul(1024);
    }
    grouped(bytes)
}

/// Returns a size in whole bytes: `1,214 bytes`.
pub fn size_exact(bytes: u64) -> String {
    counted(bytes, "byte", "bytes")
}

/// Returns a share: `3 of 4`.
pub fn share(part: u64, whole: u64) -> String {
    format!("{} of {}", grouped(part), grouped(whole))
}

/// Returns a hash, a key or a peer, four and four: `4c1e…90ab`, `z6Mk…T9fW`.
pub fn short(text: &str) -> String {
    let length = text.chars().count();
    if length <= 9 {
        return text.to_owned();
    }
    text.chars().take(4).chain(['…']).chain(text.chars().skip(length - 4)).collect()
}

/// Returns a DID or DID URL that keeps method and host; only the opaque part is cut: `did:key:z6Mk…T9fW`,
/// `did:webvh:QmX7…b2Ka:transport.gov.example`.
pub fn did(text: &str) -> String {
    let text = clean(text);
    let (did, fragment) = match text.split_once('#') {
        Some((did, fragment)) => (did, Some(fragment)),
        None => (text.as_str(), None),
    };
    let mut parts = did.splitn(3, ':');
    let (Some("did"), Some(method), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { return text };
    let cut = match method {
        "web" => rest.to_owned(),
        "webvh" => match rest.split_once(':') {
            Some((scid, host)) => format!("{}:{host}", short(scid)),
            None => short(rest),
        },
        _ => short(rest),
    };
    match fragment {
        // did:key repeats its opaque part.
        Some(fragment) if fragment == rest => format!("did:{method}:{cut}#{}", short(fragment)),
        Some(fragment) => format!("did:{method}:{cut}#{fragment}"),
        None => format!("did:{method}:{cut}"),
    }
}

/// Returns a register by its host among all that are held; with its digits as soon as two share the host, so that a
/// look-alike never passes for another.
pub fn register<'a>(origin: &str, held: impl IntoIterator<Item = &'a str>) -> String {
    let host = host_of(origin);
    if held.into_iter().any(|other| other != origin && host_of(other) == host) {
        origin_short(origin)
    } else {
        clean(host)
    }
}

/// Returns an origin with its digits four and four: `transport.gov.example/register/8d3f…21ac`.
pub fn origin_short(origin: &str) -> String {
    match origin.rsplit_once('/') {
        Some((prefix, digits)) => clean(&format!("{prefix}/{}", short(digits))),
        None => clean(origin),
    }
}

fn host_of(origin: &str) -> &str {
    origin.split_once('/').map_or(origin, |(host, _)| host)
}

/// Returns other people's text without control and bidirectional characters; tabs and line ends become spaces.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => out.push(' '),
            c if c.is_control() || is_bidi(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Unicode's Bidi_Control.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::from_rfc3339(text).expect("a time")
    }

    #[test]
    fn units_change_at_2_min_2_h_72_h_and_60_days() {
        let cases = [
            (0, "0 s", "0 s"),
            (1, "1 s", "1 s"),
            (119, "119 s", "119 s"),
            (120, "2 min", "2 min"),
            (121, "3 min", "2 min"),
            (90 * 60, "90 min", "90 min"),
            (7_199, "2 h", "119 min"),
            (7_200, "2 h", "2 h"),
            (30 * 3600 + 1, "31 h", "30 h"),
            (72 * 3600 - 1, "3 days", "71 h"),
            (72 * 3600, "3 days", "3 days"),
            (60 * 86_400 - 1, "2 months", "59 days"),
            (60 * 86_400, "2 months", "2 months"),
            (183 * 86_400, "7 months", "6 months"),
        ];
        for (secs, up, down) in cases {
            assert_eq!((age(secs).as_str(), left(secs).as_str()), (up, down), "{secs} s");
        }
    }

    #[test]
    fn todays_date_is_left_out() {
        let now = time("2026-11-20T14:32:00Z");
        assert_eq!(ago(time("2026-11-20T14:28:59Z"), now), "14:28 UTC, 4 min ago");
        assert_eq!(ago(time("2026-11-19T07:32:00Z"), now), "2026-11-19 07:32 UTC, 31 h ago");
        assert_eq!(from_now(time("2026-11-21T14:28:00Z"), now), "2026-11-21 14:28 UTC, 23 h from now");
        assert_eq!(date(time("2028-01-01T00:00:00Z")), "2028-01-01");
    }

    #[test]
    fn sizes_and_counts_are_grouped() {
        assert_eq!([size(1), size(412), size(1023)], ["1 byte", "412 bytes", "1,023 bytes"]);
        assert_eq!([size(1024), size(9_320), size(10_240)], ["1.0 KiB", "9.1 KiB", "10 KiB"]);
        assert_eq!([size(61 << 20), size(1 << 30)], ["61 MiB", "1.0 GiB"]);
        assert_eq!([grouped(0), grouped(999), grouped(131_072)], ["0", "999", "131,072"]);
        assert_eq!(grouped(1_204_312), "1,204,312");
        assert_eq!(counted(1, "entry", "entries"), "1 entry");
        assert_eq!(share(3, 4), "3 of 4");
    }

    #[test]
    fn hashes_are_four_and_four_and_dids_keep_method_and_host() {
        assert_eq!(short("4c1e0000000090ab"), "4c1e…90ab");
        assert_eq!(short("short"), "short");
        assert_eq!(did("did:web:transport.gov.example#lic-2026"), "did:web:transport.gov.example#lic-2026");
        let key = "z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdT9fW";
        assert_eq!(did(&format!("did:key:{key}")), "did:key:z6Mk…T9fW");
        assert_eq!(did(&format!("did:key:{key}#{key}")), "did:key:z6Mk…T9fW#z6Mk…T9fW");
        assert_eq!(did("did:webvh:QmX7aaaaaab2Ka:transport.gov.example"), "did:webvh:QmX7…b2Ka:transport.gov.example");
        assert_eq!(did("did:jwk:eyJrdHkiOiJPS1AifQ#0"), "did:jwk:eyJr…AifQ#0");
    }

    #[test]
    fn a_look_alike_register_never_passes_for_another() {
        let (a, b) = ("transport.gov.example/register/8d3f000021ac", "transport.gov.example/register/9999000021ac");
        assert_eq!(register(a, [a, "interior.gov.example/register/9b21"]), "transport.gov.example");
        assert_eq!(register(a, [a, b]), "transport.gov.example/register/8d3f…21ac");
    }

    #[test]
    fn other_peoples_text_loses_control_and_bidi_characters() {
        assert_eq!(clean("a\x1b[31mb\u{202e}c\nd\u{9b}"), "a[31mbc d");
        assert_eq!(did("did:web:a\u{202e}b"), "did:web:ab");
    }
}

//! Points in time as POSIX seconds, and RFC 3339 text.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time in POSIX seconds, from 1970 to the end of the year 9999; shown as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// 1970-01-01T00:00:00Z.
    pub const START: Time = Time(0);
    /// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
    pub const END: Time = Time(253_402_300_799);

    /// Makes a time; `None` past the year 9999.
    pub fn from_secs(secs: u64) -> Option<Self> {
        (secs <= Self::END.0).then_some(Self(secs))
    }

    /// Makes a time, taking anything past the year 9999 as its last second.
    pub fn from_secs_saturating(secs: u64) -> Self {
        Self(secs.min(Self::END.0))
    }

    /// Returns POSIX seconds.
    pub fn secs(self) -> u64 {
        self.0
    }

    /// Returns the time `secs` later, at most the end of the year 9999.
    pub fn plus(self, secs: u64) -> Self {
        Self::from_secs_saturating(self.0.saturating_add(secs))
    }

    /// Returns the time `secs` earlier, at least 1970.
    pub fn minus(self, secs: u64) -> Self {
        Self(self.0.saturating_sub(secs))
    }

    /// Returns the seconds from `earlier` to this time, 0 when it is later.
    pub fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads an XML Schema `dateTimeStamp` as RFC 3339 writes it: `2026-11-20T14:28:00Z`, with an offset or a
    /// fraction. Fractions are cut; years before 1970 count as 1970.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        if !has_shape(text.as_bytes()) {
            return None;
        }
        let (local, rest) = text.split_at_checked(19)?;
        let local: DateTime = local.parse().ok()?;
        let secs = local.duration_since(epoch()).as_secs().checked_sub(offset_secs(rest)?)?;
        Self::from_secs(u64::try_from(secs).unwrap_or(0))
    }
}

/// 1970 as civil time: unlike jiff's `Timestamp`, that reaches to the end of the year 9999.
fn epoch() -> DateTime {
    date(1970, 1, 1).at(0, 0, 0, 0)
}

/// The seconds east of UTC that `[.fraction](Z|±hh:mm)` says.
fn offset_secs(rest: &str) -> Option<i64> {
    let Some((_, digits)) = rest.split_once(['+', '-']) else { return Some(0) };
    let (hours, minutes) = digits.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let secs = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
    Some(if rest.contains('-') { -secs } else { secs })
}

/// `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)`, nothing shorter, nothing after it.
fn has_shape(text: &[u8]) -> bool {
    let Some((head, mut rest)) = text.split_at_checked(19) else { return false };
    let fits =
        head.iter().zip(b"dddd-dd-ddTdd:dd:dd").all(|(b, p)| if *p == b'd' { b.is_ascii_digit() } else { b == p });
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return false;
        }
        rest = fraction.get(digits..).unwrap_or_default();
    }
    let zone = match rest {
        [b'Z'] => true,
        [b'+' | b'-', a, b, b':', c, d] => [a, b, c, d].iter().all(|x| x.is_ascii_digit()),
        _ => false,
    };
    fits && zone
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = i64::try_from(self.0).expect("a time ends with the year 9999");
        let civil = epoch().checked_add(SignedDuration::from_secs(secs)).expect("a time ends with the year 9999");
        write!(f, "{civil}Z")
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_rfc3339(&text).ok_or_else(|| de::Error::custom("expected a time such as 2026-11-20T14:28:00Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc_3339() {
        let time = Time::from_rfc3339("2026-11-20T14:28:00Z").expect("a time");
        assert_eq!(time.to_string(), "2026-11-20T14:28:00Z");
        assert_eq!(Time::from_rfc3339("2026-11-20T15:28:00.5+01:00"), Some(time));
        assert_eq!(Time::from_rfc3339("2026-11-20T09:58:00-04:30"), Some(time));
        assert_eq!(Time::from_rfc3339("1969-12-31T23:59:59Z"), Some(Time::START));
        assert_eq!(Time::END.to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Time::from_rfc3339("9999-12-31T23:59:59Z"), Some(Time::END));
        assert_eq!(Time::from_rfc3339("9999-12-31T23:59:59-00:01"), None);
    }

    #[test]
    fn refuses_what_is_not_a_date_time_stamp() {
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T14:28:00",
            "2026-11-20 14:28:00Z",
            "2026-13-20T14:28:00Z",
            "2026-11-20T14:28:00Z[UTC]",
            "2026-11-20T14:28Z",
            "99999-11-20T14:28:00Z",
            "2026-11-20t14:28:00z",
            "2026-11-20T14:28:00+24:00",
            "2026-02-29T14:28:00Z",
        ] {
            assert_eq!(Time::from_rfc3339(text), None, "{text}");
        }
    }
}

//! Values of options: times, spans, and registers with a size.

use std::str::FromStr;

use standfast_protocol::log::checkpoint::parse_decimal;
use standfast_protocol::time::Time;

/// A time as typed: `2026-11-20T14:28:00Z`, `2026-11-20`, or `-3h` before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A point in time.
    At(Time),
    /// So many seconds before now.
    Ago(u64),
}

impl When {
    /// Returns the point in time, reckoned from `now`.
    pub fn resolve(self, now: Time) -> Time {
        match self {
            Self::At(time) => time,
            Self::Ago(secs) => now.minus(secs),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(span) = text.strip_prefix('-').and_then(|rest| rest.parse::<Span>().ok()) {
            return Ok(Self::Ago(span.0));
        }
        let day = (text.len() == 10).then(|| Time::from_rfc3339(&format!("{text}T00:00:00Z"))).flatten();
        day.or_else(|| Time::from_rfc3339(text))
            .map(Self::At)
            .ok_or_else(|| "expected a time such as 2026-11-20T14:28:00Z, 2026-11-20 or -3h".to_owned())
    }
}

/// A span of time in seconds: `90s`, `15min`, `24h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub u64);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let cut = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(cut);
        let unit = match unit {
            "s" => Some(1),
            "min" => Some(60),
            "h" => Some(3600),
            "d" => Some(86_400),
            _ => None,
        };
        let count = parse_decimal(digits, u64::MAX);
        let secs = unit.zip(count).and_then(|(unit, count)| count.checked_mul(unit));
        secs.map(Self).ok_or_else(|| "expected a span such as 90s, 15min, 24h or 7d".to_owned())
    }
}

/// A register at a size: `transport.gov.example@55`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterAt {
    /// The register, by any unambiguous beginning of its origin.
    pub register: String,
    /// The size.
    pub size: u64,
}

impl FromStr for RegisterAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once('@').and_then(|(register, size)| {
            let size = parse_decimal(size, standfast_protocol::limits::TREE_SIZE_MAX)?;
            (!register.is_empty()).then(|| Self { register: register.to_owned(), size })
        });
        parts.ok_or_else(|| "expected a register and a size, such as transport.gov.example@55".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_points_days_or_spans_ago() {
        let now = Time::from_secs_saturating(1_790_000_000);
        assert_eq!("-3h".parse::<When>().map(|w| w.resolve(now)), Ok(now.minus(10_800)));
        let day = Time::from_rfc3339("2026-11-20T00:00:00Z").expect("a time");
        assert_eq!("2026-11-20".parse(), Ok(When::At(day)));
        assert_eq!("2026-11-20T00:00:00Z".parse(), Ok(When::At(day)));
        for text in ["", "-3", "3h", "20-11-2026", "2026-11-31", "2026-11-20T14:28", "--3h"] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
    }

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(
            ["90s", "15min", "24h", "7d"].map(|s| s.parse::<Span>()),
            [90, 900, 86_400, 604_800].map(|s| Ok(Span(s)))
        );
        for text in ["", "24", "h", "1.5h", "-1h", "24H", "18446744073709551615d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_register_at_a_size_has_both() {
        let at = RegisterAt { register: "a.example".to_owned(), size: 55 };
        assert_eq!("a.example@55".parse(), Ok(at));
        assert!(["a.example", "@5", "a.example@", "a.example@05"].iter().all(|t| t.parse::<RegisterAt>().is_err()));
    }
}

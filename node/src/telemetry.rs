//! What a node tells its operator: a word, then facts (cli.md §3 f).
//!
//! ```text
//! 14:02:11  start   standfast 0.1.0 · network 5e19…c0a4 · charter 3
//! 14:31:40  head    transport.gov.example 1,881 → 1,882
//! {"at":"2026-11-20T14:31:40Z","word":"head","register":"transport.gov.example/register/8d3f…","from":1881,"to":1882}
//! ```
//!
//! Elsewhere than on a terminal the time is whole, as RFC 3339 writes it. Others' text (reasons, names) loses control and
//! bidirectional characters before it is shown.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Mutex;

use serde_json::{Value, json};
use standfast_protocol::digest::Digest;
use standfast_protocol::sync::Notice;
use standfast_protocol::time::Time;

/// Characters of others' text that are shown.
const FOREIGN_TEXT_MAX: usize = 200;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For people at a terminal: the time of day.
    Terminal,
    /// For a file or another program that reads lines: the whole time.
    Lines,
    /// One JSON object a line.
    Json,
}

/// One thing worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Telling {
    /// The node starts.
    Start {
        /// The network.
        network: Digest,
        /// The version of the charter in force.
        charter: u64,
    },
    /// The store was replayed.
    Data {
        /// Registers held.
        registers: usize,
        /// Bytes of the journal.
        size_bytes: u64,
        /// How long it took.
        elapsed_ms: u64,
    },
    /// The journal is not whole, so nothing is signed.
    Unsound,
    /// The witness key of this node is none of the charter's.
    NoWitness {
        /// The local name of the key.
        key: String,
    },
    /// An address is listened on.
    Listen {
        /// The multiaddress.
        address: String,
    },
    /// The API is served.
    Api {
        /// Where.
        address: SocketAddr,
    },
    /// The witness's own listener is served.
    Door {
        /// Where.
        address: SocketAddr,
    },
    /// A peer is there.
    PeerCame {
        /// Its peer id.
        peer: String,
        /// What carries the connection.
        transport: &'static str,
    },
    /// A peer is gone.
    PeerWent {
        /// Its peer id.
        peer: String,
    },
    /// The network ended by itself and is started again.
    NetworkEnded {
        /// Seconds until then.
        again_s: u64,
    },
    /// What the machine says; for a quorum also the number of witnesses that the charter names.
    Notice(Notice, usize),
    /// The node has stopped.
    Stop {
        /// Groups of records that were handed to the writer and are not known to be durable.
        waiting: usize,
    },
}

impl Telling {
    /// Returns the word that stands first.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Data { .. } | Self::Unsound => "data",
            Self::NoWitness { .. } => "witness",
            Self::Listen { .. } => "listen",
            Self::Api { .. } => "api",
            Self::Door { .. } => "witness",
            Self::PeerCame { .. } | Self::PeerWent { .. } => "peer",
            Self::NetworkEnded { .. } => "network",
            Self::Stop { .. } => "stop",
            Self::Notice(notice, _) => match notice {
                Notice::Head { .. } => "head",
                Notice::Quorum { .. } => "quorum",
                Notice::Forked { .. } => "fork",
                Notice::WitnessMisbehaved { .. } | Notice::OwnStatements { .. } | Notice::WitnessReady { .. } => {
                    "witness"
                }
                Notice::Frozen { .. } => "frozen",
                Notice::Charter { .. } | Notice::CharterForked { .. } | Notice::WitnessesChanged { .. } => "charter",
                Notice::Refused { .. } => "refused",
                Notice::CaughtUp { .. } => "sync",
                Notice::NotDurable { .. } => "store",
            },
        }
    }

    /// Returns what follows the word.
    pub fn text(&self) -> String {
        match self {
            Self::Start { network, charter } => {
                let version = env!("CARGO_PKG_VERSION");
                format!("standfast {version} · network {} · charter {charter}", short(&network.to_string()))
            }
            Self::Data { registers, size_bytes, elapsed_ms } => {
                let secs = elapsed_ms.div_ceil(100);
                let registers = counted(*registers as u64, "register", "registers");
                format!("{registers} · {} · replayed and checked in {}.{} s", size(*size_bytes), secs / 10, secs % 10)
            }
            Self::Unsound => "! the journal is not whole: nothing is signed until it was looked at".to_owned(),
            Self::NoWitness { key } => format!("? key {key} is none of the charter's witnesses: nothing is cosigned"),
            Self::Listen { address } => address.clone(),
            Self::Api { address } if address.ip().is_loopback() => format!("http://{address}, this machine only"),
            Self::Api { address } => format!("http://{address}"),
            Self::Door { address } => format!("takes checkpoints at http://{address}/add-checkpoint"),
            Self::PeerCame { peer, transport } => format!("+ {} by {transport}", short(peer)),
            Self::PeerWent { peer } => format!("- {}", short(peer)),
            Self::NetworkEnded { again_s } => format!("! ended by itself; starts again in {again_s} s"),
            Self::Stop { waiting: 0 } => "journal synced · nothing acknowledged is waiting".to_owned(),
            Self::Stop { waiting } => {
                format!("! {} not known to be durable", counted(*waiting as u64, "group", "groups"))
            }
            Self::Notice(notice, witnesses) => notice_text(notice, *witnesses),
        }
    }

    /// Returns the facts as members of an object.
    pub fn facts(&self) -> Value {
        match self {
            Self::Start { network, charter } => {
                json!({"version": env!("CARGO_PKG_VERSION"), "network": network.to_string(), "charter": charter})
            }
            Self::Data { registers, size_bytes, elapsed_ms } => {
                json!({"registers": registers, "size_bytes": size_bytes, "elapsed_ms": elapsed_ms})
            }
            Self::Unsound => json!({"sound": false}),
            Self::NoWitness { key } => json!({"key": key, "named": false}),
            Self::Listen { address } => json!({"address": address}),
            Self::Api { address } | Self::Door { address } => json!({"url": format!("http://{address}")}),
            Self::PeerCame { peer, transport } => json!({"peer": peer, "transport": transport, "connected": true}),
            Self::PeerWent { peer } => json!({"peer": peer, "connected": false}),
            Self::NetworkEnded { again_s } => json!({"again_s": again_s}),
            Self::Stop { waiting } => json!({"waiting": waiting}),
            Self::Notice(notice, witnesses) => notice_facts(notice, *witnesses),
        }
    }

    /// Returns one line, without its line feed.
    pub fn line(&self, style: Style, at: Time) -> String {
        let at = at.to_string();
        match style {
            Style::Terminal => format!("{}  {:<7} {}", at.get(11..19).unwrap_or(&at), self.word(), self.text()),
            Style::Lines => format!("{at}  {:<7} {}", self.word(), self.text()),
            Style::Json => {
                let mut line = serde_json::Map::new();
                line.insert("at".to_owned(), Value::String(at));
                line.insert("word".to_owned(), Value::String(self.word().to_owned()));
                if let Value::Object(facts) = self.facts() {
                    line.extend(facts);
                }
                Value::Object(line).to_string()
            }
        }
    }
}

fn notice_text(notice: &Notice, witnesses_named: usize) -> String {
    match notice {
        Notice::Head { origin, from, to } => format!("{} {} → {}", host(origin), grouped(*from), grouped(*to)),
        Notice::Quorum { origin, size, witnesses } => {
            format!("{} {}: {witnesses} of {witnesses_named}", host(origin), grouped(*size))
        }
        Notice::Forked { origin, size } => {
            format!("! {}: two roots at size {}, proof kept", host(origin), grouped(*size))
        }
        Notice::WitnessMisbehaved { witness, origin } => {
            format!("! {} contradicted itself about {}, proof kept", foreign(witness), host(origin))
        }
        Notice::OwnStatements { witness, is_live: false } => {
            format!(
                "? peers hold statements of {} that this store lacks: nothing is signed below them",
                foreign(witness)
            )
        }
        Notice::OwnStatements { witness, is_live: true } => {
            format!("! another machine signs as {}: nothing is signed here", foreign(witness))
        }
        Notice::WitnessReady { witness } => format!("{} knows what it said before, and signs", foreign(witness)),
        Notice::Frozen { origin, size } => {
            format!("! {}: a wrong entry is signed after size {}, proof kept", host(origin), grouped(*size))
        }
        Notice::Charter { version } => format!("{version} is in force"),
        Notice::CharterForked { version, in_force } => {
            format!("! {version} is signed twice: {in_force} stays in force until one is pinned")
        }
        Notice::WitnessesChanged { version } => format!("{version}: its witnesses are in force"),
        Notice::Refused { peer, reason } => format!("{}: {}", short(peer), foreign(reason)),
        Notice::CaughtUp { peer, origin, entries, bytes } => format!(
            "caught up {} of {}: {} from {}",
            counted(*entries, "entry", "entries"),
            host(origin),
            size(*bytes as u64),
            short(peer)
        ),
        Notice::NotDurable { reason } => format!("! could not write: {}", foreign(reason)),
    }
}

fn notice_facts(notice: &Notice, witnesses_named: usize) -> Value {
    match notice {
        Notice::Head { origin, from, to } => json!({"register": origin, "from": from, "to": to}),
        Notice::Quorum { origin, size, witnesses } => {
            json!({"register": origin, "size": size, "witnesses": witnesses, "witnesses_named": witnesses_named})
        }
        Notice::Forked { origin, size } | Notice::Frozen { origin, size } => json!({"register": origin, "size": size}),
        Notice::WitnessMisbehaved { witness, origin } => json!({"witness": witness, "register": origin}),
        Notice::OwnStatements { witness, is_live } => json!({"witness": witness, "elsewhere": is_live}),
        Notice::WitnessReady { witness } => json!({"witness": witness, "ready": true}),
        Notice::Charter { version } | Notice::WitnessesChanged { version } => json!({"charter": version}),
        Notice::CharterForked { version, in_force } => json!({"charter": in_force, "forked": version}),
        Notice::Refused { peer, reason } => json!({"peer": &**peer, "reason": reason}),
        Notice::CaughtUp { peer, origin, entries, bytes } => {
            json!({"peer": &**peer, "register": origin, "entries": entries, "size_bytes": bytes})
        }
        Notice::NotDurable { reason } => json!({"reason": reason}),
    }
}

/// Where lines go.
pub struct Reporter {
    style: Style,
    sink: Mutex<Box<dyn io::Write + Send>>,
}

impl Reporter {
    /// Writes lines of one style.
    pub fn new(style: Style, sink: Box<dyn io::Write + Send>) -> Self {
        Self { style, sink: Mutex::new(sink) }
    }

    /// Tells nobody.
    pub fn silent() -> Self {
        Self::new(Style::Lines, Box::new(io::sink()))
    }

    /// Writes a line, and an event for `tracing`. A closed pipe stops no node.
    pub fn tell(&self, telling: &Telling, at: Time) {
        tracing::debug!(word = telling.word(), facts = %telling.facts(), "told");
        let mut sink = self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = writeln!(sink, "{}", telling.line(self.style, at)).and_then(|()| sink.flush());
    }
}

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A filter that is none.
    #[error("expected a filter such as info or standfast_node=debug, came {filter:?}")]
    Filter {
        /// What came.
        filter: String,
        /// Why it is none.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging has been set up before.
    #[error("logging has been set up before")]
    Twice,
}

/// Writes logs of this process to stderr, as lines or as an object a line. `filter` is in the syntax of `tracing`'s filters.
pub fn log_to_stderr(filter: &str, style: Style) -> Result<(), LogError> {
    let parsed = tracing_subscriber::EnvFilter::try_new(filter);
    let parsed = parsed.map_err(|source| LogError::Filter { filter: filter.to_owned(), source })?;
    let logger = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(io::stderr);
    let started = match style {
        Style::Json => logger.json().try_init(),
        Style::Terminal | Style::Lines => logger.with_ansi(false).try_init(),
    };
    started.map_err(|_| LogError::Twice)
}

/// The host of an origin, `transport.gov.example` of `transport.gov.example/register/8d3f…`.
fn host(origin: &str) -> &str {
    origin.split('/').next().unwrap_or(origin)
}

/// Four and four characters of a hash or peer id.
fn short(text: &str) -> String {
    let start = text.get(..4);
    let end = text.len().checked_sub(4).and_then(|at| text.get(at..));
    match (start, end) {
        (Some(start), Some(end)) if text.len() > 8 => format!("{start}…{end}"),
        _ => text.to_owned(),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `812 bytes`, `9.1 KiB`, `61 MiB`.
fn size(bytes: u64) -> String {
    let mut unit = 1u64 << 10;
    let mut name = "KiB";
    for larger in ["MiB", "GiB", "TiB"] {
        if bytes / unit < 1024 {
            break;
        }
        (unit, name) = (unit << 10, larger);
    }
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    match (bytes, tenths) {
        (0..1024, _) => counted(bytes, "byte", "bytes"),
        (_, 0..100) => format!("{}.{} {name}", tenths / 10, tenths % 10),
        _ => format!("{} {name}", tenths / 10),
    }
}

fn foreign(text: &str) -> String {
    let is_bidirectional =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| !c.is_control() && !is_bidirectional(*c)).take(FOREIGN_TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at() -> Time {
        Time::from_rfc3339("2026-11-20T14:02:11Z").unwrap()
    }

    #[test]
    fn shows_the_time_of_day_at_a_terminal_and_all_of_it_elsewhere() {
        let telling = Telling::Stop { waiting: 0 };
        let text = "stop    journal synced · nothing acknowledged is waiting";
        assert_eq!(telling.line(Style::Terminal, at()), format!("14:02:11  {text}"));
        assert_eq!(telling.line(Style::Lines, at()), format!("2026-11-20T14:02:11Z  {text}"));
        assert_eq!(telling.line(Style::Json, at()), r#"{"at":"2026-11-20T14:02:11Z","waiting":0,"word":"stop"}"#);
    }

    #[test]
    fn says_what_changed() {
        let origin = "transport.gov.example/register/8d3f".to_owned();
        let line = |notice| Telling::Notice(notice, 4).line(Style::Terminal, at());
        assert_eq!(
            line(Notice::Head { origin: origin.clone(), from: 1_881, to: 1_882 }),
            "14:02:11  head    transport.gov.example 1,881 → 1,882"
        );
        assert_eq!(
            line(Notice::Quorum { origin: origin.clone(), size: 1_882, witnesses: 3 }),
            "14:02:11  quorum  transport.gov.example 1,882: 3 of 4"
        );
        assert_eq!(
            line(Notice::CaughtUp { peer: "12D3KooWk7Qp".into(), origin, entries: 14, bytes: 9_321 }),
            "14:02:11  sync    caught up 14 entries of transport.gov.example: 9.1 KiB from 12D3…k7Qp"
        );
    }

    #[test]
    fn others_text_loses_what_could_move_the_cursor() {
        let notice = Notice::Refused { peer: "12D3KooWk7Qp".into(), reason: "a\u{1b}[2J\nb\u{202e}c".to_owned() };
        assert_eq!(Telling::Notice(notice, 1).text(), "12D3…k7Qp: a[2Jbc");
    }

    #[test]
    fn sizes_have_two_digits() {
        for (bytes, text) in [(1, "1 byte"), (1023, "1,023 bytes"), (9_321, "9.1 KiB"), (64_000_000, "61 MiB")] {
            assert_eq!(size(bytes), text);
        }
    }
}

//! Opens a journal: tells a torn tail, which a crash leaves, from damage, which it never leaves.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::Path,
    sync::{Arc, RwLock},
};

use super::{
    Files, Journal, JournalError, JournalOptions, JournalReader, Mark, SEGMENT_SIZE_MAX,
    frame::{self, CLOSE, FrameKind, HEADER_SIZE, Header, HeaderForm, Position},
    scan::{Scan, Step},
};
use crate::store::disk::{self, Disk, SyncPoint};

/// What opening a journal found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// There was no journal before.
    pub fresh: bool,
    /// The whole frames that are there.
    pub frames: u64,
    /// The torn tail that was cut.
    pub cut: Option<Cut>,
    /// What is damaged, by segment; reported again at each start.
    pub damage: Vec<Damage>,
    /// The end of what is durable.
    pub end: Mark,
}

/// A torn tail: the end of a group that was being written when the machine stopped, and that nobody was told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Where the last whole frame ends.
    pub position: Position,
    /// The bytes that were cut.
    pub length: u64,
}

/// A damaged segment; what is whole in it is still read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The number of the segment.
    pub segment: u64,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What can be wrong with a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// This segment, and `count - 1` after it, are not there.
    Missing {
        /// The segments that are missing.
        count: u64,
    },
    /// The header fails its checksum.
    Header,
    /// The header is that of another journal or another segment.
    Foreign,
    /// Bytes between or after the frames are no frames.
    Frames {
        /// The first such byte.
        first: u64,
        /// How many there are.
        length: u64,
    },
    /// It does not end as the header of the next one says.
    Ending {
        /// The bytes that the next header tells.
        expected: u64,
        /// The bytes that are there.
        found: u64,
    },
    /// It was quarantined before, and no flaw is seen now.
    Quarantined,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} of the journal ", self.segment)?;
        match self.flaw {
            Flaw::Missing { count: 1 } => write!(f, "is missing"),
            Flaw::Missing { count } => write!(f, "and the {} after it are missing", count.saturating_sub(1)),
            Flaw::Header => write!(f, "has a damaged header"),
            Flaw::Foreign => write!(f, "belongs to another journal or has another number"),
            Flaw::Frames { first, length } => write!(f, "has {length} damaged bytes, the first at {first}"),
            Flaw::Ending { expected, found } => write!(f, "should end at byte {expected} and ends at {found}"),
            Flaw::Quarantined => write!(f, "is quarantined"),
        }
    }
}

/// Returns the file name of a segment.
pub(super) fn file_name(number: u64, damaged: bool) -> String {
    format!("{number:08}.seg{}", if damaged { ".damaged" } else { "" })
}

fn number_of(name: &str) -> Option<(u64, bool)> {
    let digits = name.strip_suffix(".damaged").unwrap_or(name).strip_suffix(".seg")?;
    let number = u64::from(digits.parse::<u32>().ok()?);
    let damaged = name.ends_with(".damaged");
    (number > 0 && file_name(number, damaged) == name).then_some((number, damaged))
}

/// What a walk over one segment found.
struct Survey {
    frames: u64,
    /// The end, and the chain value, of the frames before the first flaw.
    whole: u64,
    chain: u32,
    frames_before_flaw: u64,
    closed: bool,
    bad: Option<(u64, u64)>,
    /// No group was written after the one that holds the first flaw.
    torn: bool,
}

/// What becomes of the last segment.
enum Last {
    None,
    Grows {
        cut: Option<Cut>,
        chain: u32,
        closed: bool,
    },
    /// The machine stopped before its header was durable.
    Begun {
        header: Header,
    },
    Quarantined {
        size: u64,
    },
}

/// Opens or begins the journal in `directory`.
pub(super) fn open<D: Disk>(
    disk: D,
    directory: &Path,
    options: JournalOptions,
) -> Result<(Journal<D>, Recovered), JournalError> {
    let failed = |action| JournalError::disk(action, directory);
    disk::create_journal_directory(&disk, directory).map_err(failed("create"))?;
    let mut segments = BTreeMap::new();
    for (number, damaged) in disk.list(directory).map_err(failed("list"))?.iter().filter_map(|name| number_of(name)) {
        // Someone put a good copy beside the quarantined one: the good one counts.
        segments.entry(number).and_modify(|known| *known &= damaged).or_insert(damaged);
    }
    let files = Files { segments, end: Position { segment: 0, offset: 0 } };
    let mut reader =
        JournalReader { disk, directory: Arc::from(directory), id: options.id, files: Arc::new(RwLock::new(files)) };
    let headers = read_headers(&reader)?;
    if let Some(id) = headers.values().find_map(|(header, _)| header.map(|header| header.id)) {
        reader.id = id;
    }
    let fresh = headers.is_empty();
    let mut judged = judge(&reader, &headers)?;
    quarantine(&reader, &mut judged)?;
    let journal = resume(reader, options.segment_size.min(SEGMENT_SIZE_MAX), &judged)?;
    let cut = match judged.last {
        Last::Grows { cut, .. } => cut,
        Last::None | Last::Begun { .. } | Last::Quarantined { .. } => None,
    };
    let recovered = Recovered { fresh, frames: judged.frames, cut, damage: judged.damage, end: journal.mark() };
    Ok((journal, recovered))
}

type Headers = BTreeMap<u64, (Option<Header>, u64)>;

/// Reads all headers, and the sizes of the files.
fn read_headers<D: Disk>(reader: &JournalReader<D>) -> Result<Headers, JournalError> {
    let numbers = reader.read_files().segments.keys().copied().collect::<Vec<_>>();
    let mut headers = BTreeMap::new();
    for number in numbers {
        let path = reader.path(number);
        let form = reader.header(number).map_err(JournalError::disk("read", &path))?;
        let size = reader.disk.size(&path).map_err(JournalError::disk("read", &path))?;
        let header = match form {
            HeaderForm::Intact(header) => Some(header),
            HeaderForm::Broken => None,
            HeaderForm::Newer => return Err(JournalError::UpgradeNeeded { segment: number }),
        };
        headers.insert(number, (header, size));
    }
    Ok(headers)
}

struct Judged {
    frames: u64,
    damage: Vec<Damage>,
    last: Last,
    last_number: u64,
}

/// Walks over all segments and decides about each.
fn judge<D: Disk>(reader: &JournalReader<D>, headers: &Headers) -> Result<Judged, JournalError> {
    let mut judged = Judged { frames: 0, damage: Vec::new(), last: Last::None, last_number: 0 };
    let last_number = headers.keys().next_back().copied().unwrap_or(0);
    // Length and chain of the segment before, if it is whole.
    let mut before: Option<(u64, u32)> = Some((0, 0));
    for (&number, &(header, size)) in headers {
        let expected = judged.last_number.saturating_add(1);
        if number > expected {
            judged.damage.push(Damage { segment: expected, flaw: Flaw::Missing { count: number - expected } });
            before = None;
        }
        let previous = judged.last_number;
        judged.last_number = number;
        let last = number == last_number;
        let quarantined = reader.read_files().segments.get(&number).copied().unwrap_or(false);
        if header.is_none() && last && !quarantined && size <= HEADER_SIZE {
            let (previous_length, previous_chain) = before.unwrap_or_default();
            judged.last = Last::Begun { header: Header { id: reader.id, number, previous_length, previous_chain } };
            continue;
        }
        let survey = survey(reader, number, header.map_or(0, |header| header.chain()))?;
        let own = header.is_some_and(|header| header.id == reader.id && header.number == number);
        if let (true, Some(header), Some((length, chain))) = (own, header, before)
            && (header.previous_length, header.previous_chain) != (length, chain)
        {
            let flaw = Flaw::Ending { expected: header.previous_length, found: length };
            judged.damage.push(Damage { segment: previous.max(1), flaw });
        }
        let flaw = match (header, survey.bad) {
            (None, _) => Some(Flaw::Header),
            (Some(_), _) if !own => Some(Flaw::Foreign),
            (Some(_), Some(_)) if last && survey.torn && !quarantined => None,
            (Some(_), Some((first, length))) => Some(Flaw::Frames { first, length }),
            (Some(_), None) => quarantined.then_some(Flaw::Quarantined),
        };
        before = flaw.is_none().then_some((size, survey.chain));
        if let Some(flaw) = flaw {
            judged.frames = judged.frames.saturating_add(survey.frames);
            judged.damage.push(Damage { segment: number, flaw });
            judged.last = Last::Quarantined { size };
        } else {
            judged.frames = judged.frames.saturating_add(survey.frames_before_flaw);
            let position = Position { segment: number, offset: survey.whole };
            let cut = survey.bad.map(|_| Cut { position, length: size.saturating_sub(survey.whole) });
            judged.last = Last::Grows { cut, chain: survey.chain, closed: survey.closed };
            reader.write_files().end = position;
        }
    }
    Ok(judged)
}

/// Walks over one segment.
fn survey<D: Disk>(reader: &JournalReader<D>, number: u64, chain: u32) -> Result<Survey, JournalError> {
    let path = reader.path(number);
    let start = Position { segment: number, offset: HEADER_SIZE };
    let mut survey =
        Survey { frames: 0, whole: HEADER_SIZE, chain, frames_before_flaw: 0, closed: false, bad: None, torn: true };
    let walk = |survey: &mut Survey| -> io::Result<Option<u8>> {
        let mut scan = Scan::new(reader.disk.clone(), path.clone(), reader.id, start)?;
        while let Some(step) = scan.step()? {
            match step {
                Step::Frame(found) => {
                    if found.kind != CLOSE && FrameKind::from_code(found.kind).is_none() {
                        return Ok(Some(found.kind));
                    }
                    if found.kind != CLOSE {
                        survey.frames = survey.frames.saturating_add(1);
                    }
                    match survey.bad {
                        // A later group exists, so this one's sync had returned: the flaw came afterwards.
                        Some((first, _)) => survey.torn &= found.group <= first,
                        None => {
                            survey.whole = found.next;
                            survey.chain = frame::chain(survey.chain, found.checksum);
                            survey.frames_before_flaw = survey.frames;
                            survey.closed = found.kind == CLOSE;
                        }
                    }
                }
                Step::Bad { offset, length } => {
                    let (first, sum) = survey.bad.unwrap_or((offset, 0));
                    survey.bad = Some((first, sum.saturating_add(length)));
                }
            }
        }
        Ok(None)
    };
    match walk(&mut survey).map_err(JournalError::disk("read", &path))? {
        Some(_) => Err(JournalError::UpgradeNeeded { segment: number }),
        None => Ok(survey),
    }
}

/// Renames damaged segments aside. They stay readable under the new name, and no later start takes them for whole.
fn quarantine<D: Disk>(reader: &JournalReader<D>, judged: &mut Judged) -> Result<(), JournalError> {
    for damage in &judged.damage {
        let from = reader.path(damage.segment);
        let held = reader.read_files().segments.get(&damage.segment).copied();
        if held == Some(false) {
            let to = reader.directory.join(file_name(damage.segment, true));
            reader.disk.rename(&from, &to).map_err(JournalError::disk("rename", &from))?;
            reader.write_files().segments.insert(damage.segment, true);
        }
    }
    Ok(())
}

/// Makes what was found durable, so that nobody acts on what could still be lost, and opens the segment that grows.
fn resume<D: Disk>(reader: JournalReader<D>, segment_size: u64, judged: &Judged) -> Result<Journal<D>, JournalError> {
    let number = judged.last_number;
    let path = reader.path(number);
    let next = |previous_length| {
        let number = number.saturating_add(1);
        Header { id: reader.id, number, previous_length, previous_chain: 0 }
    };
    let disk = &reader.disk;
    let mut closed = false;
    let (file, end, chain) = match judged.last {
        Last::Grows { cut, chain, closed: was_closed } => {
            let mut file = disk.open(&path).map_err(JournalError::disk("open", &path))?;
            if let Some(cut) = cut {
                let truncated = disk.truncate(&mut file, cut.position.offset);
                truncated.map_err(JournalError::disk("cut", &path))?;
            }
            disk.sync(&mut file, SyncPoint::RecoveredData).map_err(JournalError::disk("sync", &path))?;
            closed = was_closed;
            (file, reader.end(), chain)
        }
        Last::Begun { header } => {
            let mut file = disk.open(&path).map_err(JournalError::disk("open", &path))?;
            disk.truncate(&mut file, 0).map_err(JournalError::disk("cut", &path))?;
            reader.write_header(&mut file, &header)?;
            (file, Position { segment: number, offset: HEADER_SIZE }, header.chain())
        }
        Last::None | Last::Quarantined { .. } => {
            let size = if let Last::Quarantined { size } = judged.last { size } else { 0 };
            let header = next(size);
            let file = reader.create_segment(&header)?;
            (file, Position { segment: header.number, offset: HEADER_SIZE }, header.chain())
        }
    };
    let synced = disk.sync_directory(&reader.directory, SyncPoint::RecoveredDirectory);
    synced.map_err(JournalError::disk("sync", &reader.directory))?;
    reader.write_files().end = end;
    Ok(Journal {
        reader,
        file,
        segment_size,
        end,
        chain,
        pending: Vec::new(),
        pending_chain: chain,
        suspect: false,
        rolling: false,
        closed,
    })
}

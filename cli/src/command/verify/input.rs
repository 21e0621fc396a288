//! What to verify: files, directories, stdin, one credential a line.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use standfast_protocol::limits::CREDENTIAL_SIZE_MAX;

use crate::error::{CliError, CliResult};

/// Folders below a folder that are looked into.
const DEPTH_MAX: usize = 16;

/// One thing to judge, or why it could not be read.
pub(super) struct Input {
    /// How the verdict names it.
    pub source: String,
    /// Its bytes.
    pub bytes: Result<Vec<u8>, CliError>,
}

/// Where inputs come from, in order.
enum Place {
    File(PathBuf),
    Lines(String, Box<dyn BufRead>, u64),
    /// It is known already.
    Ready(Box<Input>),
}

/// All inputs, read when they are asked for.
pub(super) struct Inputs {
    places: std::vec::IntoIter<Place>,
    open: Option<Place>,
    /// Whether there is exactly one thing to judge, which gets a card.
    pub single: bool,
}

impl Inputs {
    /// Finds what the arguments name; a folder means its files, by name.
    pub(super) fn find(paths: &[PathBuf], lines: bool) -> CliResult<Self> {
        if paths.is_empty() && !io::stdin().is_terminal() {
            return Err(CliError::usage("there is nothing to verify")
                .hint("name a file: standfast verify licence.jwt")
                .hint("or read stdin: standfast verify - < licence.jwt"));
        }
        let mut places = Vec::new();
        let mut folder = false;
        if paths.is_empty() {
            places.push(Place::Ready(Box::new(paste()?)));
        }
        for path in paths {
            if path != Path::new("-") && path.is_dir() {
                folder = true;
                let mut files = Vec::new();
                list(path, 0, &mut files).map_err(|e| CliError::file(path, &e))?;
                places.extend(files.into_iter().map(Place::File));
            } else {
                places.push(Place::File(path.clone()));
            }
        }
        if places.is_empty() {
            return Err(CliError::usage("there is no file to verify").cause("the folder is empty"));
        }
        let single = places.len() == 1 && !folder && !lines;
        let places = if lines { places.into_iter().map(by_lines).collect() } else { places };
        Ok(Self { places: places.into_iter(), open: None, single })
    }
}

impl Iterator for Inputs {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        loop {
            match self.open.take().or_else(|| self.places.next())? {
                Place::File(path) => return Some(read(&path)),
                Place::Ready(input) => return Some(*input),
                Place::Lines(name, mut reader, number) => {
                    let number = number + 1;
                    match next_line(&mut reader) {
                        Ok(None) => {}
                        Ok(Some(line)) if line.trim_ascii().is_empty() => {
                            self.open = Some(Place::Lines(name, reader, number));
                        }
                        Ok(Some(line)) => {
                            let source = format!("{name}:{number}");
                            self.open = Some(Place::Lines(name, reader, number));
                            return Some(Input { source, bytes: Ok(line) });
                        }
                        Err(e) => {
                            let bytes = Err(CliError::file(Path::new(&name), &e));
                            return Some(Input { source: format!("{name}:{number}"), bytes });
                        }
                    }
                }
            }
        }
    }
}

fn by_lines(place: Place) -> Place {
    let Place::File(path) = place else { return place };
    let name = path.to_string_lossy().into_owned();
    if path == Path::new("-") {
        return Place::Lines(name, Box::new(BufReader::new(io::stdin())), 0);
    }
    match File::open(&path) {
        Ok(file) => Place::Lines(name, Box::new(BufReader::new(file)), 0),
        Err(e) => Place::Ready(Box::new(Input { bytes: Err(CliError::file(&path, &e)), source: name })),
    }
}

/// Reads a line of at most a credential's size; of a longer one the rest is skipped, and what is kept is too long.
fn next_line(reader: &mut dyn BufRead) -> io::Result<Option<Vec<u8>>> {
    let max = CREDENTIAL_SIZE_MAX as u64 + 2;
    let mut line = Vec::new();
    if reader.take(max).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == max && line.last() != Some(&b'\n') {
        reader.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

fn read(path: &Path) -> Input {
    let source = path.to_string_lossy().into_owned();
    // One byte over the limit is enough to be refused as malformed, which is a verdict.
    let max = CREDENTIAL_SIZE_MAX as u64 + 1;
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().take(max).read_to_end(&mut bytes).map(|_| bytes).map_err(CliError::from)
    } else {
        let opened = File::open(path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(max).read_to_end(&mut bytes).map(|_| bytes)
        });
        opened.map_err(|e| CliError::file(path, &e))
    };
    Input { source, bytes }
}

/// Lists the files below a folder by name; names that begin with a dot, and links to folders, are left out.
fn list(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(dir)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() && depth < DEPTH_MAX {
            list(&entry.path(), depth + 1, files)?;
        } else if kind.is_file() || kind.is_symlink() && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Asks to paste a credential: up to an empty line, or the end of the input.
fn paste() -> CliResult<Input> {
    use std::io::Write as _;
    writeln!(io::stderr().lock(), "Paste a credential, then an empty line:")?;
    let mut bytes = Vec::new();
    let mut reader = io::stdin().lock();
    while let Some(line) = next_line(&mut reader)? {
        if line.trim_ascii().is_empty() && !bytes.is_empty() || bytes.len() > CREDENTIAL_SIZE_MAX {
            break;
        }
        bytes.extend_from_slice(&line);
    }
    Ok(Input { source: "-".to_owned(), bytes: Ok(bytes) })
}

//! RDF Dataset Canonicalization 1.0 (RDFC-1.0 with SHA-256), with a bound on the work.
//!
//! ```text
//! _:c14n0 <https://www.w3.org/2018/credentials#issuer> <did:web:transport.gov.example> .
//! ```
//!
//! Blank nodes that their own statements tell apart are labelled by one hash each. Those that look alike need RDFC-1.0's
//! search, whose work grows without bound: eight that are all linked, or a ring of five hundred, cost other libraries
//! seconds, even with a limit on permutations. Here every step is counted, and beyond the limit the answer is `None`.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::data_integrity::write_escaped;
use crate::limits::{RDF_DEPTH_MAX, RDF_STEPS_MAX};

/// The namespace of XML Schema's datatypes.
pub(crate) const XSD: &str = "http://www.w3.org/2001/XMLSchema#";

/// An RDF term; blank nodes are numbered as they are met.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Term {
    Iri(String),
    Blank(usize),
    Typed(String, String),
    Tagged(String, String),
}

impl Term {
    fn write(&self, out: &mut String, label: impl Fn(usize) -> String) {
        let quoted = |text: &str, out: &mut String| {
            out.push('"');
            write_escaped(text, out);
            out.push('"');
        };
        match self {
            Self::Iri(iri) => out.extend(["<", iri, ">"]),
            Self::Blank(blank) => out.push_str(&label(*blank)),
            Self::Typed(text, datatype) => {
                quoted(text, out);
                if datatype.strip_prefix(XSD) != Some("string") {
                    out.extend(["^^<", datatype, ">"]);
                }
            }
            Self::Tagged(text, tag) => {
                quoted(text, out);
                out.extend(["@", tag]);
            }
        }
    }
}

/// Subject, predicate, object. Named graphs do not occur in a credential without its proof.
pub(crate) type Quad = (Term, String, Term);

/// Returns the canonical N-Quads (RDFC-1.0 §4.4), or `None` when that would be too much work.
pub(crate) fn canonicalize(quads: &BTreeSet<Quad>) -> Option<String> {
    let labels = label(quads)?;
    let name = |blank: usize| labels.get(&blank).map_or_else(String::new, |label| format!("_:c14n{label}"));
    let mut lines: Vec<String> = quads.iter().map(|quad| line(quad, name)).collect();
    lines.sort_unstable();
    Some(lines.concat())
}

fn line((subject, predicate, object): &Quad, name: impl Fn(usize) -> String + Copy) -> String {
    let mut out = String::with_capacity(128);
    subject.write(&mut out, name);
    out.extend([" <", predicate, "> "]);
    object.write(&mut out, name);
    out.push_str(" .\n");
    out
}

/// Hands out labels in the order of asking (RDFC-1.0 §4.5).
#[derive(Debug, Clone, Default)]
struct Issuer {
    labels: BTreeMap<usize, usize>,
    order: Vec<usize>,
}

impl Issuer {
    fn issue(&mut self, blank: usize) -> usize {
        let next = self.order.len();
        *self.labels.entry(blank).or_insert_with(|| {
            self.order.push(blank);
            next
        })
    }
}

type Hash = [u8; 32];

fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// Returns the canonical number of each blank node.
fn label(quads: &BTreeSet<Quad>) -> Option<BTreeMap<usize, usize>> {
    let mut about: BTreeMap<usize, Vec<&Quad>> = BTreeMap::new();
    for quad in quads {
        let blanks = [&quad.0, &quad.2].map(|term| if let Term::Blank(blank) = term { Some(*blank) } else { None });
        for blank in blanks.into_iter().flatten().collect::<BTreeSet<_>>() {
            about.entry(blank).or_default().push(quad);
        }
    }
    // §4.6: the hash of a node's own statements, itself as `a` and all others as `z`.
    let mut alike: BTreeMap<Hash, Vec<usize>> = BTreeMap::new();
    let mut first = BTreeMap::new();
    for (blank, quads) in &about {
        let name = |other: usize| if other == *blank { "_:a".to_owned() } else { "_:z".to_owned() };
        let mut lines: Vec<String> = quads.iter().map(|quad| line(quad, name)).collect();
        lines.sort_unstable();
        let hash = hash(&lines.concat());
        alike.entry(hash).or_default().push(*blank);
        first.insert(*blank, hash);
    }
    let mut canonical = Issuer::default();
    for blanks in alike.values() {
        if let [blank] = blanks.as_slice() {
            canonical.issue(*blank);
        }
    }
    let mut search = Search { about, first, canonical, steps: 0 };
    for blanks in alike.into_values().filter(|blanks| blanks.len() > 1) {
        let mut paths = Vec::with_capacity(blanks.len());
        for blank in blanks {
            if search.canonical.labels.contains_key(&blank) {
                continue;
            }
            let mut issuer = Issuer::default();
            issuer.issue(blank);
            paths.push(search.hash_n_degree(blank, issuer, 0)?);
        }
        paths.sort_by_key(|(hash, _)| *hash);
        for (_, issuer) in paths {
            for blank in issuer.order {
                search.canonical.issue(blank);
            }
        }
    }
    Some(search.canonical.labels)
}

struct Search<'q> {
    about: BTreeMap<usize, Vec<&'q Quad>>,
    first: BTreeMap<usize, Hash>,
    canonical: Issuer,
    steps: usize,
}

impl Search<'_> {
    fn step(&mut self) -> Option<()> {
        self.steps += 1;
        (self.steps <= RDF_STEPS_MAX).then_some(())
    }

    /// §4.7: the hash of a node as seen from another one.
    fn hash_related(&self, related: usize, predicate: &str, position: &str, issuer: &Issuer) -> Hash {
        let label = match (self.canonical.labels.get(&related), issuer.labels.get(&related)) {
            (Some(label), _) => format!("_:c14n{label}"),
            (None, Some(label)) => format!("_:b{label}"),
            (None, None) => self.first.get(&related).map(|hash| HEXLOWER.encode(hash)).unwrap_or_default(),
        };
        hash(&format!("{position}<{predicate}>{label}"))
    }

    /// §4.8: the hash of a node by the paths that lead away from it.
    fn hash_n_degree(&mut self, blank: usize, mut issuer: Issuer, depth: usize) -> Option<(Hash, Issuer)> {
        if depth > RDF_DEPTH_MAX {
            return None;
        }
        let mut groups: BTreeMap<Hash, Vec<usize>> = BTreeMap::new();
        for (subject, predicate, object) in self.about.get(&blank)?.clone() {
            for (term, position) in [(subject, "s"), (object, "o")] {
                if let Term::Blank(related) = term
                    && *related != blank
                {
                    self.step()?;
                    let hash = self.hash_related(*related, predicate, position, &issuer);
                    groups.entry(hash).or_default().push(*related);
                }
            }
        }
        let mut data = String::new();
        for (hash, mut group) in groups {
            data.push_str(&HEXLOWER.encode(&hash));
            group.sort_unstable();
            let mut chosen: Option<(String, Issuer)> = None;
            loop {
                if let Some(better) =
                    self.path(&group, &issuer, chosen.as_ref().map(|(path, _)| path.as_str()), depth)?
                {
                    chosen = Some(better);
                }
                if !next_permutation(&mut group) {
                    break;
                }
            }
            let (path, next) = chosen?;
            data.push_str(&path);
            issuer = next;
        }
        Some((self::hash(&data), issuer))
    }

    /// Follows one order of alike nodes; `Some(None)` when its path is not below the chosen one, `None` when the work is
    /// too much.
    fn path(
        &mut self,
        group: &[usize],
        issuer: &Issuer,
        chosen: Option<&str>,
        depth: usize,
    ) -> Option<Option<(String, Issuer)>> {
        let mut issuer = issuer.clone();
        let mut path = String::new();
        let mut unvisited = Vec::new();
        let loses = |path: &str| chosen.is_some_and(|chosen| path.len() >= chosen.len() && path > chosen);
        for related in group {
            self.step()?;
            if let Some(label) = self.canonical.labels.get(related) {
                path.push_str(&format!("_:c14n{label}"));
            } else {
                if !issuer.labels.contains_key(related) {
                    unvisited.push(*related);
                }
                path.push_str(&format!("_:b{}", issuer.issue(*related)));
            }
            if loses(&path) {
                return Some(None);
            }
        }
        for related in unvisited {
            self.step()?;
            let (hash, next) = self.hash_n_degree(related, issuer.clone(), depth + 1)?;
            path.push_str(&format!("_:b{}<{}>", issuer.issue(related), HEXLOWER.encode(&hash)));
            issuer = next;
            if loses(&path) {
                return Some(None);
            }
        }
        Some(if chosen.is_none_or(|chosen| path.as_str() < chosen) { Some((path, issuer)) } else { None })
    }
}

/// Steps to the next order of numbers; false after the last.
fn next_permutation(order: &mut [usize]) -> bool {
    let Some(pivot) = order.windows(2).rposition(|pair| matches!(pair, [a, b] if a < b)) else { return false };
    let (head, tail) = order.split_at_mut(pivot + 1);
    if let Some(pivot) = head.last_mut()
        && let Some(larger) = tail.iter_mut().rfind(|value| **value > *pivot)
    {
        std::mem::swap(pivot, larger);
    }
    tail.reverse();
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    /// A small generator of numbers, so that a failure can be repeated.
    fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        }
    }

    fn graph(seed: u64) -> BTreeSet<Quad> {
        let mut number = numbers(seed);
        let nodes = 2 + number(4);
        let blank = |n: u64| Term::Blank(usize::try_from(n).expect("small"));
        let edges = 1 + number(8);
        let mut quads = BTreeSet::new();
        for _ in 0..edges {
            let predicate = format!("urn:p{}", number(2));
            let object = match number(6) {
                0 => Term::Typed(format!("\u{1}{}", number(2)), format!("{XSD}string")),
                1 => Term::Iri("urn:i".to_owned()),
                _ => blank(number(nodes)),
            };
            let subject = if number(8) == 0 { Term::Iri("urn:s".to_owned()) } else { blank(number(nodes)) };
            // No statement about a node and itself: one of the two other implementations counts it twice.
            if subject != object {
                quads.insert((subject, predicate, object));
            }
        }
        quads
    }

    /// The digest over the canonical forms of 2,999 graphs, on every one of which npm `rdf-canonize` 5.0.0 and
    /// `sophia_c14n` 0.10.0 agreed with this implementation. (Neither is built with the tests: that would compile crates
    /// that the program does not have.)
    #[test]
    fn agrees_with_two_other_implementations() {
        let forms: Vec<String> = (1..3000).filter_map(|seed| canonicalize(&graph(seed))).collect();
        assert_eq!(forms.len(), 2999);
        let digest = Digest::of(forms.concat().as_bytes());
        assert_eq!(digest.to_string(), "d2bde15c6b89954b9d1a9b700573b642ce0474c73189930c233d02b8f0f537a7");
    }

    #[test]
    fn gives_isomorphic_graphs_one_form() {
        for seed in 1..500 {
            let quads = graph(seed);
            let renamed = |term: &Term| if let Term::Blank(n) = term { Term::Blank(99 - n) } else { term.clone() };
            let other = quads.iter().map(|(s, p, o)| (renamed(s), p.clone(), renamed(o))).collect();
            assert_eq!(canonicalize(&quads), canonicalize(&other), "seed {seed}");
        }
    }

    #[test]
    fn bounds_the_work_on_regular_graphs() {
        // A torus: all nodes alike, four neighbours each, so that a search without a bound does not end.
        let mut quads = BTreeSet::new();
        for x in 0..8 {
            for y in 0..8 {
                for (dx, dy) in [(1, 0), (0, 1)] {
                    let other = (x + dx) % 8 * 8 + (y + dy) % 8;
                    quads.insert((Term::Blank(x * 8 + y), "urn:p".to_owned(), Term::Blank(other)));
                }
            }
        }
        assert_eq!(canonicalize(&quads), None);
    }
}

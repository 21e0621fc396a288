//! JSON-LD 1.1 expansion and RDF Dataset Canonicalization 1.0, with everything foreign bounded.
//!
//! ```text
//! _:c14n0 <https://www.w3.org/2018/credentials#issuer> <did:web:transport.gov.example> .
//! ```
//!
//! `ssi-json-ld` expands; the statements are made here from the expanded tree, because what an RDF library drops
//! (an invalid identifier becomes a blank node, `@index` and `@direction` vanish) would be unsigned. `rdfc` makes them
//! canonical. Anything that the signature would not cover is an error.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use futures::FutureExt as _;
use ssi_json_ld::context_processing::{Options as ProcessingOptions, Process as _};
use ssi_json_ld::expansion::{Action, Options, Policy};
use ssi_json_ld::object::Literal;
use ssi_json_ld::rdf_types::BlankIdBuf;
use ssi_json_ld::syntax::{self, Print as _, TryFromJson as _};
use ssi_json_ld::{
    Expand as _, Id, IndexedObject, IriBuf, NoLoader, Node, Object as LdObject, Term as LdTerm, ValidId,
};

use super::claims::{decodes_to_utf8, is_iri, shortened};
use super::contexts::{ContextError, Document};
use super::jcs;
use super::json::{Json, Object};
use super::rdfc::{Quad, Term, XSD, canonicalize};
use crate::limits::{CONTEXT_SIZE_MAX, CONTEXTS_PROCESSED_MAX, RDF_NODES_MAX, RDF_QUADS_MAX};

/// A processed list of contexts.
pub(crate) type Active = ssi_json_ld::Context<IriBuf, BlankIdBuf>;
/// A parsed context document.
pub(crate) type Parsed = syntax::context::Context;

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

fn unsigned(reason: impl Into<std::borrow::Cow<'static, str>>) -> ContextError {
    ContextError::Unsigned { reason: reason.into() }
}

/// Processed lists of contexts, each processed once.
#[derive(Default)]
pub(crate) struct Cache(RwLock<HashMap<Vec<String>, Arc<Active>>>);

impl Cache {
    /// Returns the processed form of contexts that are all held.
    pub(crate) fn get_or_process(
        &self,
        names: &[String],
        documents: &BTreeMap<String, Document>,
    ) -> Result<Arc<Active>, ContextError> {
        // The map holds only finished values, so that a panic elsewhere cannot have left it wrong.
        if let Some(active) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(names) {
            return Ok(Arc::clone(active));
        }
        let active = Arc::new(process(names, documents)?);
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < CONTEXTS_PROCESSED_MAX {
            kept.insert(names.to_vec(), Arc::clone(&active));
        }
        Ok(active)
    }
}

/// Processes contexts in order, each as a remote one: without a base, on its own.
fn process(names: &[String], documents: &BTreeMap<String, Document>) -> Result<Active, ContextError> {
    let mut active = Active::new(None);
    for url in names {
        let document = documents.get(url).ok_or_else(|| ContextError::Missing { url: url.clone() })?;
        let unusable = |reason: String| ContextError::Unusable { url: url.clone(), reason };
        let parsed = document.parsed.get_or_init(|| parse(document));
        let parsed = parsed.as_ref().map_err(|reason| unusable(reason.clone()))?;
        active = guarded(|| {
            let options = ProcessingOptions::default();
            parsed
                .process_full(&mut (), &active, &NoLoader, None, options, ())
                .now_or_never()
                .map(|done| done.map(|processed| processed.into_processed()).map_err(|error| error.to_string()))
        })
        .unwrap_or_else(|| Err("the JSON-LD processor failed".to_owned()))
        .map_err(unusable)?;
    }
    Ok(active)
}

/// Runs foreign code that should not panic, and does not trust that it will not.
fn guarded<T>(run: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok().flatten()
}

fn parse(document: &Document) -> Result<Parsed, String> {
    if document.bytes.len() > CONTEXT_SIZE_MAX {
        return Err(format!("more than {CONTEXT_SIZE_MAX} bytes"));
    }
    let json = Json::parse(&document.bytes).map_err(|error| error.to_string())?;
    let context = json.get("@context").ok_or("expected an object with an @context")?;
    if !document.is_builtin {
        for part in context.one_or_many() {
            check_definition(part)?;
        }
    }
    let value = guarded(|| Some(to_syntax(context))).ok_or("the JSON-LD processor failed")?;
    Parsed::try_from_json(value).map_err(|_| "not a JSON-LD context".to_owned())
}

/// Checks a context of a register: nothing that lets a member of a credential vanish, or that names another document.
fn check_definition(definition: &Json) -> Result<(), String> {
    let definition = definition.as_object().ok_or("expected a context that is an object and names no other one")?;
    for (term, value) in definition.iter() {
        let fits = match term {
            "@version" => value.to_string() == "1.1",
            "@protected" => value.as_bool().is_some(),
            "@vocab" => value.as_str().is_some_and(is_iri),
            "@language" => value.as_str().is_some(),
            _ if term.starts_with('@') || term.is_empty() || !decodes_to_utf8(term) => false,
            _ => {
                check_term(value).map_err(|reason| format!("{}: {reason}", shortened(term)))?;
                true
            }
        };
        if !fits {
            return Err(format!("the entry {} is not accepted", shortened(term)));
        }
    }
    Ok(())
}

fn check_term(value: &Json) -> Result<(), String> {
    let named =
        |id: &str| matches!(id, "@id" | "@type") || !(id.is_empty() || id.starts_with('@')) && decodes_to_utf8(id);
    let object = match value {
        Json::String(id) if named(id) => return Ok(()),
        Json::Object(object) => object,
        _ => return Err("expected a term that means something".to_owned()),
    };
    for (member, value) in object.iter() {
        let fits = match member {
            "@id" => value.as_str().is_some_and(named),
            "@type" => value.as_str().is_some_and(|kind| {
                matches!(kind, "@id" | "@vocab" | "@json" | "@none") || !kind.starts_with('@') && decodes_to_utf8(kind)
            }),
            "@container" => value
                .one_or_many()
                .iter()
                .all(|kind| matches!(kind.as_str(), Some("@set" | "@list" | "@language" | "@id" | "@type"))),
            "@protected" | "@prefix" => value.as_bool().is_some(),
            "@language" => value.as_str().is_some(),
            "@context" => {
                value.one_or_many().iter().try_for_each(check_definition)?;
                true
            }
            _ => false,
        };
        if !fits {
            return Err(format!("the member {} is not accepted", shortened(member)));
        }
    }
    Ok(())
}

/// Returns what a type means (JSON-LD 1.1 API §5.2, with `vocab`); `None` for what no context defines.
pub(crate) fn expand_type(active: &Active, kind: &str) -> Option<String> {
    let iri_of = |term: Option<&LdTerm<IriBuf, BlankIdBuf>>| match term {
        Some(LdTerm::Id(Id::Valid(ValidId::Iri(iri)))) => Some(iri.as_str().to_owned()),
        _ => None,
    };
    if kind.starts_with('@') {
        return None;
    }
    if let Some(definition) = active.get(kind) {
        return iri_of(definition.value());
    }
    let iri = match kind.split_once(':') {
        Some((prefix, suffix)) if !prefix.is_empty() => {
            let definition = active.get_normal(prefix).filter(|d| d.prefix && !suffix.starts_with("//"));
            match definition.and_then(|d| iri_of(d.value.as_ref())) {
                Some(base) => base + suffix,
                None => kind.to_owned(),
            }
        }
        _ => iri_of(active.vocabulary())? + kind,
    };
    (!iri.starts_with("_:") && is_iri(&iri)).then_some(iri)
}

/// Returns the canonical N-Quads of a document without its proof.
pub(crate) fn canonical_quads(active: &Active, document: &Object) -> Result<String, ContextError> {
    let mut nodes = 0;
    let mut entries = Vec::with_capacity(document.len());
    for (name, value) in document.iter().filter(|(name, _)| *name != "@context") {
        check_name(name)?;
        check_signable(value, &mut nodes)?;
        entries.push((name, value));
    }
    let expanded = guarded(|| {
        let entries =
            entries.into_iter().map(|(name, value)| syntax::object::Entry::new(name.into(), to_syntax(value)));
        let value = syntax::Value::Object(syntax::Object::from_vec(entries.collect()));
        let policy = Policy { invalid: Action::Reject, vocab: Action::Keep, allow_undefined: false };
        let options = Options { policy, ..Options::default() };
        value.expand_full(&mut (), active.clone(), None, &NoLoader, options, ()).now_or_never()
    });
    let expanded = expanded.ok_or_else(|| unsigned("the JSON-LD processor failed"))?.map_err(|error| match error {
        ssi_json_ld::expansion::Error::KeyExpansionFailed(term) => ContextError::Undefined { term: shortened(&term) },
        other => unsigned(other.to_string()),
    })?;
    let mut statements = Statements::default();
    let mut objects = expanded.iter();
    let root = match (objects.next().map(|object| object.inner()), objects.next()) {
        (Some(LdObject::Node(node)), None) => statements.node(node)?,
        _ => return Err(unsigned("expected one credential in the document")),
    };
    check_members(&statements.quads, &root, document)?;
    canonicalize(&statements.quads).ok_or(ContextError::TooComplex)
}

/// The vocabularies whose properties decide a verdict; the part after `#` is the member's name.
const DECISIVE: [&str; 2] = ["https://www.w3.org/2018/credentials#", "https://www.w3.org/ns/credentials/status#"];

/// Refuses a document in which a member that decides is written under another name.
///
/// The signature covers statements, not names: whoever renames `validUntil` or `credentialStatus` to their IRIs, moves
/// `type` to `@type`, or gives two status entries one id, leaves it valid, while a reader of JSON sees a credential that
/// never ends, has no status, no such type, or another index. So there must be as many statements as members.
fn check_members(quads: &BTreeSet<Quad>, root: &Term, document: &Object) -> Result<(), ContextError> {
    let of_root = |member: &str| {
        let property = format!("{}{member}", DECISIVE[0]);
        let objects = quads.iter().filter(|quad| quad.0 == *root && quad.1 == property).map(|quad| &quad.2);
        (objects.collect::<BTreeSet<_>>(), document.get(member).map(Json::one_or_many).unwrap_or_default())
    };
    let whole = Json::Object(document.clone());
    check_names(quads, &BTreeSet::from([root]), std::slice::from_ref(&whole))?;
    for member in ["credentialSubject", "credentialStatus"] {
        let (terms, values) = of_root(member);
        check_names(quads, &terms, values)?;
    }
    Ok(())
}

/// Compares the statements about some nodes with the members of the objects that should have made them.
fn check_names(quads: &BTreeSet<Quad>, nodes: &BTreeSet<&Term>, objects: &[Json]) -> Result<(), ContextError> {
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for (subject, property, _) in quads {
        let local = DECISIVE.iter().find_map(|vocabulary| property.strip_prefix(vocabulary));
        let local = local.or((property.strip_prefix(RDF) == Some("type")).then_some("type"));
        if let Some(local) = local.filter(|_| nodes.contains(subject)) {
            *counted.entry(local).or_default() += 1;
        }
    }
    for (local, count) in counted {
        let members = objects.iter().filter_map(|object| object.get(local)).map(|value| value.one_or_many().len());
        if members.sum::<usize>() != count {
            return Err(unsigned(format!("expected what {local} says to stand once, under that name")));
        }
    }
    Ok(())
}

/// Refuses names that JSON-LD drops, or that it may spell in two ways.
fn check_name(name: &str) -> Result<(), ContextError> {
    let keyword = matches!(name, "@id" | "@type" | "@value" | "@language" | "@list" | "@set");
    if name.is_empty() || name.contains('%') || name.starts_with('@') && !keyword {
        return Err(unsigned(format!("a member named {:?} is not accepted", shortened(name))));
    }
    Ok(())
}

/// Refuses values that leave no trace in RDF, and strings that the JSON-LD library panics on.
fn check_signable(value: &Json, nodes: &mut usize) -> Result<(), ContextError> {
    *nodes += 1;
    if *nodes > RDF_NODES_MAX {
        return Err(ContextError::TooComplex);
    }
    match value {
        Json::Null => Err(unsigned("null leaves no trace")),
        Json::Bool(_) | Json::Number(_) => Ok(()),
        Json::String(text) => {
            let blank = text.contains(|c: char| c.is_whitespace());
            if blank || !has_triplet(text) || decodes_to_utf8(text) {
                return Ok(());
            }
            Err(unsigned("an escape such as %ff is not UTF-8"))
        }
        Json::Array(values) if values.is_empty() => Err(unsigned("an empty list leaves no trace")),
        Json::Array(values) if values.iter().any(|value| value.as_array().is_some()) => {
            Err(unsigned("a list in a list is flattened"))
        }
        Json::Array(values) => values.iter().try_for_each(|value| check_signable(value, nodes)),
        Json::Object(object) => {
            if object.get("@language").is_some() && object.get("@value").is_none() {
                return Err(unsigned("a language without a value leaves no trace"));
            }
            object.iter().try_for_each(|(name, value)| {
                check_name(name)?;
                // An explicitly empty list has a meaning of its own, rdf:nil.
                if name == "@list" && value.as_array().is_some_and(<[Json]>::is_empty) {
                    return Ok(());
                }
                check_signable(value, nodes)
            })
        }
    }
}

/// True when a `%` stands before two hex digits.
fn has_triplet(text: &str) -> bool {
    text.as_bytes().windows(3).any(|w| matches!(w, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

fn to_syntax(value: &Json) -> syntax::Value {
    match value {
        Json::Null => syntax::Value::Null,
        Json::Bool(value) => syntax::Value::Boolean(*value),
        // The canonical text is a JSON number, whose spelling the library keeps.
        Json::Number(_) => syntax::Value::Number(value.to_string().parse().expect("RFC 8785 writes JSON numbers")),
        Json::String(text) => syntax::Value::String(text.as_str().into()),
        Json::Array(values) => syntax::Value::Array(values.iter().map(to_syntax).collect()),
        Json::Object(object) => syntax::Value::Object(syntax::Object::from_vec(
            object.iter().map(|(name, value)| syntax::object::Entry::new(name.into(), to_syntax(value))).collect(),
        )),
    }
}

#[derive(Default)]
struct Statements {
    quads: BTreeSet<Quad>,
    blanks: usize,
    named: HashMap<String, usize>,
}

impl Statements {
    fn add(&mut self, subject: &Term, predicate: String, object: Term) -> Result<(), ContextError> {
        if self.quads.len() >= RDF_QUADS_MAX {
            return Err(ContextError::TooComplex);
        }
        self.quads.insert((subject.clone(), predicate, object));
        Ok(())
    }

    fn fresh(&mut self) -> Term {
        self.blanks += 1;
        Term::Blank(self.blanks)
    }

    fn id(&mut self, id: &Id<IriBuf, BlankIdBuf>) -> Result<Term, ContextError> {
        match id {
            Id::Valid(ValidId::Iri(iri)) => Ok(Term::Iri(iri.as_str().to_owned())),
            Id::Valid(ValidId::Blank(blank)) => {
                if let Some(known) = self.named.get(blank.as_str()) {
                    return Ok(Term::Blank(*known));
                }
                let term = self.fresh();
                self.named.insert(blank.as_str().to_owned(), self.blanks);
                Ok(term)
            }
            Id::Invalid(text) => Err(ContextError::Undefined { term: shortened(text) }),
        }
    }

    fn node(&mut self, node: &Node<IriBuf, BlankIdBuf>) -> Result<Term, ContextError> {
        if node.is_graph() || node.included().is_some() || node.reverse_properties().is_some_and(|r| !r.is_empty()) {
            return Err(unsigned("graphs, included nodes and reverse properties are not accepted"));
        }
        let subject = match &node.id {
            Some(id) => self.id(id)?,
            None => self.fresh(),
        };
        for kind in node.types() {
            let kind = self.id(kind)?;
            self.add(&subject, format!("{RDF}type"), kind)?;
        }
        for (property, objects) in node.properties() {
            let Id::Valid(ValidId::Iri(property)) = property else {
                return Err(unsigned("a property that is not an IRI is not signed"));
            };
            if objects.is_empty() {
                return Err(unsigned("a property without a value leaves no trace"));
            }
            for object in objects {
                let object = self.object(object)?;
                self.add(&subject, property.as_str().to_owned(), object)?;
            }
        }
        Ok(subject)
    }

    fn object(&mut self, object: &IndexedObject<IriBuf, BlankIdBuf>) -> Result<Term, ContextError> {
        if object.index().is_some() {
            return Err(unsigned("an index leaves no trace"));
        }
        match object.inner() {
            LdObject::Node(node) => self.node(node),
            LdObject::Value(value) => literal(value),
            LdObject::List(list) => {
                let mut rest = Term::Iri(format!("{RDF}nil"));
                for item in list.iter().rev() {
                    let item = self.object(item)?;
                    let cell = self.fresh();
                    self.add(&cell, format!("{RDF}first"), item)?;
                    self.add(&cell, format!("{RDF}rest"), rest)?;
                    rest = cell;
                }
                Ok(rest)
            }
        }
    }
}

/// Returns the literal of a value (JSON-LD 1.1 API §8.2.2).
fn literal(value: &ssi_json_ld::Value<IriBuf>) -> Result<Term, ContextError> {
    let typed = |text: String, datatype: Option<&IriBuf>, usual: &str| {
        let datatype = datatype.map_or_else(|| format!("{XSD}{usual}"), |iri| iri.as_str().to_owned());
        Ok(Term::Typed(text, datatype))
    };
    match value {
        ssi_json_ld::Value::Literal(Literal::Null, _) => Err(unsigned("null leaves no trace")),
        ssi_json_ld::Value::Literal(Literal::Boolean(value), kind) => {
            typed(value.to_string(), kind.as_ref(), "boolean")
        }
        ssi_json_ld::Value::Literal(Literal::String(text), kind) => typed(text.to_string(), kind.as_ref(), "string"),
        ssi_json_ld::Value::Literal(Literal::Number(number), kind) => {
            let number: f64 = number.as_str().parse().map_err(|_| unsigned("a number that is not finite"))?;
            let as_double = kind.as_ref().is_some_and(|kind| kind.as_str().strip_prefix(XSD) == Some("double"));
            if number.fract() == 0.0 && number.abs() < 1e21 && !as_double {
                return typed(format!("{number:.0}"), kind.as_ref(), "integer");
            }
            typed(canonical_double(number)?, kind.as_ref(), "double")
        }
        ssi_json_ld::Value::LangString(text) => {
            if text.direction().is_some() {
                return Err(unsigned("a text direction leaves no trace"));
            }
            let tag = text.language().and_then(|tag| tag.as_well_formed());
            let tag = tag.ok_or_else(|| unsigned("a language tag that is not well formed is dropped"))?;
            Ok(Term::Tagged(text.as_str().to_owned(), tag.as_str().to_owned()))
        }
        ssi_json_ld::Value::Json(json) => {
            let json = Json::parse(json.compact_print().to_string().as_bytes());
            let json = json.map_err(|_| unsigned("a JSON literal that cannot be written canonically"))?;
            Ok(Term::Typed(jcs::to_string(&json), format!("{RDF}JSON")))
        }
    }
}

/// Writes a double as JSON-LD does: 16 digits. A double that needs more would be signed as its neighbour.
fn canonical_double(number: f64) -> Result<String, ContextError> {
    let text = format!("{number:.15e}");
    if text.parse() != Ok(number) {
        return Err(unsigned("a number with more than 16 digits is rounded"));
    }
    let (mantissa, exponent) = text.split_once('e').ok_or_else(|| unsigned("a number that is not finite"))?;
    let mantissa = mantissa.trim_end_matches('0');
    let zero = if mantissa.ends_with('.') { "0" } else { "" };
    Ok(format!("{mantissa}{zero}E{exponent}"))
}

#[cfg(test)]
mod tests {

    use bytes::Bytes;

    use super::super::contexts::Contexts;
    use super::*;

    const V2: &str = "https://www.w3.org/ns/credentials/v2";
    const OWN: &str = "https://gov.example/v1";

    fn quads(subject: &str) -> Result<String, ContextError> {
        quads_under(&Contexts::builtin(), &[V2], subject)
    }

    fn quads_under(contexts: &Contexts, names: &[&str], subject: &str) -> Result<String, ContextError> {
        let text = format!(r#"{{"id":"urn:a","type":"VerifiableCredential","credentialSubject":{subject}}}"#);
        let json = Json::parse(text.as_bytes()).expect("JSON");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        contexts.canonical_quads(&names, json.as_object().expect("an object"))
    }

    fn with_context(context: &str) -> Contexts {
        Contexts::builtin().with(OWN, Bytes::copy_from_slice(context.as_bytes())).expect("a new context")
    }

    #[test]
    fn writes_canonical_statements() {
        let made = quads(
            r#"{"https://a.example/b":["x",7,true,1.5,{"@value":"y","@language":"en-GB"}],"https://a.example/c":{}}"#,
        );
        let expected = "<urn:a> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <https://www.w3.org/2018/credentials#VerifiableCredential> .\n\
            <urn:a> <https://www.w3.org/2018/credentials#credentialSubject> _:c14n1 .\n\
            _:c14n1 <https://a.example/b> \"1.5E0\"^^<http://www.w3.org/2001/XMLSchema#double> .\n\
            _:c14n1 <https://a.example/b> \"7\"^^<http://www.w3.org/2001/XMLSchema#integer> .\n\
            _:c14n1 <https://a.example/b> \"true\"^^<http://www.w3.org/2001/XMLSchema#boolean> .\n\
            _:c14n1 <https://a.example/b> \"x\" .\n\
            _:c14n1 <https://a.example/b> \"y\"@en-GB .\n\
            _:c14n1 <https://a.example/c> _:c14n0 .\n";
        assert_eq!(made.as_deref(), Ok(expected));
    }

    #[test]
    fn escapes_control_characters_as_canonical_n_quads_do() {
        let made = quads(r#"{"https://a.example/b":"a\b\t\n\u000b\f\r\u007f\u0001\"\\z"}"#).expect("quads");
        assert!(made.contains(r#""a\b\t\n\u000B\f\r\u007F\u0001\"\\z""#), "{made}");
    }

    #[test]
    fn refuses_what_would_go_unsigned() {
        for subject in [
            r#"{"undefined":1}"#,
            r#"{"@isAdmin":true}"#,
            r#"{"":1}"#,
            r#"{"https://a.example/b":null}"#,
            r#"{"https://a.example/b":[]}"#,
            r#"{"https://a.example/b":[["x"],["y"]]}"#,
            r#"{"https://a.example/b":{"@language":"en"}}"#,
            r#"{"https://a.example/b":{"@value":"x","@direction":"rtl"}}"#,
            r#"{"https://a.example/b":{"@value":"x","@index":"i"}}"#,
            r#"{"https://a.example/b":{"@value":"x","@language":"not a tag"}}"#,
            r#"{"https://a.example/b":{"@value":"x","@type":"undefined"}}"#,
            r#"{"https://a.example/b":0.30000000000000004}"#,
            r#"{"_:b":"x"}"#,
            r#"{"id":"relative"}"#,
            r#"{"id":""}"#,
            r#"{"type":"Undefined"}"#,
            r#"{"type":"@json"}"#,
            r#"{"@context":{"x":"https://a.example/x"},"x":1}"#,
            r#"{"@graph":[{"https://a.example/b":1}]}"#,
            r#"{"@reverse":{"https://a.example/b":{"id":"urn:b"}}}"#,
            r#"{"@included":[{"id":"urn:b","https://a.example/b":1}]}"#,
            r#"{"https://a.example/%62":1}"#,
        ] {
            assert!(quads(subject).is_err(), "{subject} {:?}", quads(subject));
        }
    }

    #[test]
    fn survives_what_the_library_panics_on() {
        for subject in [
            r#"{"id":"https://a.example/%ff"}"#,
            r#"{"type":"https://a.example/%ff"}"#,
            r#"{"https://a.example/b":{"id":"urn:%ff%fe"}}"#,
            r#"{"https://a.example/b":{"@value":"x","@type":"urn:%ff"}}"#,
        ] {
            assert!(quads(subject).is_err(), "{subject}");
        }
        for subject in [
            r#"{"https://a.example/b":1e3}"#,
            r#"{"https://a.example/b":1e20}"#,
            r#"{"https://a.example/b":1e300}"#,
            r#"{"https://a.example/b":-0.0}"#,
            r#"{"https://a.example/b":{"@value":1e3,"@type":"http://www.w3.org/2001/XMLSchema#double"}}"#,
            r#"{"https://a.example/b":{"@value":"203-01-01T00:00:00Z","@type":"http://www.w3.org/2001/XMLSchema#dateTime"}}"#,
            r#"{"https://a.example/b":{"@value":99999999999,"@type":"http://www.w3.org/2001/XMLSchema#dateTime"}}"#,
            r#"{"https://a.example/b":"50%ff of nothing"}"#,
        ] {
            assert!(quads(subject).is_ok(), "{subject} {:?}", quads(subject));
        }
        let thousand = quads(r#"{"https://a.example/b":1e3}"#).expect("quads");
        assert!(thousand.contains("\"1000\"^^<http://www.w3.org/2001/XMLSchema#integer>"), "{thousand}");
    }

    #[test]
    fn refuses_a_member_that_decides_under_another_name() {
        let names = [V2.to_owned(), OWN.to_owned()];
        let contexts = with_context(
            r#"{"@context":{"kind":"@type","w3":{"@id":"https://www.w3.org/2018/","@prefix":true},
                "until":"https://www.w3.org/2018/credentials#validUntil"}}"#,
        );
        let made = |members: &str| {
            let text = format!(r#"{{"id":"urn:a","type":["VerifiableCredential","https://a.example/T"],{members}}}"#);
            let json = Json::parse(text.as_bytes()).expect("JSON");
            contexts.canonical_quads(&names, json.as_object().expect("an object"))
        };
        let time = r#"{"@value":"2030-01-01T00:00:00Z","@type":"http://www.w3.org/2001/XMLSchema#dateTime"}"#;
        assert!(made(r#""validUntil":"2030-01-01T00:00:00Z""#).is_ok());
        let status = |id: &str, rest: &str| {
            format!(
                r#"{{"id":"{id}","type":"BitstringStatusListEntry","statusPurpose":"revocation","statusListIndex":"1"{rest}}}"#
            )
        };
        assert!(made(&format!(r#""credentialStatus":{}"#, status("urn:s", ",\"statusSize\":2"))).is_ok());
        assert!(made(&format!(r#""credentialStatus":[{},{}]"#, status("urn:s", ""), status("urn:t", ""))).is_ok());
        for members in [
            format!(r#""https://www.w3.org/2018/credentials#validUntil":{time}"#),
            format!(r#""w3:credentials#validUntil":{time}"#),
            format!(r#""until":{time}"#),
            format!(r#""validUntil":"2040-01-01T00:00:00Z","until":{time}"#),
            format!(r#""https://www.w3.org/2018/credentials#credentialStatus":{}"#, status("urn:s", "")),
            format!(
                r#""credentialStatus":{}"#,
                status("urn:s", r#","https://www.w3.org/ns/credentials/status#statusSize":2"#)
            ),
            // Two entries with one id: whose index is whose?
            format!(r#""credentialStatus":[{},{}]"#, status("urn:s", ""), status("urn:s", r#","statusSize":2"#)),
            r#""@type":"https://a.example/U""#.to_owned(),
            r#""kind":"https://a.example/U""#.to_owned(),
            // The root's end, said about the root by its subject.
            r#""credentialSubject":{"id":"urn:a","https://www.w3.org/2018/credentials#validUntil":"x"}"#.to_owned(),
            r#""credentialSubject":{"https://www.w3.org/ns/credentials/status#ttl":7}"#.to_owned(),
        ] {
            assert!(made(&members).is_err(), "{members} {:?}", made(&members));
        }
    }

    #[test]
    fn takes_hundreds_of_entries_with_contexts_of_their_own() {
        let entry = r#"{"type":"DataIntegrityProof","nonce":"a"}"#;
        let subject = format!(r#"{{"https://a.example/b":[{}]}}"#, vec![entry; 650].join(","));
        assert!(quads(&subject).is_ok());
    }

    fn clique(size: usize) -> String {
        let node = |at: usize| {
            let others: Vec<String> =
                (0..size).filter(|other| *other != at).map(|other| format!(r#"{{"id":"_:n{other}"}}"#)).collect();
            format!(r#"{{"id":"_:n{at}","https://a.example/knows":[{}]}}"#, others.join(","))
        };
        let nodes: Vec<String> = (0..size).map(node).collect();
        format!(r#"{{"https://a.example/all":[{}]}}"#, nodes.join(","))
    }

    #[test]
    fn refuses_eight_linked_blank_nodes() {
        assert_eq!(quads(&clique(8)), Err(ContextError::TooComplex));
        assert!(quads(&clique(3)).is_ok());
    }

    #[test]
    fn refuses_a_long_ring_of_alike_blank_nodes() {
        let ring = |size: usize| {
            let node =
                |at: usize| format!(r#"{{"id":"_:n{at}","https://a.example/next":{{"id":"_:n{}"}}}}"#, (at + 1) % size);
            let nodes: Vec<String> = (0..size).map(node).collect();
            quads(&format!(r#"{{"https://a.example/all":[{}]}}"#, nodes.join(",")))
        };
        assert!(ring(8).is_ok());
        assert_eq!(ring(500), Err(ContextError::TooComplex));
    }

    #[test]
    fn labels_alike_nodes_whatever_their_order() {
        let one = quads(
            r#"{"https://a.example/b":[{"id":"_:x","https://a.example/c":{"id":"_:y"}},{"id":"_:y","https://a.example/c":{"id":"_:x"}}]}"#,
        );
        let two = quads(
            r#"{"https://a.example/b":[{"id":"_:q","https://a.example/c":{"id":"_:p"}},{"id":"_:p","https://a.example/c":{"id":"_:q"}}]}"#,
        );
        assert!(one.is_ok());
        assert_eq!(one, two);
    }

    #[test]
    fn bounds_what_a_credential_may_say() {
        let many = format!(
            r#"{{"https://a.example/b":[{}]}}"#,
            (0..3000).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
        );
        assert_eq!(quads(&many), Err(ContextError::TooComplex));
    }

    #[test]
    fn names_the_context_that_is_missing() {
        let missing = Err(ContextError::Missing { url: OWN.to_owned() });
        assert_eq!(quads_under(&Contexts::builtin(), &[V2, OWN], "{}"), missing);
    }

    #[test]
    fn refuses_contexts_that_hide_or_fetch() {
        for context in [
            r#"{"a":null}"#,
            r#"{"a":{"@id":null}}"#,
            r#"{"a":"@ignored"}"#,
            r#"{"a":"@index"}"#,
            r#"{"a":{"@id":"https://a.example/a","@container":"@index"}}"#,
            r#"{"a":{"@reverse":"https://a.example/a"}}"#,
            r#"{"a":{"@id":"https://a.example/a","@context":null}}"#,
            r#"{"a":{"@id":"https://a.example/a","@context":{"b":null}}}"#,
            r#"{"@import":"https://a.example/v1"}"#,
            r#"{"@base":"https://a.example/"}"#,
            r#"{"@direction":"rtl"}"#,
            r#"{"@vocab":null}"#,
            r#"{"@vocab":""}"#,
            r#"["https://a.example/v1"]"#,
            r#""https://a.example/v1""#,
            r#"{"a":"https://a.example/%ff"}"#,
            "7",
        ] {
            let made = quads_under(&with_context(&format!(r#"{{"@context":{context}}}"#)), &[V2, OWN], "{}");
            assert!(matches!(made, Err(ContextError::Unusable { .. })), "{context} {made:?}");
        }
        assert!(matches!(quads_under(&with_context("{}"), &[V2, OWN], "{}"), Err(ContextError::Unusable { .. })));
        // Protected terms of credentials/v2 stay what they are.
        let evil = with_context(r#"{"@context":{"name":"https://evil.example/name"}}"#);
        assert!(quads_under(&evil, &[V2, OWN], "{}").is_err());
        let evil = with_context(r#"{"@context":{"credentialSubject":"https://evil.example/subject"}}"#);
        assert_eq!(quads_under(&evil, &[V2, OWN], "{}"), quads("{}"));
    }

    #[test]
    fn expands_types_by_term_prefix_vocabulary_or_as_they_are() {
        let contexts = with_context(
            r#"{"@context":{"Licence":"https://gov.example/Licence","gov":{"@id":"https://gov.example/","@prefix":true},
                "class":{"@id":"gov:class","@type":"@vocab"}}}"#,
        );
        let expand = |names: &[&str], kind: &str| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            contexts.expand_types(&names, &["VerifiableCredential".to_owned(), kind.to_owned()])
        };
        for (kind, iri) in [
            ("Licence", "https://gov.example/Licence"),
            ("gov:Permit", "https://gov.example/Permit"),
            ("https://other.example/Permit", "https://other.example/Permit"),
            ("BitstringStatusListCredential", "https://www.w3.org/ns/credentials/status#BitstringStatusListCredential"),
        ] {
            assert_eq!(expand(&[V2, OWN], kind), Ok(vec![iri.to_owned()]), "{kind}");
        }
        for kind in ["Undefined", "@type", "id", "_:b", "a b", "gov:a b", ":x"] {
            assert_eq!(expand(&[V2, OWN], kind), Err(ContextError::Undefined { term: kind.to_owned() }), "{kind}");
        }
        assert_eq!(
            expand(&[V2, "https://x.example/"], "Licence"),
            Err(ContextError::Missing { url: "https://x.example/".to_owned() })
        );
    }

    #[test]
    fn keeps_processed_contexts_across_clones() {
        let contexts = with_context(r#"{"@context":{}}"#);
        let clone = contexts.clone();
        assert!(quads_under(&contexts, &[V2, OWN], "{}").is_ok());
        assert!(quads_under(&clone, &[V2, OWN], "{}").is_ok());
    }
}

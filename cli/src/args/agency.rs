//! Commands of agencies that publish.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use standfast_node::keystore::KeyUse;

use super::change::{Change, TrustChange};
use super::value::{RegisterAt, Span, When};

/// A use that a person may give a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Use {
    /// Signs the heads of one register
    Register,
    /// Signs credentials
    Issue,
    /// Cosigns and signs views
    Witness,
    /// Signs charters
    Root,
}

impl From<Use> for KeyUse {
    fn from(value: Use) -> Self {
        match value {
            Use::Register => Self::Register,
            Use::Issue => Self::Issue,
            Use::Witness => Self::Witness,
            Use::Root => Self::Root,
        }
    }
}

/// How a public key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PublicForm {
    /// did:key
    Did,
    /// Verifier keys (C2SP signed-note)
    Vkey,
    /// JSON Web Key (RFC 8037)
    Jwk,
}

/// `key`.
#[derive(Debug, Clone, Subcommand)]
pub enum Key {
    /// Make a key for one use, in an encrypted file or behind a signer program
    #[command(after_help = "\
Examples:
  standfast key create transport --use register
  standfast key create customs --use witness --passphrase-fd 3
  standfast key create lic-2026 --use issue --signer /usr/bin/hsm-sign")]
    Create {
        /// A local name
        name: String,
        /// register, issue, witness or root; the key serves nothing else
        #[arg(long = "use", value_name = "USE", hide_possible_values = true)]
        key_use: Use,
        /// A program that keeps the secret and signs, with its arguments; no shell
        #[arg(long, value_name = "COMMAND")]
        signer: Option<String>,
    },
    /// Bring a key that was made elsewhere, as a seed or PKCS#8
    #[command(after_help = "\
Examples:
  standfast key import interior root.pem --use root
  standfast key import lic-2026 seed.hex --use issue
  standfast key import transport - --use register < seed.hex")]
    Import {
        /// A local name
        name: String,
        /// 32 bytes as 64 hex digits, or an Ed25519 private key as PKCS#8, in PEM or DER; - is stdin
        file: PathBuf,
        /// register, issue or root; the key serves nothing else
        #[arg(long = "use", value_name = "USE", hide_possible_values = true)]
        key_use: Use,
    },
    /// All keys, a line each
    #[command(after_help = "\
Examples:
  standfast key list
  standfast key list --json
  standfast key list --data-dir /var/lib/standfast")]
    List,
    /// The public part of a key
    #[command(after_help = "\
Examples:
  standfast key show transport
  standfast key show lic-2026 --as did
  standfast key show customs --as vkey")]
    Show {
        /// The key
        name: String,
        /// Only as did, vkey or jwk
        #[arg(long = "as", value_name = "FORM", hide_possible_values = true)]
        form: Option<PublicForm>,
    },
    /// Change the passphrase of a key
    #[command(after_help = "\
Examples:
  standfast key passphrase transport
  standfast key passphrase transport --passphrase-fd 3
  standfast key passphrase transport --json")]
    Passphrase {
        /// The key
        name: String,
    },
}

/// `register`.
#[derive(Debug, Clone, Subcommand)]
pub enum Register {
    /// Make an empty register, and its binding file for the authority above
    #[command(after_help = "\
Examples:
  standfast register create transport.gov.example --key transport
  standfast register create transport.gov.example --key transport --out -
  standfast register create transport.gov.example --key transport --json")]
    Create {
        /// The host that the register is named by
        host: String,
        /// A key for registers
        #[arg(long, value_name = "KEY")]
        key: String,
        /// The binding file [default: KEY.binding]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replaces a binding file that exists
        #[arg(long)]
        yes: bool,
    },
    /// All registers held, a line each
    #[command(after_help = "\
Examples:
  standfast register list
  standfast register list --json
  standfast register list --trust port.standfast")]
    List,
    /// One register: sizes, both ages, pending changes
    #[command(after_help = "\
Examples:
  standfast register show transport.gov.example
  standfast register show transport.gov.example --binding
  standfast register show --json")]
    Show {
        /// The register; by default the only one whose key is here
        register: Option<String>,
        /// Its name and keys, as the authority above needs them
        #[arg(long)]
        binding: bool,
    },
    /// Compute entry, roots and checkpoint of a draft, and sign, offline
    #[command(after_help = "\
Examples:
  standfast register sign draft --key transport
  standfast register sign draft --key transport --passphrase-fd 3
  standfast register sign draft --key transport --json")]
    Sign {
        /// The draft
        draft: PathBuf,
        /// The register's key
        #[arg(long, value_name = "KEY")]
        key: String,
        /// Confirms a broad change by its exact size
        #[arg(long, value_name = "COUNT")]
        confirm_broad: Option<u64>,
        /// Signs past the write fence, for a reason that is recorded
        #[arg(long, value_name = "REASON")]
        override_fence: Option<String>,
    },
    /// Hand a signed draft over, or statuses that wait
    #[command(after_help = "\
Examples:
  standfast register publish draft
  standfast register publish draft --wait
  standfast register publish transport.gov.example")]
    Publish {
        /// The signed draft; or a register whose statuses wait, which go out now
        #[arg(value_name = "DRAFT|R")]
        draft: PathBuf,
        /// Waits until a quorum of witnesses has signed [default: 60s]
        #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "60s")]
        wait: Option<Span>,
        /// Confirms a broad change by its exact size
        #[arg(long, value_name = "COUNT")]
        confirm_broad: Option<u64>,
        /// Publishes past the write fence, for a reason that is recorded
        #[arg(long, value_name = "REASON")]
        override_fence: Option<String>,
    },
    /// Write a register as plain files that any web server can mirror (C2SP tiles)
    #[command(after_help = "\
Examples:
  standfast register export transport.gov.example /var/www/transport
  standfast register export transport.gov.example /media/stick/transport
  standfast register export transport.gov.example mirror --json")]
    Export {
        /// The register
        register: String,
        /// The folder; one that holds the register already is brought up to date
        dir: PathBuf,
    },
    /// Replay a register: every entry, state, signature and body
    #[command(after_help = "\
Examples:
  standfast register verify transport.gov.example
  standfast register verify /var/www/transport --charter charter-1.note
  standfast register verify mirror --json")]
    Verify {
        /// A register held, or a folder that was exported
        #[arg(value_name = "R|DIR")]
        subject: PathBuf,
        /// The charter to check by [default: the one held]
        #[arg(long, value_name = "FILE")]
        charter: Option<PathBuf>,
    },
    /// Another key, in three steps that never leave the register unsigned
    #[command(after_help = "\
Examples:
  standfast register rotate transport.gov.example --to transport-2
  standfast register rotate transport --to transport-2 --out new.binding
  standfast register rotate transport.gov.example --to transport-2 --json")]
    Rotate {
        /// Any unambiguous beginning of its origin
        register: String,
        /// The key for registers that is to sign from then on
        #[arg(long, value_name = "KEY")]
        to: String,
        /// The binding file [default: KEY.binding, of the key that signs now]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replaces a file that is no binding of this register
        #[arg(long)]
        yes: bool,
    },
}

/// `record`.
#[derive(Debug, Clone, Subcommand)]
pub enum Record {
    /// The keys of records, a line each
    #[command(after_help = "\
Examples:
  standfast record list
  standfast record list trust/
  standfast record list did/ --json")]
    List {
        /// The beginning of the keys
        prefix: Option<String>,
        /// Only of this register
        #[arg(long, value_name = "R")]
        register: Option<String>,
    },
    /// A record, as held
    #[command(after_help = "\
Examples:
  standfast record show did/did:web:transport.gov.example
  standfast record show notice/2026-11-20 --json
  standfast record show notice/2026-11-20 --register interior.gov.example")]
    Show {
        /// The record's key
        record: String,
        /// Only of this register
        #[arg(long, value_name = "R")]
        register: Option<String>,
    },
    /// Put a record of any kind
    #[command(after_help = "\
Examples:
  standfast record publish notice/2026-11-20 notice.txt --wait
  standfast record publish context/https:%2F%2Fgov.example%2Fv1 v1.jsonld
  standfast record publish notice/2026-11-20 - < notice.txt")]
    Publish {
        /// The record's key
        record: String,
        /// The body, or - for stdin
        file: PathBuf,
        /// How to change the register.
        #[command(flatten)]
        change: Change,
    },
    /// Take a record back
    #[command(after_help = "\
Examples:
  standfast record withdraw notice/2026-11-20
  standfast record withdraw notice/2026-11-20 --yes --wait
  standfast record withdraw notice/2026-11-20 --dry-run")]
    Withdraw {
        /// The record's key
        record: String,
        /// How to change the register.
        #[command(flatten)]
        change: Change,
    },
    /// Write a proof that a record is there, or is not, for who has only the charter
    #[command(after_help = "\
Examples:
  standfast record prove did/did:web:a.example --out a.tlog-proof
  standfast record prove notice/7 --register a.example --out absent.tlog-proof
  standfast record prove notice/7 --out a.tlog-proof --leaf a.leaf")]
    Prove {
        /// The record's key
        record: String,
        /// The proof (C2SP tlog-proof), or - for stdout
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// In this register; needed to prove that a record is not there
        #[arg(long, value_name = "R")]
        register: Option<String>,
        /// The log's entry by itself, for other tools that check the proof
        #[arg(long, value_name = "FILE")]
        leaf: Option<PathBuf>,
        /// Replaces files that exist
        #[arg(long)]
        yes: bool,
    },
    /// Check a proof with nothing but the charter, and show the record
    #[command(after_help = "\
Examples:
  standfast record verify a.tlog-proof --charter charter-1.note
  standfast record verify a.tlog-proof
  standfast record verify - --json < a.tlog-proof")]
    Verify {
        /// The proof, or - for stdin
        proof: PathBuf,
        /// The charter to check by [default: the one held]
        #[arg(long, value_name = "FILE")]
        charter: Option<PathBuf>,
    },
}

/// The methods of DIDs that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DidMethod {
    /// did:web
    Web,
}

/// `did`.
#[derive(Debug, Clone, Subcommand)]
pub enum Did {
    /// Make a DID document with one key
    #[command(after_help = "\
Examples:
  standfast did create transport.gov.example --method web --key lic-2026
  standfast did create transport.gov.example --method web --key lic-2026 --out -
  standfast did create transport.gov.example --method web --key lic-2026 --json")]
    Create {
        /// The host that the DID is named by
        host: String,
        /// web
        #[arg(long, hide_possible_values = true)]
        method: DidMethod,
        /// A key for credentials
        #[arg(long, value_name = "KEY")]
        key: String,
        /// The document [default: in the data directory, for `did publish`]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replaces a document that exists
        #[arg(long)]
        yes: bool,
    },
    /// A DID document as held here
    #[command(after_help = "\
Examples:
  standfast did show did:web:transport.gov.example
  standfast did show did:web:transport.gov.example --json
  standfast did show did:web:transport.gov.example --trust port.standfast")]
    Show {
        /// The DID
        did: String,
    },
    /// Publish a DID document
    #[command(after_help = "\
Examples:
  standfast did publish did:web:transport.gov.example --wait
  standfast did publish did.json --wait=30s
  standfast did publish did.json --draft draft")]
    Publish {
        /// A DID that was created here, or a document
        #[arg(value_name = "DID|FILE")]
        subject: String,
        /// How to change the register.
        #[command(flatten)]
        change: Change,
    },
    /// Replace a DID document that is published
    #[command(after_help = "\
Examples:
  standfast did update did:web:transport.gov.example did.json --wait
  standfast did update did:web:transport.gov.example did.json --dry-run
  standfast did update did:web:transport.gov.example - < did.json")]
    Update {
        /// The DID
        did: String,
        /// The new document, or - for stdin
        file: PathBuf,
        /// How to change the register.
        #[command(flatten)]
        change: Change,
    },
}

/// `trust`.
#[derive(Debug, Clone, Subcommand)]
pub enum Trust {
    /// Authorise an entity to do something
    #[command(after_help = "\
Examples:
  standfast trust grant did:web:a.example issue urn:T --until 2028-01-01
  standfast trust grant did:web:a.example issue T --until 2028-01-01 --wait
  standfast trust grant did:web:a.example issue T --until 2028-01-01 --dry-run")]
    Grant {
        /// The entity
        did: String,
        /// What it may do: issue, verify …
        action: String,
        /// On what: the types of credentials
        #[arg(value_name = "TYPE", required = true)]
        types: Vec<String>,
        /// The end of the permission
        #[arg(long, value_name = "T")]
        until: When,
        /// Its beginning [default: now]
        #[arg(long, value_name = "T", allow_hyphen_values = true)]
        from: Option<When>,
        /// Credentials must have a status
        #[arg(long)]
        status_required: bool,
        /// How to change the register.
        #[command(flatten)]
        change: TrustChange,
    },
    /// Let an authority authorise others
    #[command(after_help = "\
Examples:
  standfast trust recognize did:web:a.example --actions issue --until 2028-01-01
  standfast trust recognize did:web:a.example --until 2028-01-01 --depth 1
  standfast trust recognize did:web:a.example --until 2028-01-01 --dry-run")]
    Recognize {
        /// The authority
        did: String,
        /// Actions that it may authorise
        #[arg(long, value_name = "A", num_args = 1.., value_delimiter = ',', default_value = "*")]
        actions: Vec<String>,
        /// Types that it may authorise
        #[arg(long, value_name = "T", num_args = 1.., value_delimiter = ',', default_value = "*")]
        types: Vec<String>,
        /// Steps below it that may recognize further
        #[arg(long, value_name = "N", default_value_t = 0)]
        depth: u64,
        /// The end of the recognition
        #[arg(long, value_name = "T")]
        until: When,
        /// Rebinds: the old register counts up to this size
        #[arg(long, value_name = "R@SIZE")]
        after: Option<RegisterAt>,
        /// How to change the register.
        #[command(flatten)]
        change: TrustChange,
    },
    /// Take a permission or a recognition back; counts at once
    #[command(after_help = "\
Examples:
  standfast trust withdraw did:web:a.example issue https://a.example/T
  standfast trust withdraw did:web:a.example --yes --wait
  standfast trust withdraw did:web:a.example --dry-run")]
    Withdraw {
        /// The entity
        did: String,
        /// Only this action
        action: Option<String>,
        /// Only these types
        #[arg(value_name = "TYPE")]
        types: Vec<String>,
        /// How to change the register.
        #[command(flatten)]
        change: Change,
    },
    /// Trust entries held, a line each
    #[command(after_help = "\
Examples:
  standfast trust list
  standfast trust list did:web:transport.gov.example
  standfast trust list --json")]
    List {
        /// Only of this entity
        did: Option<String>,
    },
    /// The path from the charter to an issuer, or what is missing
    #[command(after_help = "\
Examples:
  standfast trust path did:web:a.example https://a.example/T
  standfast trust path did:web:a.example https://a.example/T --json
  standfast trust path did:web:a.example T --trust port.standfast")]
    Path {
        /// The issuer
        issuer: String,
        /// A type of credential
        #[arg(value_name = "TYPE")]
        credential_type: String,
    },
}

/// What a value other than 0 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    /// For good
    Revocation,
    /// For a time
    Suspension,
}

impl Purpose {
    /// Returns the word that stands in lists and credentials.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::Suspension => "suspension",
        }
    }
}

/// `status-list`.
#[derive(Debug, Clone, Subcommand)]
pub enum StatusList {
    /// Make and publish an empty list
    #[command(after_help = "\
Examples:
  standfast status-list create https://a.example/status/1 --length 131072
  standfast status-list create https://a.example/status/2 --length 1000 --bits 1
  standfast status-list create https://a.example/status/3 --length 999 --dry-run")]
    Create {
        /// The list's URI, as credentials name it
        uri: String,
        /// Indices
        #[arg(long, value_name = "N")]
        length: u64,
        /// Bits for each index: 1, 2, 4 or 8
        #[arg(long, value_name = "B", default_value_t = 1)]
        bits: u8,
        /// revocation or suspension
        #[arg(long, value_name = "P", default_value = "revocation", hide_possible_values = true)]
        purpose: Purpose,
        /// How to change the register.
        #[command(flatten)]
        change: Change,
    },
    /// Publish a signed list of the field's form, verbatim
    #[command(after_help = "\
Examples:
  standfast status-list publish https://a.example/status/9 list.jwt
  standfast status-list publish https://a.example/status/9 list.json --wait
  standfast status-list publish https://a.example/status/9 - < list.jwt")]
    Publish {
        /// The list's URI, as credentials name it
        uri: String,
        /// A BitstringStatusListCredential, or - for stdin
        file: PathBuf,
        /// How to change the register.
        #[command(flatten)]
        change: Change,
    },
    /// Lists held, a line each
    #[command(after_help = "\
Examples:
  standfast status-list list
  standfast status-list list --json
  standfast status-list list --trust port.standfast")]
    List,
    /// A list: purpose, length, how many are set
    #[command(after_help = "\
Examples:
  standfast status-list show https://a.example/status/1
  standfast status-list show https://a.example/status/1 --json
  standfast status-list show https://a.example/status/1 --trust port.standfast")]
    Show {
        /// The list's URI
        uri: String,
    },
}

/// The forms in which credentials are issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CredentialForm {
    /// JOSE (VC-JOSE-COSE)
    #[value(name = "vc+jwt")]
    VcJwt,
    /// Data Integrity over RFC 8785
    #[value(name = "eddsa-jcs-2022")]
    EddsaJcs2022,
    /// Data Integrity over RDF
    #[value(name = "eddsa-rdfc-2022")]
    EddsaRdfc2022,
}

/// `credential`.
#[derive(Debug, Clone, Subcommand)]
pub enum Credential {
    /// Sign a credential; draws a free index of its list at random
    #[command(after_help = "\
Examples:
  standfast credential issue ada.json --key lic-2026 --out ada.jwt
  standfast credential issue ada.json --key lic-2026 --as eddsa-jcs-2022 --out -
  standfast credential issue - --key lic-2026 --out ada.jwt < ada.json")]
    Issue {
        /// The credential to sign, or - for stdin
        file: PathBuf,
        /// A key for credentials
        #[arg(long, value_name = "KEY")]
        key: String,
        /// vc+jwt, eddsa-jcs-2022 or eddsa-rdfc-2022
        #[arg(long = "as", value_name = "FORMAT", default_value = "vc+jwt", hide_possible_values = true)]
        form: CredentialForm,
        /// The status list in which it gets an index
        #[arg(long, value_name = "URI")]
        status: Option<String>,
        /// The file to write, or - for stdout
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Replaces a file that exists
        #[arg(long)]
        yes: bool,
    },
    /// Revoke credentials for good
    #[command(after_help = "\
Examples:
  standfast credential revoke ada.jwt --urgent --wait
  standfast credential revoke https://a.example/status/1#77204
  standfast credential revoke - --confirm-broad 131072 < all.txt")]
    Revoke {
        /// Credentials, URI#INDEX, or - for lines of either
        #[arg(value_name = "WHAT", required = true)]
        what: Vec<String>,
        /// How to change the register.
        #[command(flatten)]
        change: Change,
    },
    /// Suspend credentials for a time, in a list for suspensions
    #[command(after_help = "\
Examples:
  standfast credential suspend ada.jwt --urgent --wait
  standfast credential suspend https://a.example/status/2#77204
  standfast credential suspend - --confirm-broad 131072 < all.txt")]
    Suspend {
        /// Credentials, URI#INDEX, or - for lines of either
        #[arg(value_name = "WHAT", required = true)]
        what: Vec<String>,
        /// How to change the register.
        #[command(flatten)]
        change: Change,
    },
    /// End a suspension
    #[command(after_help = "\
Examples:
  standfast credential reinstate ada.jwt --wait
  standfast credential reinstate https://a.example/status/2#77204
  standfast credential reinstate - < all.txt")]
    Reinstate {
        /// Credentials, URI#INDEX, or - for lines of either
        #[arg(value_name = "WHAT", required = true)]
        what: Vec<String>,
        /// How to change the register.
        #[command(flatten)]
        change: Change,
    },
    /// Decode a credential; says nothing on whether it is genuine
    #[command(after_help = "\
Examples:
  standfast credential show ada.jwt
  standfast credential show ada.jwt --json
  standfast credential show - < ada.jwt")]
    Show {
        /// The credential, or - for stdin
        file: PathBuf,
    },
}

//! Why a node did not start, or does not go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use standfast_protocol::bundle::BundleError;
use standfast_protocol::charter::CharterError;
use standfast_protocol::digest::Digest;
use standfast_protocol::log::note::NoteError;
use standfast_protocol::sync::SubmitError;

use crate::keystore::KeystoreError;
use crate::network::NetworkError;
use crate::network::peers::IdentityError;
use crate::store::StoreError;

/// Why a node did not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The store.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// No charter has been pinned on this data directory.
    #[error("{} holds no charter yet", .0.display())]
    NoCharter(PathBuf),
    /// Another network's charter is pinned here.
    #[error("this data directory belongs to network {held}, the charter is of network {came}")]
    OtherNetwork {
        /// The network of the charter held.
        held: Digest,
        /// The network of the charter that came.
        came: Digest,
    },
    /// A charter that does not authenticate.
    #[error("the charter does not authenticate")]
    Charter(#[from] CharterError),
    /// A charter that is no signed note.
    #[error("the charter is no signed note")]
    CharterNote(#[from] NoteError),
    /// A key.
    #[error("a key cannot be used")]
    Key(#[from] KeystoreError),
    /// A witness key that gives no pair of keys.
    #[error("expected key {0} to hold a witness's two keys")]
    WitnessKey(String),
    /// The key that names the node to its peers.
    #[error("the node's own name cannot be read or made")]
    Identity(#[from] IdentityError),
    /// An address that is none.
    #[error("expected a multiaddress such as /ip4/203.0.113.7/tcp/7411, came {0}")]
    Address(String),
    /// The network did not start.
    #[error("the network cannot be reached")]
    Network(#[from] NetworkError),
    /// The API could not listen.
    #[error("the API cannot listen on {address}")]
    Api {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file beside the store.
    #[error("{} cannot be written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The snapshot that was there cannot be read as a bundle; the node itself starts without it.
    #[error("the snapshot cannot be read")]
    Snapshot(#[from] BundleError),
    /// A thread could not be started, or signals not be heard.
    #[error("the system gives no thread")]
    Runtime(#[source] io::Error),
    /// The thread that writes has gone.
    #[error("the store's writer has stopped")]
    WriterStopped,
    /// A submission was refused.
    #[error("it was not taken")]
    Submit(#[from] SubmitError),
    /// The node is going down.
    #[error("the node is stopping")]
    Stopping,
}

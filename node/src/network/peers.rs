//! A node's own key on the network, the file of peers that it knows, and which addresses it believes.
//!
//! ```text
//! # peers of a Standfast node, one address a line
//! /ip4/192.0.2.7/tcp/4270/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN
//! /ip6/2001:db8::7/udp/4270/quic-v1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use zeroize::Zeroizing;

use super::behaviour::peer_of;
use super::limits;

/// Why a node's network key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Reading or writing failed.
    #[error("cannot read or write the network key {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not a seed.
    #[error("expected 32 bytes in the network key {path}, and {size} came")]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size in bytes, at most 33.
        size: usize,
    },
    /// The system gave no randomness.
    #[error("the system gives no randomness for a network key")]
    Random,
}

/// Loads a node's Ed25519 network key, 32 bytes of seed, or makes it, readable by its owner alone.
///
/// The key only names the node to its peers. Nothing that a verifier believes is signed with it, so a lost key is
/// replaced by deleting the file.
pub fn load_or_create_identity(path: &Path) -> Result<Keypair, IdentityError> {
    let io_error = |source| IdentityError::Io { path: path.to_owned(), source };
    match read_seed(path) {
        Ok(seed) if seed.len() == 32 => Ok(keypair(seed)),
        Ok(seed) => Err(IdentityError::Size { path: path.to_owned(), size: seed.len() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut seed = Zeroizing::new(vec![0; 32]);
            getrandom::fill(&mut seed).map_err(|_| IdentityError::Random)?;
            replace(path, &seed, 0o600).map_err(io_error)?;
            Ok(keypair(seed))
        }
        Err(error) => Err(io_error(error)),
    }
}

fn read_seed(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut seed = Zeroizing::new(Vec::with_capacity(33));
    File::open(path)?.take(33).read_to_end(&mut seed)?;
    Ok(seed)
}

fn keypair(mut seed: Zeroizing<Vec<u8>>) -> Keypair {
    Keypair::ed25519_from_bytes(seed.as_mut_slice()).expect("every 32 bytes are an Ed25519 seed")
}

/// Reads the peers file: the addresses in it, and how many lines were not addresses of peers.
///
/// A file that is not there is empty. What follows the first 256 KiB or 256 addresses is left.
pub fn read_peers(path: &Path) -> io::Result<(Vec<Multiaddr>, usize)> {
    let mut text = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(limits::PEERS_FILE_SIZE_MAX).read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut addresses = Vec::new();
    let mut malformed = 0;
    for line in lines.take(limits::KNOWN_ADDRESSES_MAX) {
        match line.parse::<Multiaddr>() {
            Ok(address) if line.len() <= limits::ADDRESS_SIZE_MAX && peer_of(&address).is_some() => {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            _ => malformed += 1,
        }
    }
    Ok((addresses, malformed))
}

/// Replaces the peers file in one step; an empty list never replaces anything. Returns whether it was written.
pub fn write_peers(path: &Path, addresses: &[Multiaddr]) -> io::Result<bool> {
    if addresses.is_empty() {
        return Ok(false);
    }
    let mut text = String::from("# peers of a Standfast node, one address a line\n");
    for address in addresses.iter().take(limits::KNOWN_ADDRESSES_MAX) {
        text.push_str(&address.to_string());
        text.push('\n');
    }
    replace(path, text.as_bytes(), 0o644)?;
    Ok(true)
}

/// Writes a file beside `path` and renames it over it, so that a crash leaves the old or the new one whole.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = directory.join(name);
    // A file left by a crash may have other permissions.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    // The rename itself is durable only with its directory; not every system can sync one.
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
    Ok(())
}

/// Whether an address needs a name to be resolved.
pub(super) fn is_named(address: &Multiaddr) -> bool {
    address
        .iter()
        .any(|part| matches!(part, Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_)))
}

/// Returns `address` with its peer at the end.
pub(super) fn with_peer(address: Multiaddr, peer: PeerId) -> Option<Multiaddr> {
    address.with_p2p(peer).ok()
}

/// Picks what to believe of the addresses that a peer says it listens on: those on the host that it speaks from.
///
/// So a peer cannot make us dial somebody else.
pub(super) fn believable(claimed: &[Multiaddr], seen: &Multiaddr, peer: PeerId) -> Vec<Multiaddr> {
    let Some(host) = host_of(seen) else { return Vec::new() };
    let mut believed: Vec<Multiaddr> = Vec::new();
    for address in claimed.iter().filter(|address| host_of(address) == Some(host)) {
        let Some(address) = with_peer(address.clone(), peer) else { continue };
        if address.to_string().len() <= limits::ADDRESS_SIZE_MAX && !believed.contains(&address) {
            believed.push(address);
        }
        if believed.len() == limits::KNOWN_ADDRESSES_PER_PEER_MAX {
            break;
        }
    }
    believed
}

fn host_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn address(port: u16, peer: PeerId) -> Multiaddr {
        format!("/ip4/192.0.2.1/tcp/{port}/p2p/{peer}").parse().unwrap()
    }

    #[test]
    fn an_identity_is_made_once_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/peer.key");
        let made = load_or_create_identity(&path).unwrap();
        let loaded = load_or_create_identity(&path).unwrap();
        assert_eq!(made.public(), loaded.public());
        assert_eq!(fs::read(&path).unwrap().len(), 32);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
    }

    #[test]
    fn refuses_an_identity_of_another_size() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peer.key");
        for size in [0, 31, 33] {
            fs::write(&path, vec![1; size]).unwrap();
            assert!(
                matches!(load_or_create_identity(&path), Err(IdentityError::Size { size: came, .. }) if came == size)
            );
        }
    }

    #[test]
    fn an_empty_list_never_replaces_the_peers_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peers");
        assert_eq!(read_peers(&path).unwrap(), (vec![], 0));
        let peers = [address(1, PeerId::random()), address(2, PeerId::random())];
        assert!(write_peers(&path, &peers).unwrap());
        assert!(!write_peers(&path, &[]).unwrap());
        assert_eq!(read_peers(&path).unwrap(), (peers.to_vec(), 0));
    }

    #[test]
    fn a_damaged_peers_file_yields_what_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peers");
        let peer = address(1, PeerId::random());
        fs::write(&path, format!("# note\n\nnonsense\n/ip4/192.0.2.1/tcp/4\n {peer} \n{peer}\n\u{fffd}")).unwrap();
        assert_eq!(read_peers(&path).unwrap(), (vec![peer], 3));
    }

    #[test]
    fn believes_only_addresses_on_the_host_that_speaks() {
        let peer = PeerId::random();
        let claimed =
            ["/ip4/192.0.2.1/tcp/4270", "/ip4/127.0.0.1/tcp/4270", "/ip4/198.51.100.9/tcp/22", "/dns/x/tcp/1"]
                .map(|text| text.parse().unwrap());
        let seen = "/ip4/192.0.2.1/tcp/51234".parse().unwrap();
        assert_eq!(believable(&claimed, &seen, peer), vec![address(4270, peer)]);
        assert!(believable(&claimed, &"/dns/x/tcp/2".parse().unwrap(), peer).is_empty());
    }
}

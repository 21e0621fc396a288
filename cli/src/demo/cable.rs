//! The police's cable: a TCP forwarder that can be pulled, and counts what goes through it.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Connections that the forwarder keeps; the police's node opens one or two.
const CONNECTIONS_MAX: usize = 16;

struct State {
    plugged: AtomicBool,
    stopped: AtomicBool,
    bytes: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

/// A forwarder from a port of its own to a node.
pub(super) struct Cable {
    address: SocketAddr,
    state: Arc<State>,
}

impl Cable {
    /// Listens on a free port and forwards to `to`.
    pub(super) fn lay(to: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            plugged: AtomicBool::new(true),
            stopped: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            open: Mutex::default(),
        });
        let shared = state.clone();
        thread::Builder::new().name("cable".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(near) = stream
                    && shared.plugged.load(Ordering::SeqCst)
                {
                    // One that cannot be forwarded is dropped, as a broken cable would.
                    let _ = join(&shared, near, to);
                }
            }
        })?;
        Ok(Self { address, state })
    }

    /// Returns where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts all connections, and takes no new ones.
    pub(super) fn pull(&self) {
        self.state.plugged.store(false, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Takes connections again, and counts from nothing.
    pub(super) fn plug_in(&self) {
        self.state.bytes.store(0, Ordering::SeqCst);
        self.state.plugged.store(true, Ordering::SeqCst);
    }

    /// Returns the bytes that went through, both ways, since it was plugged in.
    pub(super) fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        self.pull();
        // Wakes the listener, so that its thread ends.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(200));
    }
}

fn join(state: &Arc<State>, near: TcpStream, to: SocketAddr) -> io::Result<()> {
    let far = TcpStream::connect_timeout(&to, Duration::from_secs(2))?;
    {
        let mut open = state.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= 2 * CONNECTIONS_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        open.push(near.try_clone()?);
        open.push(far.try_clone()?);
    }
    for (from, into) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
        let state = state.clone();
        thread::Builder::new().name("cable".to_owned()).spawn(move || pump(&state, from, into))?;
    }
    Ok(())
}

fn pump(state: &State, mut from: TcpStream, mut into: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let Some(bytes) = buffer.get(..count) else { break };
        if into.write_all(bytes).is_err() {
            break;
        }
        state.bytes.fetch_add(count as u64, Ordering::SeqCst);
    }
    // The other direction ends with this one.
    let _ = from.shutdown(Shutdown::Both);
    let _ = into.shutdown(Shutdown::Both);
}

//! Frames of the request-response protocol `/standfast/sync/1/<network id>`.
//!
//! ```text
//! 00 00 00 05 68 65 6c 6c 6f
//! length, big-endian   bytes
//! ```
//!
//! One frame goes each way on a stream of its own. A stream that ends before the length is a refusal. A length
//! over the bound is an error before anything is allocated, and memory grows only with bytes that have come.

use std::io;

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::StreamProtocol;
use libp2p::request_response;

use super::limits;

/// The step in which a frame's buffer grows.
const READ_STEP: usize = 16 * 1024;

/// Reads and writes length-prefixed frames within their bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameCodec {
    request_size_max: usize,
    response_size_max: usize,
}

impl Default for FrameCodec {
    fn default() -> Self {
        Self { request_size_max: limits::REQUEST_SIZE_MAX, response_size_max: limits::RESPONSE_SIZE_MAX }
    }
}

#[cfg(test)]
impl FrameCodec {
    /// A codec for a peer that does not keep to the bounds.
    pub(super) fn lawless() -> Self {
        Self { request_size_max: usize::MAX, response_size_max: usize::MAX }
    }
}

impl request_response::Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Bytes;
    type Response = Bytes;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Bytes>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.request_size_max).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Bytes>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.response_size_max).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Bytes) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &request, self.request_size_max).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, response: Bytes) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &response, self.response_size_max).await
    }
}

/// Reads one frame; `UnexpectedEof` only when not even a length came, `InvalidData` for everything malformed.
async fn read_frame<T: AsyncRead + Unpin>(io: &mut T, size_max: usize) -> io::Result<Bytes> {
    let mut prefix = [0; 4];
    io.read_exact(&mut prefix).await?;
    let size = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if size > size_max {
        return Err(malformed(format!("expected a frame of at most {size_max} bytes, and {size} were announced")));
    }
    let mut frame = Vec::with_capacity(size.min(READ_STEP));
    let mut step = [0; READ_STEP];
    while frame.len() < size {
        let want = (size - frame.len()).min(READ_STEP);
        let room = step.get_mut(..want).expect("a step is at most READ_STEP");
        let got = io.read(room).await?;
        if got == 0 {
            return Err(malformed(format!("expected a frame of {size} bytes, and {} came", frame.len())));
        }
        frame.extend_from_slice(step.get(..got).expect("a reader fills no more than it was given"));
    }
    Ok(Bytes::from(frame))
}

async fn write_frame<T: AsyncWrite + Unpin>(io: &mut T, frame: &[u8], size_max: usize) -> io::Result<()> {
    if frame.len() > size_max {
        return Err(malformed(format!("expected a frame of at most {size_max} bytes, not {}", frame.len())));
    }
    let size = u32::try_from(frame.len()).map_err(|_| malformed("expected a frame below 4 GiB".to_owned()))?;
    io.write_all(&size.to_be_bytes()).await?;
    io.write_all(frame).await?;
    io.flush().await
}

fn malformed(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    fn read(bytes: &[u8], size_max: usize) -> io::Result<Bytes> {
        block_on(read_frame(&mut Cursor::new(bytes), size_max))
    }

    #[test]
    fn reads_what_was_written() {
        for size in [0, 1, READ_STEP - 1, READ_STEP, READ_STEP + 1, 64 * 1024] {
            let frame = vec![7; size];
            let mut wire = Cursor::new(Vec::new());
            block_on(write_frame(&mut wire, &frame, 64 * 1024)).unwrap();
            assert_eq!(read(wire.get_ref(), 64 * 1024).unwrap(), frame);
        }
    }

    #[test]
    fn refuses_a_length_over_the_bound() {
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff], 64).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(read(&[0, 0, 0, 65], 64).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn tells_a_refusal_from_a_broken_frame() {
        assert_eq!(read(&[], 64).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read(&[0, 0], 64).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read(&[0, 0, 0, 4, 1, 2], 64).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn writes_nothing_over_the_bound() {
        let mut wire = Cursor::new(Vec::new());
        assert!(block_on(write_frame(&mut wire, &[0; 65], 64)).is_err());
        assert!(wire.get_ref().is_empty());
    }
}

//! One connection: what quinn-proto does not know about it.

use std::{net::SocketAddr, time::Instant};

use quinn_proto::{ReadError, Side, StreamId, VarInt, WriteError};

use crate::{
    commands::Target,
    events::EventBatch,
    frames::{FrameDecoder, FrameTooLarge},
    outgoing::Outgoing,
    tls,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Handshaking,
    Open,
    /// Sends what is queued, then closes with the code.
    Flushing,
    /// Closed in QUIC's sense; waits to be drained.
    Closed,
}

pub struct Connection {
    pub quic: quinn_proto::Connection,
    /// Cleared once JavaScript was told about the end.
    pub target: Option<Target>,
    pub phase: Phase,
    pub stream: Option<StreamId>,
    pub out: Outgoing,
    pub decoder: FrameDecoder,
    pub remote: SocketAddr,
    /// JavaScript asked to be told when the buffer has drained.
    pub watched: bool,
    /// A handshake from an address that proved nothing yet; counts towards Retry.
    pub unvalidated: bool,
    pub full_handshake: bool,
    /// End of the handshake's or the flush's time.
    pub deadline: Option<Instant>,
    pub scheduled: Option<Instant>,
    /// In the driver's list of connections to look at in this turn.
    pub touched: bool,
    /// Has unread data because JavaScript is behind.
    pub paused: bool,
    /// Has much to send: worth a segmented send.
    pub bulk: bool,
    pub close_code: u32,
    pub close_reason: String,
    /// The first report of an unreachable port since the last datagram.
    pub unreachable_since: Option<Instant>,
}

/// How reading the stream ended for now.
pub enum ReadEnd {
    Blocked,
    /// JavaScript is behind; data is left in the stream.
    NoRoom,
    Fin,
    Reset(VarInt),
    TooLarge(u32),
}

impl Connection {
    pub fn new(quic: quinn_proto::Connection, target: Target, max_frame_bytes: u32) -> Self {
        let remote = quic.remote_address();
        Self {
            quic,
            target: Some(target),
            phase: Phase::Handshaking,
            stream: None,
            out: Outgoing::default(),
            decoder: FrameDecoder::new(max_frame_bytes),
            remote,
            watched: false,
            unvalidated: false,
            full_handshake: false,
            deadline: None,
            scheduled: None,
            touched: false,
            paused: false,
            bulk: false,
            close_code: 0,
            close_reason: String::new(),
            unreachable_since: None,
        }
    }

    pub fn is_client(&self) -> bool {
        self.quic.side() == Side::Client
    }

    /// Call after each step of the handshake on this thread.
    pub fn note_handshake(&mut self) {
        if self.phase == Phase::Handshaking {
            self.full_handshake |= tls::take_full_handshake();
        }
    }

    /// The earliest time at which something must be done.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        match (self.quic.poll_timeout(), self.deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Reads whole frames into `events` until the stream has no more or `events` has no room.
    pub fn read(&mut self, slot: u32, events: &mut EventBatch, room: usize) -> (ReadEnd, u64) {
        let Some(stream) = self.stream else { return (ReadEnd::Blocked, 0) };
        let mut frames = 0;
        let mut recv = self.quic.recv_stream(stream);
        let Ok(mut chunks) = recv.read(true) else { return (ReadEnd::Blocked, 0) };
        let end = loop {
            if events.size() >= room {
                break ReadEnd::NoRoom;
            }
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => {
                    let fed = self.decoder.feed(&chunk.bytes, |frame| {
                        frames += 1;
                        events.frame(slot, frame);
                    });
                    if let Err(FrameTooLarge(length)) = fed {
                        break ReadEnd::TooLarge(length);
                    }
                }
                Ok(None) => break ReadEnd::Fin,
                Err(ReadError::Blocked) => break ReadEnd::Blocked,
                Err(ReadError::Reset(code)) => break ReadEnd::Reset(code),
            }
        };
        let _ = chunks.finalize();
        (end, frames)
    }

    /// Gives the stream what it accepts. Returns how many bytes left the queue.
    pub fn write(&mut self) -> Result<usize, WriteError> {
        let Some(stream) = self.stream else { return Ok(0) };
        if self.out.is_empty() {
            return Ok(0);
        }
        let written = self.out.write(&mut self.quic.send_stream(stream))?;
        self.bulk |= written > 4096;
        Ok(written)
    }

    /// Writes straight to the stream what fits, queues the rest. Returns how many bytes were written.
    pub fn send(&mut self, bytes: &[u8]) -> Result<usize, WriteError> {
        let Some(stream) = self.stream.filter(|_| self.out.is_empty()) else {
            self.out.push(bytes);
            return Ok(0);
        };
        let written = match self.quic.send_stream(stream).write(bytes) {
            Ok(written) => written,
            Err(WriteError::Blocked) => 0,
            Err(error) => return Err(error),
        };
        self.out.push(&bytes[written..]);
        self.bulk |= written > 4096;
        Ok(written)
    }

    /// Whether the peer has acknowledged everything. When not, a writable event comes when it has.
    pub fn all_acknowledged(&mut self) -> bool {
        let Some(stream) = self.stream else { return true };
        // With a window of one byte the stream accepts a write only while nothing is in flight.
        self.quic.set_send_window(1);
        !matches!(self.quic.send_stream(stream).write(&[]), Err(WriteError::Blocked))
    }
}

//! Bytes that a connection's stream has not accepted yet.

use std::collections::VecDeque;

use bytes::Bytes;
use quinn_proto::{SendStream, WriteError};

/// Shared bodies up to this size are copied: cheaper than one more piece in the send buffer.
const COPY_MAX: usize = 1024;

#[derive(Default)]
pub struct Outgoing {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Outgoing {
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.push_piece(Bytes::copy_from_slice(bytes));
    }

    pub fn push_shared(&mut self, head: &[u8], body: &Bytes) {
        if body.len() <= COPY_MAX {
            self.push_piece([head, body].concat().into());
        } else {
            self.push(head);
            self.push_piece(body.clone());
        }
    }

    fn push_piece(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// Gives the stream what it accepts now. Returns the number of bytes it took.
    pub fn write(&mut self, stream: &mut SendStream) -> Result<usize, WriteError> {
        let before = self.bytes;
        while !self.pieces.is_empty() {
            match stream.write_chunks(self.pieces.make_contiguous()) {
                Ok(written) => {
                    self.pieces.drain(..written.chunks);
                    self.bytes -= written.bytes;
                }
                Err(WriteError::Blocked) => break,
                Err(error) => return Err(error),
            }
        }
        if self.pieces.is_empty() && self.pieces.capacity() > 4 {
            self.pieces = VecDeque::new();
        }
        Ok(before - self.bytes)
    }

    /// Forgets everything. Returns the number of bytes that were here.
    pub fn clear(&mut self) -> usize {
        self.pieces = VecDeque::new();
        std::mem::take(&mut self.bytes)
    }
}

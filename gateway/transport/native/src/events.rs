//! What the driver tells JavaScript, packed: payload bytes first, then 32-bit words, then the number of words.
//! The same format is read in `packing.ts`.

const FRAME: u32 = 1;
const OPENED: u32 = 2;
const MOVED: u32 = 3;
const WRITABLE: u32 = 4;
const CLOSED: u32 = 5;
const STOPPED: u32 = 6;

const KEPT_BYTES_MAX: usize = 256 * 1024;

/// Who ended a connection; the numbers are part of the packed format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Local = 0,
    Peer = 1,
    Fin = 2,
    Lost = 3,
}

/// Events in the order in which they happened.
#[derive(Default)]
pub struct EventBatch {
    payload: Vec<u8>,
    words: Vec<u32>,
}

impl EventBatch {
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Bytes that wait for JavaScript, words included.
    pub fn size(&self) -> usize {
        self.payload.len() + 4 * self.words.len()
    }

    pub fn frame(&mut self, slot: u32, bytes: &[u8]) {
        self.payload.extend_from_slice(bytes);
        self.words.extend([head(FRAME, slot), bytes.len() as u32]);
    }

    pub fn opened(&mut self, slot: u32, generation: u32, address: &str, port: u16, resumed: bool) {
        self.words.extend([head(OPENED, slot), generation, u32::from(port), u32::from(resumed)]);
        self.text(address);
    }

    pub fn moved(&mut self, slot: u32, address: &str, port: u16, resumed: bool) {
        self.words.extend([head(MOVED, slot), u32::from(port), u32::from(resumed)]);
        self.text(address);
    }

    pub fn writable(&mut self, slot: u32) {
        self.words.push(head(WRITABLE, slot));
    }

    pub fn closed(&mut self, slot: u32, origin: Origin, code: u64, reason: &str) {
        self.words.extend([head(CLOSED, slot), origin as u32, code as u32, (code >> 32) as u32]);
        self.text(reason);
    }

    /// The last event of an endpoint: its socket is free. A reason tells that it failed.
    pub fn stopped(&mut self, reason: &str) {
        self.words.push(head(STOPPED, 0));
        self.text(reason);
    }

    fn text(&mut self, text: &str) {
        self.payload.extend_from_slice(text.as_bytes());
        self.words.push(text.len() as u32);
    }

    /// Moves all events of `later` behind the ones that are here.
    pub fn append(&mut self, later: &mut EventBatch) {
        if self.is_empty() {
            std::mem::swap(self, later);
        } else {
            self.payload.append(&mut later.payload);
            self.words.append(&mut later.words);
        }
    }

    /// The packed bytes; the batch is empty afterwards and keeps the room for its words.
    pub fn pack(&mut self) -> Vec<u8> {
        let mut packed = std::mem::take(&mut self.payload);
        packed.reserve_exact(3 + 4 * self.words.len() + 4);
        packed.resize(packed.len().next_multiple_of(4), 0);
        for word in &self.words {
            packed.extend_from_slice(&word.to_ne_bytes());
        }
        packed.extend_from_slice(&(self.words.len() as u32).to_ne_bytes());
        self.words.clear();
        // The next batch is likely as large as this one: no growing step by step.
        self.payload = Vec::with_capacity(packed.len().min(KEPT_BYTES_MAX));
        packed
    }
}

fn head(kind: u32, slot: u32) -> u32 {
    kind | slot << 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_payload_words_and_count() {
        let mut batch = EventBatch::default();
        batch.frame(5, b"abc");
        let mut later = EventBatch::default();
        later.closed(5, Origin::Peer, (1 << 32) + 2, "bye");
        batch.append(&mut later);
        assert!(later.is_empty());
        let packed = batch.pack();
        assert!(batch.is_empty());
        assert_eq!(packed.len() % 4, 0);
        assert_eq!(&packed[..8], b"abcbye\0\0");
        let words: Vec<u32> = packed[8..].chunks(4).map(|w| u32::from_ne_bytes(w.try_into().unwrap())).collect();
        assert_eq!(words, [1 | 5 << 4, 3, 5 | 5 << 4, 1, 2, 1, 3, 7]);
    }
}

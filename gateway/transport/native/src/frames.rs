//! Frames on a byte stream: a 4-byte big-endian length N, then N bytes.

/// The announced length of a frame that is larger than allowed.
#[derive(Debug, PartialEq, Eq)]
pub struct FrameTooLarge(pub u32);

/// Finds whole frames in a stream that arrives in pieces. Keeps only what belongs to an unfinished frame,
/// and grows with what arrived, not with what a length announces.
pub struct FrameDecoder {
    max: u32,
    header: [u8; 4],
    header_len: u8,
    missing: u32,
    body: Vec<u8>,
}

impl FrameDecoder {
    pub fn new(max: u32) -> Self {
        Self { max, header: [0; 4], header_len: 0, missing: 0, body: Vec::new() }
    }

    /// Takes the next bytes and calls `frame` with each whole frame, in order.
    pub fn feed(&mut self, mut bytes: &[u8], mut frame: impl FnMut(&[u8])) -> Result<(), FrameTooLarge> {
        while !bytes.is_empty() {
            if self.header_len < 4 {
                let Some(length) = self.take_header(&mut bytes) else { return Ok(()) };
                if length > self.max {
                    return Err(FrameTooLarge(length));
                }
                self.missing = length;
                if bytes.len() >= length as usize {
                    let (whole, rest) = bytes.split_at(length as usize);
                    frame(whole);
                    bytes = rest;
                    self.header_len = 0;
                }
                continue;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(self.missing as usize));
            self.body.extend_from_slice(part);
            self.missing -= part.len() as u32;
            bytes = rest;
            if self.missing == 0 {
                frame(&self.body);
                self.body = Vec::new();
                self.header_len = 0;
            }
        }
        Ok(())
    }

    /// True when the stream stands inside a frame, so that its end would cut one.
    pub fn inside_frame(&self) -> bool {
        self.header_len > 0
    }

    fn take_header(&mut self, bytes: &mut &[u8]) -> Option<u32> {
        if self.header_len == 0 && bytes.len() >= 4 {
            let (header, rest) = bytes.split_at(4);
            *bytes = rest;
            self.header_len = 4;
            return Some(u32::from_be_bytes(header.try_into().unwrap()));
        }
        let count = bytes.len().min(4 - self.header_len as usize);
        let start = self.header_len as usize;
        self.header[start..start + count].copy_from_slice(&bytes[..count]);
        self.header_len += count as u8;
        *bytes = &bytes[count..];
        (self.header_len == 4).then(|| u32::from_be_bytes(self.header))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut stream = Vec::new();
        for frame in frames {
            stream.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            stream.extend_from_slice(frame);
        }
        stream
    }

    fn decode(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut decoder = FrameDecoder::new(1000);
        let mut frames = Vec::new();
        for piece in pieces {
            decoder.feed(piece, |frame| frames.push(frame.to_vec())).unwrap();
        }
        assert!(!decoder.inside_frame());
        frames
    }

    #[test]
    fn any_two_cuts_give_the_same_frames() {
        let frames = vec![b"hello".to_vec(), vec![], vec![7; 20], b"x".to_vec(), vec![]];
        let stream = encode(&frames);
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(decode(&pieces), frames, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn single_bytes_give_the_same_frames() {
        let frames = vec![vec![1, 2, 3], vec![], vec![9; 300]];
        let stream = encode(&frames);
        let pieces: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(decode(&pieces), frames);
    }

    #[test]
    fn too_large_is_refused_at_the_header() {
        let mut decoder = FrameDecoder::new(1000);
        let mut seen = 0;
        assert_eq!(decoder.feed(&1000u32.to_be_bytes(), |_| seen += 1), Ok(()));
        assert_eq!(decoder.feed(&[0; 1000], |_| seen += 1), Ok(()));
        assert_eq!(seen, 1);
        assert_eq!(decoder.feed(&[0, 0, 3], |_| ()), Ok(()));
        assert_eq!(decoder.feed(&[233], |_| ()), Err(FrameTooLarge(1001)));
        assert!(FrameDecoder::new(1000).feed(&[255; 5], |_| ()).is_err());
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        let mut decoder = FrameDecoder::new(1 << 20);
        decoder.feed(&(1u32 << 20).to_be_bytes(), |_| ()).unwrap();
        decoder.feed(&[1], |_| ()).unwrap();
        assert!(decoder.inside_frame());
        assert!(decoder.body.capacity() < 64);
    }
}

//! The frame decoder against a plain one: any cut of any stream gives the same frames and the same refusal.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../gateway/transport/native/src/frames.rs"]
#[allow(dead_code)]
mod frames;

use frames::FrameDecoder;

const MAX: u32 = 300;

#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    frames: Vec<Vec<u8>>,
    refused: Option<u32>,
    inside_frame: bool,
}

/// What the decoder should do, written without thought of speed.
fn expected(mut stream: &[u8]) -> Decoded {
    let mut decoded = Decoded { frames: Vec::new(), refused: None, inside_frame: false };
    while stream.len() >= 4 {
        let length = u32::from_be_bytes([stream[0], stream[1], stream[2], stream[3]]);
        if length > MAX {
            decoded.refused = Some(length);
            return decoded;
        }
        let Some(frame) = stream.get(4..4 + length as usize) else { break };
        decoded.frames.push(frame.to_vec());
        stream = &stream[4 + length as usize..];
    }
    decoded.inside_frame = !stream.is_empty();
    decoded
}

/// The first byte seeds where the stream is cut.
fn decode(seed: u8, mut stream: &[u8]) -> Decoded {
    let mut decoder = FrameDecoder::new(MAX);
    let mut decoded = Decoded { frames: Vec::new(), refused: None, inside_frame: false };
    let mut state = u32::from(seed) | 1;
    while !stream.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let cut = (1 + (state >> 24) as usize % (usize::from(seed) + 1)).min(stream.len());
        let (part, rest) = stream.split_at(cut);
        if let Err(too_large) = decoder.feed(part, |frame| decoded.frames.push(frame.to_vec())) {
            decoded.refused = Some(too_large.0);
            return decoded;
        }
        stream = rest;
    }
    decoded.inside_frame = decoder.inside_frame();
    decoded
}

fuzz_target!(|input: &[u8]| {
    let Some((seed, stream)) = input.split_first() else { return };
    let decoded = decode(*seed, stream);
    let expected = expected(stream);
    assert_eq!(decoded.refused, expected.refused);
    assert_eq!(decoded.frames, expected.frames);
    if decoded.refused.is_none() {
        assert_eq!(decoded.inside_frame, expected.inside_frame);
    }
});

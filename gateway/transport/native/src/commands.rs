//! What JavaScript asks of the driver, packed as 32-bit words and one payload; written in `packing.ts`.

use bytes::Bytes;

const SEND: u32 = 1;
const SEND_SHARED: u32 = 2;
const CLOSE: u32 = 3;
const WATCH: u32 = 4;
const CONNECT: u32 = 5;
const FINISH: u32 = 6;
const BODY: u32 = 7;
const UPDATE_KEYS: u32 = 9;
/// Written here between two flushes: the second one numbers its bodies from 0 again.
const FLUSH: u32 = 8;

/// Everything submitted since the driver last looked.
#[derive(Default)]
pub struct CommandBatch {
    pub words: Vec<u32>,
    pub payload: Vec<u8>,
}

/// A connection as both sides name it: a place in a table, and how often that place was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub slot: u32,
    pub generation: u32,
}

#[derive(Debug, PartialEq)]
pub enum Command<'a> {
    /// Bytes for the stream, their frame lengths already in them.
    Send(Target, &'a [u8]),
    /// As Send, followed by a body that many connections share.
    SendShared(Target, &'a [u8], &'a Bytes),
    /// `at_once` drops what is queued instead of sending it first.
    Close {
        target: Target,
        code: u32,
        at_once: bool,
        reason: &'a str,
    },
    /// Tell when the connection's buffer has drained below the low mark.
    Watch(Target),
    Connect {
        target: Target,
        port: u16,
        host: &'a str,
        name: &'a str,
    },
    /// End the stream in this direction.
    Finish(Target),
    /// Go on under new keys.
    UpdateKeys(Target),
}

/// The packed commands are not what `packing.ts` writes.
#[derive(Debug)]
pub struct BadCommands;

impl CommandBatch {
    /// Adds what one flush handed over behind what the driver has not taken yet.
    pub fn append(&mut self, words: &[u32], payload: &[u8]) {
        self.words.push(FLUSH);
        self.words.extend_from_slice(words);
        self.payload.extend_from_slice(payload);
    }

    /// Calls `each` with every command, in order.
    pub fn for_each(&self, mut each: impl FnMut(Command)) -> Result<(), BadCommands> {
        let mut reader = Reader { words: &self.words, payload: &self.payload };
        let mut bodies: Vec<Bytes> = Vec::new();
        while !reader.words.is_empty() {
            let head = reader.word()?;
            if head == FLUSH {
                bodies.clear();
                continue;
            }
            if head & 15 == BODY {
                let length = reader.word()?;
                bodies.push(Bytes::copy_from_slice(reader.bytes(length)?));
                continue;
            }
            let target = Target { slot: head >> 4, generation: reader.word()? };
            each(match head & 15 {
                SEND => {
                    let length = reader.word()?;
                    Command::Send(target, reader.bytes(length)?)
                }
                SEND_SHARED => {
                    let (length, body) = (reader.word()?, reader.word()?);
                    let body = bodies.get(body as usize).ok_or(BadCommands)?;
                    Command::SendShared(target, reader.bytes(length)?, body)
                }
                CLOSE => {
                    let (code, at_once, length) = (reader.word()?, reader.word()? != 0, reader.word()?);
                    Command::Close { target, code, at_once, reason: reader.text(length)? }
                }
                WATCH => Command::Watch(target),
                CONNECT => {
                    let (port, host, name) = (reader.word()? as u16, reader.word()?, reader.word()?);
                    Command::Connect { target, port, host: reader.text(host)?, name: reader.text(name)? }
                }
                FINISH => Command::Finish(target),
                UPDATE_KEYS => Command::UpdateKeys(target),
                _ => return Err(BadCommands),
            });
        }
        Ok(())
    }
}

struct Reader<'a> {
    words: &'a [u32],
    payload: &'a [u8],
}

impl<'a> Reader<'a> {
    fn word(&mut self) -> Result<u32, BadCommands> {
        let (first, rest) = self.words.split_first().ok_or(BadCommands)?;
        self.words = rest;
        Ok(*first)
    }

    fn bytes(&mut self, length: u32) -> Result<&'a [u8], BadCommands> {
        let (part, rest) = self.payload.split_at_checked(length as usize).ok_or(BadCommands)?;
        self.payload = rest;
        Ok(part)
    }

    fn text(&mut self, length: u32) -> Result<&'a str, BadCommands> {
        str::from_utf8(self.bytes(length)?).map_err(|_| BadCommands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_commands_in_order() {
        let batch = CommandBatch {
            words: vec![BODY, 2, SEND | 3 << 4, 1, 3, SEND_SHARED | 4 << 4, 9, 1, 0, CLOSE | 3 << 4, 1, 2007, 1, 4],
            payload: b"bbabcxslow".to_vec(),
        };
        let mut seen = Vec::new();
        batch.for_each(|command| seen.push(format!("{command:?}"))).unwrap();
        assert_eq!(seen.len(), 3);
        assert!(seen[0].starts_with("Send(Target { slot: 3, generation: 1 }, [97, 98, 99])"));
        assert!(seen[1].starts_with("SendShared(Target { slot: 4, generation: 9 }, [120], b\"bb\")"));
        assert!(seen[2].contains("code: 2007, at_once: true, reason: \"slow\""));
    }

    #[test]
    fn keeps_the_bodies_of_two_flushes_apart() {
        let mut batch = CommandBatch::default();
        batch.append(&[BODY, 5, SEND_SHARED | 1 << 4, 1, 1, 0], b"alice1");
        batch.append(&[BODY, 3, SEND_SHARED | 2 << 4, 1, 1, 0], b"bob2");
        let mut seen = Vec::new();
        batch
            .for_each(|command| {
                if let Command::SendShared(target, head, body) = command {
                    seen.push((target.slot, head.to_vec(), body.to_vec()));
                }
            })
            .unwrap();
        assert_eq!(seen, [(1, b"1".to_vec(), b"alice".to_vec()), (2, b"2".to_vec(), b"bob".to_vec())]);
    }

    #[test]
    fn refuses_what_is_cut_or_unknown() {
        for words in [vec![SEND, 1], vec![SEND, 1, 9], vec![SEND_SHARED, 1, 0, 0], vec![15, 1], vec![BODY, 7]] {
            let batch = CommandBatch { words, payload: vec![0; 3] };
            assert!(batch.for_each(|_| ()).is_err());
        }
    }
}

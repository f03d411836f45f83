//! The life of a connection: events, frames, datagrams.

use quinn_proto::{ConnectionError, ConnectionHandle, Dir, Event, StreamEvent, WriteError};

use crate::{
    address::plain_ip,
    commands::Target,
    connection::{Connection, Phase, ReadEnd},
    driver::Driver,
    events::Origin,
    mailbox::add,
};

const SEGMENTS_MAX: usize = 10;
const FRAME_TOO_LARGE: u32 = 4002;

impl Driver {
    /// Passes events between the connection, the endpoint and JavaScript, then sends what it has to send.
    pub(crate) fn drive(&mut self, handle: ConnectionHandle) {
        let Some(mut connection) = self.connections[handle.0].take() else { return };
        connection.touched = false;
        let mut drained = false;
        loop {
            while let Some(event) = connection.quic.poll_endpoint_events() {
                drained |= event.is_drained();
                if let Some(event) = self.endpoint.handle_event(handle, event) {
                    connection.quic.handle_event(event);
                }
            }
            let Some(event) = connection.quic.poll() else { break };
            self.event(handle, &mut connection, event);
        }
        if drained {
            self.end(&mut connection, Origin::Lost, 0, "drained");
            return;
        }
        self.note_move(&mut connection);
        if !self.transmit(&mut connection) {
            connection.touched = true;
            self.touched.push(handle.0);
        }
        let deadline = connection.next_deadline();
        self.timers.schedule(handle.0, &mut connection.scheduled, deadline);
        self.connections[handle.0] = Some(connection);
    }

    /// False when the socket took no more.
    fn transmit(&mut self, connection: &mut Connection) -> bool {
        let segments = if connection.bulk && self.sender.segments { SEGMENTS_MAX } else { 1 };
        connection.bulk = false;
        while !self.sender.blocked {
            let mut buffer = self.sender.buffer();
            let Some(transmit) = connection.quic.poll_transmit(self.now, segments, &mut buffer) else {
                self.sender.put_back(buffer);
                return true;
            };
            self.sender.push(&self.socket, transmit, buffer);
        }
        false
    }

    fn event(&mut self, handle: ConnectionHandle, connection: &mut Connection, event: Event) {
        match event {
            Event::Connected => self.connected(connection),
            Event::ConnectionLost { reason } => {
                let (origin, code, text) = match reason {
                    ConnectionError::ApplicationClosed(close) => {
                        let text = String::from_utf8_lossy(&close.reason).into_owned();
                        (Origin::Peer, close.error_code.into_inner(), text)
                    }
                    other => (Origin::Lost, 0, other.to_string()),
                };
                self.end(connection, origin, code, &text);
            }
            Event::Stream(StreamEvent::Opened { dir: Dir::Bi }) => {
                connection.stream = connection.quic.streams().accept(Dir::Bi);
                self.write(connection);
                self.read_from(handle, connection);
            }
            Event::Stream(StreamEvent::Readable { .. }) => self.read_from(handle, connection),
            Event::Stream(StreamEvent::Writable { .. }) => {
                self.write(connection);
                self.finish_flush(connection);
            }
            Event::Stream(StreamEvent::Stopped { error_code, .. }) => {
                let reason = format!("the peer reads its stream no more (code {error_code})");
                self.abandon(connection, Origin::Lost, &reason);
            }
            _ => {}
        }
    }

    fn connected(&mut self, connection: &mut Connection) {
        let Some(target) = connection.target else { return };
        connection.phase = Phase::Open;
        connection.deadline = None;
        self.handshake_over(connection);
        if connection.is_client() {
            connection.stream = connection.quic.streams().open(Dir::Bi);
            if connection.stream.is_none() {
                return self.abandon(connection, Origin::Lost, "the peer permits no stream");
            }
        }
        connection.remote = connection.quic.remote_address();
        let address = plain_ip(connection.remote).to_string();
        let resumed = !connection.full_handshake;
        self.events.opened(target.slot, target.generation, &address, connection.remote.port(), resumed);
        // What was sent while the handshake ran.
        self.write(connection);
    }

    pub(crate) fn handshake_over(&mut self, connection: &mut Connection) {
        self.handshakes -= 1;
        self.unvalidated -= usize::from(std::mem::take(&mut connection.unvalidated));
    }

    fn note_move(&mut self, connection: &mut Connection) {
        let remote = connection.quic.remote_address();
        if remote == connection.remote {
            return;
        }
        connection.remote = remote;
        if let (Some(target), Phase::Open) = (connection.target, connection.phase) {
            let address = plain_ip(remote).to_string();
            self.events.moved(target.slot, &address, remote.port(), !connection.full_handshake);
        }
    }

    pub(crate) fn read(&mut self, handle: ConnectionHandle) {
        if let Some(mut connection) = self.connections[handle.0].take() {
            self.read_from(handle, &mut connection);
            self.connections[handle.0] = Some(connection);
        }
    }

    fn read_from(&mut self, handle: ConnectionHandle, connection: &mut Connection) {
        let (Some(target), Phase::Open, false) = (connection.target, connection.phase, connection.paused) else {
            return;
        };
        let room = (self.limits.receive_bytes_max / 2).saturating_sub(self.waiting_bytes);
        let (end, frames) = connection.read(target.slot, &mut self.events, room);
        add(&self.mailbox.stats.frames_received, frames);
        match end {
            ReadEnd::Blocked => {}
            ReadEnd::NoRoom => {
                connection.paused = true;
                self.paused.push(handle.0);
            }
            ReadEnd::Fin => {
                let cut = if connection.decoder.inside_frame() { "inside a frame" } else { "" };
                self.end(connection, Origin::Fin, 0, cut);
                self.begin_close(connection, 0, String::new());
            }
            ReadEnd::Reset(code) => {
                let reason = format!("the peer reset its stream (code {code})");
                self.abandon(connection, Origin::Lost, &reason);
            }
            ReadEnd::TooLarge(length) => {
                let max = self.limits.max_frame_bytes;
                let reason = format!("frame of {length} bytes, at most {max}");
                self.close_now(connection, FRAME_TOO_LARGE, &reason);
            }
        }
    }

    /// Moves queued bytes into the stream and tells how many went.
    pub(crate) fn write(&mut self, connection: &mut Connection) {
        let written = connection.write();
        self.wrote(connection, written);
    }

    pub(crate) fn wrote(&mut self, connection: &mut Connection, written: Result<usize, WriteError>) {
        // A stopped stream ends the connection when its event comes.
        let written = written.unwrap_or_else(|_| connection.out.clear());
        let Some(target) = connection.target else { return };
        self.drained(target, written);
        if connection.watched && connection.out.bytes() <= self.limits.send_low_bytes {
            connection.watched = false;
            self.events.writable(target.slot);
        }
    }

    pub(crate) fn drained(&self, target: Target, count: usize) {
        use std::sync::atomic::Ordering::Relaxed;
        let counter = &self.mailbox.drained[target.slot as usize];
        counter.store(counter.load(Relaxed).wrapping_add(count as u32), Relaxed);
    }
}

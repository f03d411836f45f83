//! From the first datagram of a connection to its last: admission, events, frames, the end.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use quinn_proto::{ConnectionError, ConnectionHandle, Dir, Event, Incoming, StreamEvent, VarInt, WriteError};

use crate::{
    address::plain_ip,
    commands::Target,
    connection::{Connection, Phase, ReadEnd},
    driver::Driver,
    events::Origin,
    mailbox::add,
    tls,
};

/// For what is queued to be acknowledged before a close.
const FLUSH_TIME: Duration = Duration::from_secs(1);
const SEGMENTS_MAX: usize = 10;
const FRAME_TOO_LARGE: u32 = 4002;
/// Reports of an unreachable port, without a datagram in between, that end an open client connection.
const UNREACHABLE_MAX: u8 = 3;

impl Driver {
    /// Accepts, refuses or asks for address validation.
    pub(crate) fn admit(&mut self, incoming: Incoming, mut response: Vec<u8>) {
        let full = self.live >= self.limits.connections_max || !self.has_slot();
        if !self.accepting || full || self.stop_at.is_some() {
            let transmit = self.endpoint.refuse(incoming, &mut response);
            return self.sender.push(&self.socket, transmit, response);
        }
        let validated = incoming.remote_address_validated();
        if !validated && self.unvalidated >= self.limits.retry_threshold && incoming.may_retry() {
            match self.endpoint.retry(incoming, &mut response) {
                Ok(transmit) => {
                    add(&self.mailbox.stats.retries_sent, 1);
                    self.sender.push(&self.socket, transmit, response);
                }
                Err(error) => self.endpoint.ignore(error.into_incoming()),
            }
            return;
        }
        match self.endpoint.accept(incoming, self.now, &mut response, None) {
            Ok((handle, quic)) => {
                self.sender.put_back(response);
                let target = self.take_slot();
                let connection = Connection::new(quic, target, self.limits.max_frame_bytes);
                self.insert(handle, connection, !validated);
            }
            Err(error) => {
                tls::take_full_handshake();
                match error.response {
                    Some(transmit) => self.sender.push(&self.socket, transmit, response),
                    None => self.sender.put_back(response),
                }
            }
        }
    }

    pub(crate) fn insert(&mut self, handle: ConnectionHandle, mut connection: Connection, unvalidated: bool) {
        connection.note_handshake();
        connection.unvalidated = unvalidated;
        connection.deadline = Some(self.now + self.limits.handshake_timeout);
        self.live += 1;
        self.handshakes += 1;
        self.unvalidated += usize::from(unvalidated);
        if let Some(target) = connection.target {
            self.slots[target.slot as usize].0 = Some(handle);
        }
        if self.connections.len() <= handle.0 {
            self.connections.resize_with(handle.0 + 1, || None);
        }
        self.connections[handle.0] = Some(Box::new(connection));
        self.touch(handle);
    }

    fn has_slot(&self) -> bool {
        !self.free_slots.is_empty() || self.slots.len() < self.limits.slots as usize
    }

    /// The slot unused for longest, so that a late command for its last user meets another generation.
    fn take_slot(&mut self) -> Target {
        let slot = match self.free_slots.pop_front() {
            Some(slot) => slot,
            None => {
                self.slots.push((None, 0));
                self.slots.len() as u32 - 1
            }
        };
        let entry = &mut self.slots[slot as usize];
        entry.1 += 1;
        Target { slot, generation: entry.1 }
    }

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
                connection.phase = Phase::Closed;
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

    fn handshake_over(&mut self, connection: &mut Connection) {
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

    fn drained(&self, target: Target, count: usize) {
        use std::sync::atomic::Ordering::Relaxed;
        let counter = &self.mailbox.drained[target.slot as usize];
        counter.store(counter.load(Relaxed).wrapping_add(count as u32), Relaxed);
    }

    /// Sends what is queued, then closes; the end is reported when that is done.
    pub(crate) fn begin_close(&mut self, connection: &mut Connection, code: u32, reason: String) {
        if connection.phase == Phase::Handshaking {
            return self.close_now(connection, code, &reason);
        }
        if connection.phase == Phase::Open {
            connection.phase = Phase::Flushing;
            connection.deadline = Some(self.now + FLUSH_TIME);
            (connection.close_code, connection.close_reason) = (code, reason);
            self.finish_flush(connection);
        }
    }

    fn finish_flush(&mut self, connection: &mut Connection) {
        if connection.phase == Phase::Flushing && connection.out.is_empty() && connection.all_acknowledged() {
            let (code, reason) = (connection.close_code, std::mem::take(&mut connection.close_reason));
            self.close_now(connection, code, &reason);
        }
    }

    /// Closes without waiting for anything that is queued.
    pub(crate) fn close_now(&mut self, connection: &mut Connection, code: u32, reason: &str) {
        connection.quic.close(self.now, VarInt::from_u32(code), Bytes::copy_from_slice(reason.as_bytes()));
        self.end(connection, Origin::Local, code.into(), reason);
    }

    /// Closes because the peer or the path left no other choice.
    pub(crate) fn abandon(&mut self, connection: &mut Connection, origin: Origin, reason: &str) {
        connection.quic.close(self.now, VarInt::from_u32(0), Bytes::copy_from_slice(reason.as_bytes()));
        self.end(connection, origin, 0, reason);
    }

    /// Tells JavaScript, once, and frees the slot. After a FIN the connection goes on flushing without a slot.
    fn end(&mut self, connection: &mut Connection, origin: Origin, code: u64, reason: &str) {
        let flushes_on = origin == Origin::Fin;
        if connection.phase == Phase::Handshaking {
            self.handshake_over(connection);
        }
        if let Some(target) = connection.target.take() {
            self.live -= 1;
            self.drained(target, connection.out.bytes());
            let slot = target.slot as usize;
            self.slots[slot].0 = None;
            if connection.is_client() || connection.phase != Phase::Handshaking {
                self.events.closed(target.slot, origin, code, reason);
            }
            if !connection.is_client() {
                self.free_slots.push_back(target.slot);
            }
        }
        if !flushes_on {
            connection.phase = Phase::Closed;
            connection.deadline = None;
            connection.out.clear();
        }
    }

    /// The handshake or the flush before a close took too long.
    pub(crate) fn out_of_time(&mut self, handle: ConnectionHandle) {
        let Some(mut connection) = self.connections[handle.0].take() else { return };
        match connection.phase {
            Phase::Handshaking => self.abandon(&mut connection, Origin::Lost, "handshake timed out"),
            Phase::Flushing => {
                let (code, reason) = (connection.close_code, std::mem::take(&mut connection.close_reason));
                self.close_now(&mut connection, code, &reason);
            }
            Phase::Open | Phase::Closed => {}
        }
        self.connections[handle.0] = Some(connection);
        self.touch(handle);
    }

    /// Nobody listens at this address: a handshake ends at once, an open connection after a few reports.
    pub(crate) fn unreachable(&mut self, remote: SocketAddr) {
        for key in 0..self.connections.len() {
            let Some(mut connection) = self.connections[key].take_if(|c| c.remote == remote && c.target.is_some())
            else {
                continue;
            };
            connection.unreachable += 1;
            let gone = connection.phase == Phase::Handshaking || connection.unreachable >= UNREACHABLE_MAX;
            if gone {
                self.abandon(&mut connection, Origin::Lost, "port unreachable");
            }
            self.connections[key] = Some(connection);
            self.touch(ConnectionHandle(key));
        }
    }

    /// The end of a shutdown: closes what is left. True when everything has left the socket or had its time.
    pub(crate) fn close_all_now(&mut self) -> bool {
        for key in 0..self.connections.len() {
            if let Some(mut connection) = self.connections[key].take() {
                if connection.phase != Phase::Closed {
                    let (code, reason) = (connection.close_code, std::mem::take(&mut connection.close_reason));
                    self.close_now(&mut connection, code, &reason);
                }
                self.connections[key] = Some(connection);
                self.touch(ConnectionHandle(key));
            }
        }
        self.now = Instant::now();
        self.drive_touched();
        let expired = self.stop_at.is_some_and(|at| self.now >= at);
        if self.sender.blocked && !expired {
            return false;
        }
        self.events.stopped("");
        self.publish();
        true
    }
}

//! The ends of connections, and of the endpoint.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use quinn_proto::{ConnectionHandle, VarInt};

use crate::{
    connection::{Connection, Phase},
    driver::Driver,
    events::Origin,
};

/// For what is queued to be acknowledged before a close.
const FLUSH_TIME: Duration = Duration::from_secs(1);
/// For how long the port of an open connection must be reported unreachable, without a datagram in between.
const UNREACHABLE_TIME: Duration = Duration::from_millis(100);

impl Driver {
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

    pub(crate) fn finish_flush(&mut self, connection: &mut Connection) {
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
    pub(crate) fn end(&mut self, connection: &mut Connection, origin: Origin, code: u64, reason: &str) {
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

    /// Nobody listens at this address: a handshake ends at once, an open connection when that stays so.
    pub(crate) fn unreachable(&mut self, remote: SocketAddr) {
        for key in 0..self.connections.len() {
            let Some(mut connection) = self.connections[key].take_if(|c| c.remote == remote && c.target.is_some())
            else {
                continue;
            };
            let since = *connection.unreachable_since.get_or_insert(self.now);
            let gone = connection.phase == Phase::Handshaking || self.now - since >= UNREACHABLE_TIME;
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

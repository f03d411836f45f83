//! Who may connect: limits, address validation, a slot for each connection.

use quinn_proto::{ConnectionHandle, Incoming};

use crate::{commands::Target, connection::Connection, driver::Driver, mailbox::add, tls};

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
}

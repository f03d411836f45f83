//! What JavaScript asks for, applied to the driver.

use std::net::{IpAddr, SocketAddr};

use quinn_proto::ConnectionHandle;

use crate::{
    address::for_family,
    commands::{Command, Target},
    connection::{Connection, Phase},
    driver::Driver,
    events::Origin,
    mailbox::{Control, Outbox},
};

impl Driver {
    /// True when the environment goes away and the driver must end.
    pub(crate) fn take_requests(&mut self) -> bool {
        let mut outbox = std::mem::take(&mut self.outbox);
        if self.mailbox.take_outbox(&mut outbox) {
            let result = outbox.commands.for_each(|command| self.command(command));
            result.expect("commands are packed by the same version of the addon's TypeScript");
            for control in outbox.controls.drain(..) {
                if self.control(control) {
                    return true;
                }
            }
            reuse(&mut outbox);
        }
        self.outbox = outbox;
        false
    }

    fn control(&mut self, control: Control) -> bool {
        match control {
            Control::StopAccepting => self.accepting = false,
            Control::Rebind(socket) => {
                self.socket = socket;
                for key in 0..self.connections.len() {
                    if let Some(connection) = self.connections[key].as_mut() {
                        connection.quic.local_address_changed();
                        self.touch(ConnectionHandle(key));
                    }
                }
            }
            Control::Shutdown { code, reason, within } => {
                self.stop_at.get_or_insert(self.now + within);
                for key in 0..self.connections.len() {
                    self.with(ConnectionHandle(key), |driver, connection| {
                        driver.begin_close(connection, code, reason.clone());
                    });
                }
            }
            Control::Abort => return true,
        }
        false
    }

    /// Lends the connection out of its table, and drives it afterwards.
    fn with(&mut self, handle: ConnectionHandle, act: impl FnOnce(&mut Self, &mut Connection)) {
        if let Some(mut connection) = self.connections[handle.0].take() {
            act(self, &mut connection);
            self.connections[handle.0] = Some(connection);
            self.touch(handle);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Send(target, bytes) => self.open(target, |driver, connection| {
                let written = connection.send(bytes);
                driver.wrote(connection, written);
            }),
            Command::SendShared(target, head, body) => self.open(target, |driver, connection| {
                connection.out.push_shared(head, body);
                driver.write(connection);
            }),
            Command::Close { target, code, at_once, reason } => self.open(target, |driver, connection| {
                if at_once {
                    driver.close_now(connection, code, reason);
                } else {
                    driver.begin_close(connection, code, reason.to_string());
                }
            }),
            Command::Watch(target) => self.open(target, |driver, connection| {
                connection.watched = true;
                driver.wrote(connection, Ok(0));
            }),
            Command::Finish(target) => self.open(target, |_, connection| {
                if let Some(stream) = connection.stream {
                    let _ = connection.quic.send_stream(stream).finish();
                }
            }),
            Command::UpdateKeys(target) => self.open(target, |_, connection| connection.quic.force_key_update()),
            Command::Connect { target, port, host, name } => self.connect(target, host, port, name),
        }
    }

    /// Acts on the connection unless it is gone or on its way out.
    fn open(&mut self, target: Target, act: impl FnOnce(&mut Self, &mut Connection)) {
        let Some((Some(handle), generation)) = self.slots.get(target.slot as usize) else { return };
        if *generation == target.generation {
            let handle = *handle;
            self.with(handle, |driver, connection| {
                if matches!(connection.phase, Phase::Open | Phase::Handshaking) {
                    act(driver, connection);
                }
            });
        }
    }

    fn connect(&mut self, target: Target, host: &str, port: u16, name: &str) {
        let slot = target.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, (None, 0));
        }
        self.slots[slot] = (None, target.generation);
        if let Err(reason) = self.try_connect(target, host, port, name) {
            self.events.closed(target.slot, Origin::Lost, 0, &reason);
        }
    }

    fn try_connect(&mut self, target: Target, host: &str, port: u16, name: &str) -> Result<(), String> {
        if self.stop_at.is_some() {
            return Err("the transport shuts down".into());
        }
        let ip: IpAddr = host.parse().map_err(|_| format!("{host:?} is not an IP address"))?;
        if ip.is_ipv6() && !self.socket.v6 {
            return Err(format!("{ip}: this machine has no IPv6"));
        }
        let remote = for_family(SocketAddr::new(ip, port), self.socket.v6);
        let config = self.client_config.clone().ok_or("a server does not connect")?;
        let (handle, quic) =
            self.endpoint.connect(self.now, config, remote, name).map_err(|error| error.to_string())?;
        self.insert(handle, Connection::new(quic, target, self.limits.max_frame_bytes), false);
        Ok(())
    }
}

/// Empties the outbox; room for rare large flushes is given back.
fn reuse(outbox: &mut Outbox) {
    outbox.commands.words.clear();
    outbox.commands.payload.clear();
    outbox.commands.words.shrink_to(64 * 1024);
    outbox.commands.payload.shrink_to(1 << 20);
}

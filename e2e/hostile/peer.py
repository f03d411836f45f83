"""A QUIC client on aioquic whose packets are written by hand once it has keys: nothing keeps it to the rules."""

import logging
import socket
import ssl
import time

from aioquic.buffer import encode_uint_var as var
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StreamDataReceived
from aioquic.tls import Epoch

PATIENCE = 10
# The library complains of what is done here on purpose.
logging.disable()
LONG_TYPES = {Epoch.INITIAL: 0, Epoch.HANDSHAKE: 2}


class Bent(QuicConnection):
    """`parameters` replaces the transport parameters; None leaves the extension out."""

    def __init__(self, parameters, **options):
        super().__init__(**options)
        self.parameters = parameters

    def _serialize_transport_parameters(self):
        return self.parameters(self, super()._serialize_transport_parameters())

    def _initialize(self, peer_cid):
        super()._initialize(peer_cid)
        self.tls.handshake_extensions = [one for one in self.tls.handshake_extensions if one[1] is not None]


class Peer:
    def __init__(self, address, parameters=lambda _connection, usual: usual, alpn="gatesvr/1", windows=1 << 20):
        host, port = address.rsplit(":", 1)
        self.address = (host, int(port))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind(("127.0.0.1", 0))
        configuration = QuicConfiguration(
            is_client=True, alpn_protocols=[alpn], verify_mode=ssl.CERT_NONE, server_name="localhost",
            max_stream_data=windows, max_data=windows,
        )
        self.quic = Bent(parameters, configuration=configuration)
        self.closed = None
        self.complete = False
        self.received = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.quic.connect(self.address, now=time.time())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.quic.close()
        self.transmit()
        self.socket.close()

    def transmit(self):
        for data, _ in self.quic.datagrams_to_send(now=time.time()):
            self.raw(data)

    def raw(self, data):
        self.bytes_out += len(data)
        self.socket.sendto(data, self.address)

    def events(self):
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, ConnectionTerminated):
                self.closed = event
            elif isinstance(event, HandshakeCompleted):
                self.complete = True
            elif isinstance(event, StreamDataReceived):
                self.received += len(event.data)

    def take(self, timeout):
        """Processes one datagram, if one comes in time."""
        self.socket.settimeout(timeout)
        try:
            data = self.socket.recv(2048)
        except TimeoutError:
            return False
        self.bytes_in += len(data)
        self.quic.receive_datagram(data, self.address, now=time.time())
        self.events()
        return True

    def until(self, holds, timeout=PATIENCE, answer=True):
        end = time.time() + timeout
        while not holds() and time.time() < end:
            self.take(0.05)
            if self.quic.get_timer() is not None and self.quic.get_timer() <= time.time():
                self.quic.handle_timer(now=time.time())
                self.events()
            if answer and self.closed is None:
                self.transmit()
        return holds()

    def handshake(self):
        self.transmit()
        if not self.until(lambda: self.complete or self.closed is not None) or not self.complete:
            raise ConnectionError(f"no handshake: {self.closed}")
        return self

    def hello(self, text=b"hello"):
        """The first frame, so that there is a stream; the target sends it back."""
        self.quic.send_stream_data(0, len(text).to_bytes(4, "big") + text)
        if not self.until(lambda: self.received >= 4 + len(text) or self.closed is not None) or self.closed is not None:
            raise ConnectionError(f"no echo: {self.closed}")

    def inject(self, payload, epoch=Epoch.ONE_RTT, reserved=0, number_bytes=2):
        """One packet with these frames and a correct seal."""
        crypto = self.quic._cryptos[epoch]
        number = self.quic._packet_number
        self.quic._packet_number += 1
        payload += bytes(max(0, 4 - number_bytes - len(payload)))
        peer_cid = self.quic._peer_cid.cid
        written = (number & ((1 << 8 * number_bytes) - 1)).to_bytes(number_bytes, "big")
        if epoch == Epoch.ONE_RTT:
            header = bytes([0x40 | reserved << 3 | crypto.key_phase << 2 | (number_bytes - 1)]) + peer_cid + written
        else:
            first = 0xC0 | LONG_TYPES[epoch] << 4 | reserved << 2 | (number_bytes - 1)
            header = bytes([first]) + (1).to_bytes(4, "big") + bytes([len(peer_cid)]) + peer_cid
            header += bytes([len(self.quic.host_cid)]) + self.quic.host_cid
            if epoch == Epoch.INITIAL:
                header += var(len(self.quic._peer_token)) + self.quic._peer_token
                payload += bytes(max(0, 1200 - len(header) - len(payload) - 20))
            header += (0x4000 | (number_bytes + len(payload) + 16)).to_bytes(2, "big") + written
        self.raw(crypto.encrypt_packet(header, payload, number))

    def close_code(self, timeout=PATIENCE):
        """The peer's code as (code, is it the application's), or None when it does not close."""
        self.until(lambda: self.closed is not None, timeout, answer=False)
        # The library reports the end of its own patience in the same way.
        if self.closed is None or self.closed.reason_phrase == "Idle timeout":
            return None
        return (self.closed.error_code, self.closed.frame_type is None, self.closed.reason_phrase)


def stream(number, offset, data, fin=False):
    return bytes([0x0E | fin]) + var(number) + var(offset) + var(len(data)) + data


def crypto(offset, data):
    return b"\x06" + var(offset) + var(len(data)) + data


def ack(largest, first_range=0):
    return b"\x02" + var(largest) + var(0) + var(0) + var(first_range)


def new_connection_id(sequence, retire_prior_to, cid, length=None):
    size = len(cid) if length is None else length
    return b"\x18" + var(sequence) + var(retire_prior_to) + bytes([size]) + cid + bytes(16)

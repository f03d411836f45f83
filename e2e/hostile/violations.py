"""Breaks one rule of RFC 9000 or 9001 after the other, each on a connection of its own, and wants the close that the RFC names.

usage: violations.py ADDRESS   prints a JSON report; the exit code is 1 when an answer is not the demanded one.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from aioquic.buffer import encode_uint_var as var
from aioquic.tls import Epoch
from peer import Peer, ack, crypto, new_connection_id, stream

FLOW_CONTROL, STREAM_LIMIT, STREAM_STATE, FINAL_SIZE, FRAME_ENCODING = 3, 4, 5, 6, 7
TRANSPORT_PARAMETER, CONNECTION_ID_LIMIT, PROTOCOL_VIOLATION, CRYPTO_BUFFER = 8, 9, 10, 13
UNEXPECTED_MESSAGE, MISSING_EXTENSION, NO_ALPN = 0x10A, 0x16D, 0x178
BIG = 1 << 61

# Allowed where the RFC leaves it to the peer whether it closes.
SILENCE = None

# Frames of a 1-RTT packet, and the codes that the RFC allows in answer: where two rules are broken, either may be named.
FRAMES = [
    ("HANDSHAKE_DONE from a client, 19.20", b"\x1e", {PROTOCOL_VIOLATION}),
    ("NEW_TOKEN from a client, 19.7", b"\x07" + var(3) + b"abc", {PROTOCOL_VIOLATION}),
    ("a frame of an unknown type, 12.4", var(0x3F42), {FRAME_ENCODING}),
    ("a frame that is cut, 12.4", b"\x18\x01", {FRAME_ENCODING}),
    ("STREAM on the server's own stream, not open, 19.8", stream(1, 0, b"x"), {STREAM_STATE}),
    ("STREAM on a stream only the server sends on, 19.8", stream(3, 0, b"x"), {STREAM_STATE}),
    ("STREAM beyond the limit of streams, 4.6", stream(4, 0, b"x"), {STREAM_LIMIT}),
    ("STREAM on a one-way stream beyond the limit, 4.6", stream(2, 0, b"x"), {STREAM_LIMIT}),
    ("RESET_STREAM on a stream only the server sends on, 19.4", b"\x04" + var(3) + var(0) + var(0), {STREAM_STATE}),
    ("RESET_STREAM beyond the limit of streams, 4.6", b"\x04" + var(40) + var(0) + var(0), {STREAM_LIMIT}),
    ("STOP_SENDING on a stream only we send on, 19.5", b"\x05" + var(2) + var(0), {STREAM_STATE, STREAM_LIMIT}),
    ("STOP_SENDING on the server's stream, not open, 19.5", b"\x05" + var(1) + var(0), {STREAM_STATE}),
    ("MAX_STREAM_DATA on a stream only we send on, 19.10", b"\x11" + var(2) + var(9), {STREAM_STATE, STREAM_LIMIT}),
    ("MAX_STREAM_DATA on the server's stream, not open, 19.10", b"\x11" + var(1) + var(9), {STREAM_STATE}),
    ("MAX_STREAMS above 2^60, 19.11", b"\x12" + var(BIG), {FRAME_ENCODING}),
    ("STREAMS_BLOCKED above 2^60, 19.14", b"\x16" + var(BIG), {FRAME_ENCODING, STREAM_LIMIT}),
    ("STREAM_DATA_BLOCKED on a stream only the server sends on, 19.13", b"\x15" + var(3) + var(9), {STREAM_STATE}),
    ("NEW_CONNECTION_ID that retires itself, 19.15", new_connection_id(1, 2, bytes(8)), {FRAME_ENCODING}),
    ("NEW_CONNECTION_ID without an id, 19.15", new_connection_id(1, 0, b""), {FRAME_ENCODING}),
    ("NEW_CONNECTION_ID of 21 bytes, 19.15", new_connection_id(1, 0, bytes(21)), {FRAME_ENCODING}),
    ("NEW_CONNECTION_ID for one number with two ids, 19.15",
     new_connection_id(1, 0, bytes(8)) + new_connection_id(1, 0, b"\x01" * 8), {PROTOCOL_VIOLATION, SILENCE}),
    ("more ids than allowed, 5.1.1",
     b"".join(new_connection_id(n, 0, bytes([n] * 8)) for n in range(8, 20)), {CONNECTION_ID_LIMIT}),
    ("RETIRE_CONNECTION_ID of a number never given, 19.16", b"\x19" + var(1000), {PROTOCOL_VIOLATION}),
    ("data beyond the stream's window, 4.1", stream(0, 1 << 40, b"x"), {FLOW_CONTROL}),
    ("data beyond 2^62, 19.8", stream(0, (1 << 62) - 1, b"xx"), {FRAME_ENCODING, FLOW_CONTROL}),
    ("data beyond the final size, 4.5", stream(0, 20, b"end", fin=True) + stream(0, 30, b"x"), {FINAL_SIZE}),
    ("a final size below what was sent, 4.5", stream(0, 50, b"x") + b"\x04" + var(0) + var(0) + var(3), {FINAL_SIZE}),
    ("a final size that changes, 4.5", stream(0, 50, b"", fin=True) + stream(0, 60, b"", fin=True), {FINAL_SIZE}),
    ("ACK of packets never sent, 13.1", ack(1 << 30), {PROTOCOL_VIOLATION}),
    ("ACK with a range below zero, 19.3", ack(0, 5), {FRAME_ENCODING}),
    ("CRYPTO far ahead, 7.5", crypto(1 << 30, b"x"), {CRYPTO_BUFFER}),
    ("CRYPTO beyond 2^62, 19.6", crypto((1 << 62) - 1, b"xx"), {FRAME_ENCODING, CRYPTO_BUFFER}),
    ("KeyUpdate of TLS, RFC 9001 6", crypto(0, b"\x18\x00\x00\x01\x00"), {UNEXPECTED_MESSAGE}),
]


def parameter(number, value):
    return var(number) + var(len(value)) + value


def added(extra):
    return lambda _connection, usual: usual + extra


def without(number, extra=b""):
    """The usual parameters but one."""
    def change(_connection, usual):
        kept, at = b"", 0
        while at < len(usual):
            start = at
            fields = []
            for _ in range(2):
                size = 1 << (usual[at] >> 6)
                fields.append(int.from_bytes(usual[at:at + size], "big") & ((1 << (8 * size - 2)) - 1))
                at += size
            at += fields[1]
            if fields[0] != number:
                kept += usual[start:at]
        return kept + extra
    return change


PARAMETERS = [
    ("original_destination_connection_id from a client, 18.2", added(parameter(0x00, bytes(8)))),
    ("preferred_address from a client, 18.2", added(parameter(0x0D, bytes(41) + bytes(20)))),
    ("retry_source_connection_id from a client, 18.2", added(parameter(0x10, bytes(8)))),
    ("stateless_reset_token from a client, 18.2", added(parameter(0x02, bytes(16)))),
    ("max_udp_payload_size below 1200, 18.2", added(parameter(0x03, var(1199)))),
    ("ack_delay_exponent above 20, 18.2", without(0x0A, parameter(0x0A, var(21)))),
    ("max_ack_delay of 2^14, 18.2", without(0x0B, parameter(0x0B, var(1 << 14)))),
    ("active_connection_id_limit below 2, 18.2", without(0x0E, parameter(0x0E, var(1)))),
    ("initial_max_streams_bidi above 2^60, 4.6", without(0x08, parameter(0x08, var(BIG)))),
    ("initial_source_connection_id missing, 7.3", without(0x0F)),
    ("initial_source_connection_id of another, 7.3", without(0x0F, parameter(0x0F, b"\xee" * 8))),
    ("a parameter that is cut, 7.4", added(var(0x01) + var(8) + b"\x01")),
    ("a parameter that comes twice, 7.4", added(parameter(0x04, var(9)))),
]


def frames_case(address, payload):
    with Peer(address) as peer:
        peer.handshake().hello()
        peer.inject(payload)
        return peer.close_code()


def parameters_case(address, change):
    with Peer(address, parameters=change) as peer:
        peer.transmit()
        return peer.close_code()


def early_case(address, payload):
    """In an Initial, beside the hello."""
    with Peer(address) as peer:
        peer.transmit()
        peer.inject(payload, Epoch.INITIAL)
        return peer.close_code()


def handshake_case(address, payload):
    """In a Handshake packet, in place of the client's Finished."""
    with Peer(address) as peer:
        peer.transmit()
        keys = peer.quic._cryptos[Epoch.HANDSHAKE].send
        peer.until(keys.is_valid, answer=False)
        peer.inject(payload, Epoch.HANDSHAKE)
        return peer.close_code()


def packet_case(address, **options):
    with Peer(address) as peer:
        peer.handshake().hello()
        peer.inject(options.pop("payload", b"\x01"), **options)
        return peer.close_code()


def hello_case(address, **options):
    with Peer(address, **options) as peer:
        peer.transmit()
        return peer.close_code()


def cases():
    for name, payload, codes in FRAMES:
        yield name, codes, lambda address, payload=payload: frames_case(address, payload)
    for name, change in PARAMETERS:
        yield name, {TRANSPORT_PARAMETER}, lambda address, change=change: parameters_case(address, change)
    yield "STREAM in an Initial, 12.4", {PROTOCOL_VIOLATION}, lambda a: early_case(a, stream(0, 0, b"x"))
    yield "an application's close in an Initial, 12.5", {PROTOCOL_VIOLATION, SILENCE}, lambda a: early_case(a, b"\x1d\x00\x00")
    yield "STREAM in a Handshake packet, 12.4", {PROTOCOL_VIOLATION}, lambda a: handshake_case(a, stream(0, 0, b"x"))
    yield "MAX_DATA in a Handshake packet, 12.4", {PROTOCOL_VIOLATION}, lambda a: handshake_case(a, b"\x10\x09")
    yield "reserved bits that are not 0, 17.3.1", {PROTOCOL_VIOLATION}, lambda a: packet_case(a, reserved=3)
    empty = {"payload": b"", "number_bytes": 4}
    yield "a packet without frames, 12.4", {PROTOCOL_VIOLATION}, lambda a: packet_case(a, **empty)
    none = {"parameters": lambda _connection, _usual: None}
    yield "no transport parameters, RFC 9001 8.2", {MISSING_EXTENSION}, lambda a: hello_case(a, **none)
    yield "another ALPN, RFC 9001 8.1", {NO_ALPN}, lambda a: hello_case(a, alpn="nothing")


def check(address, name, codes, run):
    try:
        answer = run(address)
        ok = answer in codes if answer is None else answer[0] in codes and not answer[1]
        wanted = [code if code is None else hex(code) for code in codes]
        got = answer and f"{hex(answer[0])} of {'the application' if answer[1] else 'QUIC'}: {answer[2]}"
        detail = f"want {wanted}, got {got}"
    except Exception as error:
        ok, detail = False, f"{type(error).__name__}: {error}"
    return {"name": name, "ok": ok, **({} if ok else {"detail": detail})}


def main():
    with ThreadPoolExecutor(8) as pool:
        checks = list(pool.map(lambda one: check(sys.argv[1], *one), cases()))
    ok = all(one["ok"] for one in checks)
    print(json.dumps({"ok": ok, "checks": checks}, indent=1))
    sys.stdout.flush()
    os._exit(0 if ok else 1)


main()

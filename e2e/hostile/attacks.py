"""The known attacks on QUIC servers, one a run.

usage: attacks.py ADDRESS NAME ROUNDS   prints a JSON report; the exit code is 1 when a promise was broken.
"""

import json
import os
import socket
import sys
import time

from aioquic.buffer import encode_uint_var as var
from aioquic.tls import Epoch
from peer import Peer, ack, crypto, new_connection_id, stream

INTERNAL_ERROR, CONNECTION_ID_LIMIT, PROTOCOL_VIOLATION, CRYPTO_BUFFER = 1, 9, 10, 13


class Broken(Exception):
    pass


def want(condition, text):
    if not condition:
        raise Broken(text)


def talking(address, **options):
    peer = Peer(address, **options)
    peer.handshake().hello()
    return peer


def drain(peer, most=50):
    """Takes what has come, so that the kernel's buffer does not hide the server's answers."""
    for _ in range(most):
        if not peer.take(0.0005):
            return


def amplification(address, rounds):
    """A hello from an address that never answers draws at most three times its bytes."""
    for _ in range(rounds):
        with Peer(address) as peer:
            peer.transmit()
            end = time.time() + 1.5
            received = 0
            peer.socket.settimeout(0.3)
            while time.time() < end:
                try:
                    received += len(peer.socket.recv(2048))
                except TimeoutError:
                    pass
            want(received > 0, "no answer at all")
            want(received <= 3 * peer.bytes_out, f"{received} bytes for {peer.bytes_out}")
            peer.quic._close_pending = False


def version_negotiation(address, rounds):
    """An unknown version is answered with ours, a small packet of it with nothing; never more than was asked."""
    for size, answered in [(1200, True), (300, False)] * rounds:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(2 if answered else 0.3)
            host, port = address.rsplit(":", 1)
            hello = b"\xc0" + b"\x1a\x2a\x3a\x4a" + b"\x08" + b"\x11" * 8 + b"\x08" + b"\x22" * 8
            udp.sendto(hello.ljust(size, b"\0"), (host, int(port)))
            try:
                answer = udp.recv(2048)
            except TimeoutError:
                answer = b""
            want(bool(answer) == answered, f"{len(answer)} bytes for {size}")
            if answered:
                want(answer[1:5] == bytes(4) and (1).to_bytes(4, "big") in answer[23:], "not a version negotiation")
                want(answer[6:14] == b"\x22" * 8 and len(answer) <= size, "ids not echoed")


def flood(address, rounds, payload, codes):
    """Packets with these frames; the server may close for it, with one of the codes."""
    with talking(address) as peer:
        for number in range(rounds):
            if peer.closed is not None:
                break
            peer.inject(payload(number))
            if number % 20 == 19:
                drain(peer)
        answer = peer.close_code(0.5)
        want(answer is None or (answer[0] in codes and not answer[1]), f"closed with {answer}")
        return "still open" if answer is None else f"closed with {hex(answer[0])}"


def path_challenges(address, rounds):
    return flood(address, rounds, lambda n: b"".join(b"\x1a" + n.to_bytes(8, "big") for _ in range(120)), set())


def new_ids(address, rounds):
    """Each id retires the one before, and what the server says about that is never acknowledged."""
    start = 20
    payload = lambda n: new_connection_id(start + n, start + n, os.urandom(8))
    return flood(address, rounds, payload, {CONNECTION_ID_LIMIT, PROTOCOL_VIOLATION})


def retired_ids(address, rounds):
    return flood(address, rounds, lambda n: b"\x19" + var(n), {PROTOCOL_VIOLATION})


def crypto_gaps(address, rounds):
    """Handshake bytes with holes in between, after the handshake."""
    return flood(address, rounds, lambda n: crypto(2 + 7 * n, b"x" * 5), {CRYPTO_BUFFER})


def early_crypto(address, rounds):
    """The same in Initials, on handshakes that never end."""
    for number in range(rounds):
        with Peer(address) as peer:
            peer.transmit()
            for offset in range(20):
                peer.inject(crypto(4000 + 400 * offset, b"x" * 300), Epoch.INITIAL)
            peer.quic._close_pending = False
            if number % 20 == 0:
                drain(peer)


def stream_holes(address, rounds):
    """One byte here and one there, never the first."""
    return flood(address, rounds, lambda n: stream(0, 9 + 1 + 2 * (n % 45_000), b"x"), {INTERNAL_ERROR})


def streams(address, rounds):
    """Opens and resets streams as fast as it can, each run of them on a connection of its own."""
    for number in range(rounds):
        with talking(address) as peer:
            peer.inject(b"\x04" + var(0) + var(0) + var(5000))
            for reset in range(1, 20):
                peer.inject(stream(4 * reset, 0, b"x") + b"\x04" + var(4 * reset) + var(0) + var(1))
            want(peer.close_code(5) is not None, "goes on")


def slow_reading(address, rounds):
    """Asks for much and takes nothing: its windows are tiny, and are never opened."""
    peers = []
    try:
        for _ in range(rounds):
            peer = talking(address, windows=64)
            peers.append(peer)
            offset = 9
            for _ in range(60):
                frame = (1000).to_bytes(4, "big") + b"x" * 1000
                peer.inject(stream(0, offset, frame))
                offset += len(frame)
            drain(peer)
    finally:
        for peer in peers:
            peer.socket.close()


def optimistic_acks(address, rounds):
    """Acknowledges what it has not got, ahead of what is sent, to make the server send faster."""
    for _ in range(rounds):
        with talking(address) as peer:
            for number in range(40):
                peer.inject(stream(0, 9 + 1004 * number, (1000).to_bytes(4, "big") + b"x" * 1000) + ack(50 + number * 9))
            answer = peer.close_code(5)
            want(answer is not None and answer[0] == PROTOCOL_VIOLATION, f"closed with {answer}")


def pings(address, rounds):
    """Packets that only ask for acknowledgements, which are not acknowledged themselves."""
    return flood(address, rounds, lambda _: b"\x01" * 50, set())


def hellos(address, rounds):
    """First packets from ever new ports, as from addresses that were made up."""
    for number in range(rounds):
        with Peer(address) as peer:
            peer.transmit()
            peer.quic._close_pending = False
            peer.quic._state = type(peer.quic._state).TERMINATED


ATTACKS = {
    name: globals()[name]
    for name in (
        "amplification", "version_negotiation", "path_challenges", "new_ids", "retired_ids", "crypto_gaps",
        "early_crypto", "stream_holes", "streams", "slow_reading", "optimistic_acks", "pings", "hellos",
    )
}


def main():
    address, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    check = {"name": name, "ok": True}
    try:
        check["detail"] = ATTACKS[name](address, rounds) or "done"
    except Exception as error:
        check.update(ok=False, detail=f"{type(error).__name__}: {error}")
    print(json.dumps({"ok": check["ok"], "checks": [check]}, indent=1))
    sys.exit(0 if check["ok"] else 1)


main()

"""What two QUIC implementations have to agree on below the gateway's protocol, with aioquic, against an echo server.

usage: transport.py ADDRESS [lossy]   prints a JSON report; the exit code is 1 when anything was violated.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import sys

from aioquic.asyncio.client import connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicProtocolVersion

PATIENCE = 30
VERSION_1, VERSION_2 = QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2


def configured(**options):
    return QuicConfiguration(
        is_client=True, alpn_protocols=["gatesvr/1"], verify_mode=ssl.CERT_NONE, server_name="localhost", **options
    )


@contextlib.asynccontextmanager
async def connection(address, configuration=None, **options):
    host, port = address.rsplit(":", 1)
    async with connect(host, int(port), configuration=configuration or configured(), **options) as protocol:
        protocol.reader, protocol.writer = await protocol.create_stream()
        yield protocol


async def echo(protocol, size=100):
    frame = size.to_bytes(4, "big") + bytes(size)
    protocol.writer.write(frame)
    async with asyncio.timeout(PATIENCE):
        assert await protocol.reader.readexactly(len(frame)) == frame, "another frame came back"


async def version_negotiation(address):
    configuration = configured(supported_versions=[VERSION_2, VERSION_1], original_version=VERSION_2)
    async with connection(address, configuration) as protocol:
        await echo(protocol)
        assert protocol._quic._version == VERSION_1, hex(protocol._quic._version)


async def resumption(address):
    tickets = []
    async with connection(address, session_ticket_handler=tickets.append) as protocol:
        await echo(protocol)
        assert not protocol._quic.tls.session_resumed
    assert tickets and tickets[-1].max_early_data_size in (None, 0), "early data is offered"
    async with connection(address, configured(session_ticket=tickets[-1])) as protocol:
        await echo(protocol)
        assert protocol._quic.tls.session_resumed, "not resumed"


async def key_update(address):
    async with connection(address) as protocol:
        for _ in range(3):
            await echo(protocol)
            protocol.request_key_update()
            await echo(protocol)
            await protocol.ping()


async def bulk(address):
    async with connection(address) as protocol:
        for _ in range(5):
            await echo(protocol, 60_000)


async def migration(address):
    """Another port, with another connection id; the old port is closed."""
    async with connection(address) as protocol:
        await echo(protocol)
        for _ in range(2):
            old = protocol._transport
            udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            udp.bind(("::", 0))
            protocol.change_connection_id()
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, sock=udp)
            old.abort()
            await echo(protocol, 20_000)


async def main():
    jobs = [version_negotiation, resumption, key_update, bulk] + ([] if sys.argv[2:] == ["lossy"] else [migration])
    checks = []
    for job in jobs:
        check = {"name": job.__name__, "ok": True}
        try:
            await job(sys.argv[1])
        except Exception as error:
            check.update(ok=False, detail=f"{type(error).__name__}: {error}")
        checks.append(check)
    ok = all(check["ok"] for check in checks)
    print(json.dumps({"ok": ok, "checks": checks}, indent=1))
    sys.exit(0 if ok else 1)


asyncio.run(main())

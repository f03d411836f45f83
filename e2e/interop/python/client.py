"""A client of the gateway on aioquic, written from its interface's documentation alone.

usage: client.py ADDRESS OPENID   (message_pb2 must be importable: grpc_tools.protoc makes it from proto/)

Does start, heartbeat, business, push, ack, a resume after a lost connection, and stop. Prints a JSON report;
the exit code is 1 when anything was violated.
"""

import asyncio
import contextlib
import hashlib
import json
import ssl
import struct
import sys

import message_pb2 as pb
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated

PATIENCE = 15
FRAME_MAX = 64 << 10
NUMBERED = (pb.PUSH_BUSINESS_RESPONSE, pb.PUSH_NOTIFY, pb.PUSH_SKIP)


class Violation(Exception):
    pass


def want(condition, text):
    if not condition:
        raise Violation(text)


class Protocol(QuicConnectionProtocol):
    """Remembers how the connection ended."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.ended = asyncio.get_running_loop().create_future()

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated) and not self.ended.done():
            self.ended.set_result(event)
        super().quic_event_received(event)


class Session:
    """One user's session over one connection after another."""

    def __init__(self, host, port, openid):
        self.address = (host, port)
        self.openid = openid
        self.msg_id = 0
        self.client_seq = 0
        self.received = 0
        self.session_id = ""
        self.token = b""
        self.epoch = 0

    @contextlib.asynccontextmanager
    async def connection(self):
        configuration = QuicConfiguration(
            is_client=True, alpn_protocols=["gatesvr/1"], verify_mode=ssl.CERT_NONE, server_name="localhost"
        )
        async with connect(*self.address, configuration=configuration, create_protocol=Protocol) as protocol:
            self.protocol = protocol
            self.reader, self.writer = await protocol.create_stream()
            yield

    def vanish(self):
        """Drops the connection without a word."""
        self.protocol._transport.abort()
        self.protocol.ended.cancel()

    def send(self, kind, payload=None, seq_id=0):
        self.msg_id += 1
        encoded = payload.SerializeToString() if payload is not None else b""
        request = pb.ClientRequest(msg_id=self.msg_id, seq_id=seq_id, type=kind, payload=encoded)
        frame = request.SerializeToString()
        self.writer.write(struct.pack(">I", len(frame)) + frame)
        return self.msg_id

    def request(self, action, data=b""):
        self.client_seq += 1
        return self.send(pb.REQUEST_BUSINESS, pb.BusinessRequest(action=action, data=data), self.client_seq)

    async def next(self):
        """Reads one message and holds the server to the numbering."""
        async with asyncio.timeout(PATIENCE):
            (size,) = struct.unpack(">I", await self.reader.readexactly(4))
            want(size <= FRAME_MAX, f"frame of {size} bytes")
            push = pb.ServerPush.FromString(await self.reader.readexactly(size))
        if push.type in NUMBERED:
            want(push.seq_id == self.received + 1, f"seq_id {push.seq_id} after {self.received}")
            self.received = push.seq_id
        else:
            want(push.seq_id == 0, f"type {push.type} has seq_id {push.seq_id}")
        return push

    async def expect(self, kind, msg_id):
        push = await self.next()
        want(push.type == kind and push.msg_id == msg_id, f"want type {kind} for {msg_id}, got {push}")
        return push

    async def answer_to_start(self):
        start = pb.StartRequest(
            openid=self.openid, client_id="python-interop", resume_token=self.token, session_id=self.session_id,
            epoch=self.epoch, received_seq_id=self.received,
        )
        push = await self.expect(pb.PUSH_START_RESPONSE, self.send(pb.REQUEST_START, start))
        return pb.StartResponse.FromString(push.payload)

    async def refused(self, code):
        """A START that fails: the answer says why, and the connection is closed with the same code."""
        response = await self.answer_to_start()
        want(not response.success and response.error.code == code, f"START was answered {response}")
        want((await self.closed()).error_code == code, "closed with another code")

    async def closed(self):
        async with asyncio.timeout(PATIENCE):
            return await self.protocol.ended

    async def start(self):
        response = await self.answer_to_start()
        want(response.success and len(response.resume_token) >= 16, f"START was answered {response}")
        want(response.next_seq_id == self.received + 1, f"next_seq_id {response.next_seq_id} after {self.received}")
        want(response.resume_token != self.token, "the resume token was not replaced")
        if self.session_id:
            want(response.resumed and response.session_id == self.session_id, f"not resumed: {response}")
        else:
            want(not response.resumed and response.session_id, f"not a new session: {response}")
        self.session_id, self.token, self.epoch = response.session_id, response.resume_token, response.epoch

    async def heartbeat(self):
        await self.expect(pb.PUSH_HEARTBEAT_RESPONSE, self.send(pb.REQUEST_HEARTBEAT))

    async def call(self, action, data, answer):
        push = await self.expect(pb.PUSH_BUSINESS_RESPONSE, self.request(action, data))
        response = pb.BusinessResponse.FromString(push.payload)
        want(response.success and response.data == answer, f"{action} was answered {response}")
        want(response.client_seq_id == self.client_seq, f"answer to {response.client_seq_id}, not {self.client_seq}")

    def ack(self, up_to):
        self.send(pb.REQUEST_ACK, pb.AckRequest(ack_up_to=up_to))

    async def stop(self):
        self.send(pb.REQUEST_STOP)
        event = await self.closed()
        want(event.error_code == 0 and event.frame_type is None, f"stop was answered with {event}")


class Pushes:
    """What push-me promises: one answer "ok" among "push 1" to "push count"."""

    def __init__(self, session, count):
        self.session = session
        self.left = [f"push {i + 1}".encode() for i in range(count)]
        self.msg_id = session.request("push-me", str(count).encode())
        self.answered = False

    async def read(self, most):
        while most > 0 and (self.left or not self.answered):
            push = await self.session.next()
            most -= 1
            if push.type == pb.PUSH_BUSINESS_RESPONSE:
                response = pb.BusinessResponse.FromString(push.payload)
                want(not self.answered and push.msg_id == self.msg_id and response.data == b"ok", f"got {push}")
                self.answered = True
            else:
                want(push.type == pb.PUSH_NOTIFY and self.left and push.payload == self.left.pop(0), f"got {push}")


def zone_of(openid):
    digest = hashlib.md5(openid.encode()).digest()
    return "%03d" % (struct.unpack(">I", digest[:4])[0] % 6 + 1)


async def main_job(session, done):
    async with session.connection():
        await session.start()
        done("start")
        await session.heartbeat()
        done("heartbeat")
        await session.call("echo", b"hi \x00\xff", b"hi \x00\xff")
        await session.call("hello", b"", f"hello {session.openid} from zone {zone_of(session.openid)}".encode())
        done("business")
        await Pushes(session, 5).read(6)
        done("push")
        session.ack(session.received)
        session.ack(1)
        await session.heartbeat()
        done("ack")
        pushes = Pushes(session, 20)
        await pushes.read(6)
        session.vanish()
        done("connection lost")
    async with session.connection():
        await session.start()
        await pushes.read(15)
        want(not pushes.left and pushes.answered, "messages are missing after the resume")
        await session.heartbeat()
        await session.call("echo", b"on", b"on")
        done("resume")
        await session.stop()
        done("stop")
    async with session.connection():
        await session.refused(pb.ERROR_SESSION_NOT_FOUND)
        done("resume of a stopped session refused")


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    checks = []
    failure = None
    try:
        asyncio.run(main_job(Session(host, int(port), sys.argv[2]), checks.append))
    except Exception as error:
        failure = f"after {checks[-1] if checks else 'nothing'}: {type(error).__name__}: {error}"
    report = {"ok": failure is None, "checks": [{"name": name, "ok": True} for name in checks]}
    if failure:
        report["checks"].append({"name": "main job", "ok": False, "detail": failure})
    print(json.dumps(report, indent=1))
    sys.exit(0 if failure is None else 1)


main()

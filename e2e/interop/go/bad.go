package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"gatesvr.io/e2e/interop/gen"
)

// misbehaviour is one row of the table. It gets a connection without a START, or a started session.
type misbehaviour struct {
	name    string
	started bool
	body    func(c *client) error
}

// badInput runs the table. A witness session must not notice any of it.
func badInput(result *report, address, openid string) {
	witness, err := freshStart(address, openid+"-witness")
	if !result.run("witness logs in", func() error { return err }) {
		return
	}
	defer witness.end()
	var slow sync.WaitGroup
	for _, one := range neverStarting {
		slow.Go(func() { result.run(one.name, func() error { return onConnection(address, one.body) }) })
	}
	for i, one := range table {
		result.run(one.name, func() error {
			if !one.started {
				return onConnection(address, one.body)
			}
			return onSession(address, fmt.Sprintf("%s-bad-%d", openid, i), one.body)
		})
		result.run("witness after: "+one.name, func() error { return echo(witness, []byte(one.name)) })
	}
	result.run("garbage datagrams", func() error { return garbage(address, 1000) })
	result.run("wrong ALPN", func() error { return wrongALPN(address) })
	slow.Wait()
	result.run("witness at the end", func() error {
		return errors.Join(witness.heartbeat(), pushMe(witness, 3), witness.ack(witness.received), witness.heartbeat())
	})
}

func onConnection(address string, body func(c *client) error) error {
	c, err := dial(address, alpn)
	if err != nil {
		return err
	}
	defer c.end()
	return body(c)
}

func onSession(address, openid string, body func(c *client) error) error {
	c, err := freshStart(address, openid)
	if err != nil {
		return err
	}
	defer c.end()
	return body(c)
}

// closes expects the connection to be closed with one of the codes.
func closes(bytes []byte, codes ...gen.ErrorCode) func(c *client) error {
	return func(c *client) error {
		if err := c.raw(bytes); err != nil {
			return err
		}
		return wantCode(c.closeCode, codes...)
	}
}

// rejects expects a PUSH_ERROR for the message, and the session to go on.
func rejects(request *gen.ClientRequest) func(c *client) error {
	return func(c *client) error {
		msgID, err := c.send(proto.CloneOf(request))
		if err != nil {
			return err
		}
		if err := rejected(c, msgID); err != nil {
			return err
		}
		return errors.Join(c.heartbeat(), echo(c, []byte("goes on")))
	}
}

func rejected(c *client, msgID uint32) error {
	push, err := c.expect(gen.PushType_PUSH_ERROR, msgID)
	if err != nil {
		return err
	}
	failure := new(gen.Error)
	if err := proto.Unmarshal(push.Payload, failure); err != nil {
		return err
	}
	if failure.Code != gen.ErrorCode_ERROR_BAD_MESSAGE {
		return fmt.Errorf("rejected with %v %q, want BAD_MESSAGE", failure.Code, failure.Message)
	}
	return nil
}

// failsStart expects an unsuccessful StartResponse and a close with the same code, one of these.
func failsStart(start *gen.StartRequest, codes ...gen.ErrorCode) func(c *client) error {
	return func(c *client) error {
		response, err := c.start(start)
		if err != nil {
			return err
		}
		code := response.GetError().GetCode()
		if response.Success || response.SessionId != "" || len(response.ResumeToken) > 0 {
			return fmt.Errorf("START was answered %v", response)
		}
		return errors.Join(
			wantCode(func() (gen.ErrorCode, error) { return code, nil }, codes...), wantCode(c.closeCode, code),
		)
	}
}

// survives expects any stated outcome: an answer to the message, its rejection, or a close with one of the codes.
func survives(request *gen.ClientRequest, codes ...gen.ErrorCode) func(c *client) error {
	return func(c *client) error {
		msgID, err := c.send(proto.CloneOf(request))
		if err != nil {
			return err
		}
		push, err := c.next()
		if err == nil && push.MsgId == msgID {
			return errors.Join(c.heartbeat(), c.ack(c.received), c.heartbeat())
		}
		if closed, ok := errors.AsType[*quic.ApplicationError](err); ok {
			return wantCode(func() (gen.ErrorCode, error) { return gen.ErrorCode(closed.ErrorCode), nil }, codes...)
		}
		return fmt.Errorf("got %v %v", push, err)
	}
}

const (
	badMessage = gen.ErrorCode_ERROR_BAD_MESSAGE
	protocol   = gen.ErrorCode_ERROR_PROTOCOL
	tooLarge   = gen.ErrorCode_ERROR_FRAME_TOO_LARGE
)

var (
	heartbeat    = encode(&gen.ClientRequest{Type: gen.RequestType_REQUEST_HEARTBEAT})
	notProtobuf  = frame(bytes.Repeat([]byte{0xff}, 40))
	cutProtobuf  = frame(encode(startOf("cut"))[:5])
	hugeLength   = binary.BigEndian.AppendUint32(nil, 1<<31)
	justTooLarge = binary.BigEndian.AppendUint32(nil, maxFrameBytes+1)
)

var neverStarting = []misbehaviour{
	{name: "silence is START_TIMEOUT", body: closes(nil, gen.ErrorCode_ERROR_START_TIMEOUT)},
	{name: "half a length, then silence", body: closes([]byte{0, 0}, gen.ErrorCode_ERROR_START_TIMEOUT)},
	{name: "a frame that never ends", body: closes([]byte{0, 0, 0, 100, 1}, gen.ErrorCode_ERROR_START_TIMEOUT)},
	{name: "START one byte a second", body: slowLoris},
}

var table = []misbehaviour{
	{name: "first message is HEARTBEAT", body: closes(frame(heartbeat), protocol)},
	{name: "first frame is empty", body: closes(frame(nil), protocol)},
	{name: "first frame is not protobuf", body: closes(notProtobuf, protocol)},
	{name: "first frame is cut protobuf", body: closes(cutProtobuf, protocol)},
	{name: "first frame is of 2 GiB", body: closes(hugeLength, tooLarge)},
	{name: "openid of 10 KB", body: failsStart(startFor(strings.Repeat("x", 10_000)), badMessage, protocol)},
	{name: "openid of 129 bytes", body: failsStart(startFor(strings.Repeat("x", 129)), badMessage, protocol)},
	{name: "openid is empty", body: failsStart(startFor(""), badMessage, protocol)},
	{name: "openid is not UTF-8", body: closes(openidNotUTF8(), badMessage, protocol)},
	{name: "START's payload is not protobuf", body: closes(startWithPayload(), badMessage, protocol)},
	{name: "second START", started: true, body: closes(frame(encode(startOf("second"))), protocol)},
	{name: "not protobuf after START", started: true, body: closes(notProtobuf, protocol)},
	{name: "frame one byte too large", started: true, body: closes(justTooLarge, tooLarge)},
	{name: "frame of 2 GiB", started: true, body: closes(hugeLength, tooLarge)},
	{name: "ack past the end", started: true, body: closes(frame(encode(ackOf(1))), protocol)},
	{name: "ack of 2^64-1", started: true, body: closes(frame(encode(ackOf(1<<64-1))), protocol)},
	{name: "stream ended inside a frame", started: true, body: cutFrame},
	{name: "unknown type 99", started: true, body: rejects(&gen.ClientRequest{Type: 99})},
	{name: "type 0", started: true, body: rejects(&gen.ClientRequest{})},
	{name: "BUSINESS with seq_id 0", started: true, body: rejects(businessOf(0))},
	{name: "HEARTBEAT with seq_id 1", started: true, body: rejects(numbered(gen.RequestType_REQUEST_HEARTBEAT))},
	{name: "ACK with seq_id 1", started: true, body: rejects(numbered(gen.RequestType_REQUEST_ACK))},
	{name: "STOP with seq_id 1", started: true, body: rejects(numbered(gen.RequestType_REQUEST_STOP))},
	{name: "BUSINESS that is not protobuf", started: true, body: rejects(&gen.ClientRequest{
		SeqId: 1, Type: gen.RequestType_REQUEST_BUSINESS, Payload: bytes.Repeat([]byte{0xff}, 20),
	})},
	{name: "ACK that is not protobuf", started: true, body: rejects(&gen.ClientRequest{
		Type: gen.RequestType_REQUEST_ACK, Payload: bytes.Repeat([]byte{0xff}, 20),
	})},
	{name: "seq_id far below the highest", started: true, body: farBelow},
	{name: "protobuf 20,000 levels deep", started: true, body: closes(frame(deep(20_000)), protocol, badMessage)},
	{name: "protobuf 30,000 levels without end", started: true, body: closes(frame(deep(60_000)[:30_000]), protocol)},
	{name: "header longer than its frame", started: true, body: closes(frame(endlessHeader()), protocol)},
	{name: "5,000 headers", started: true, body: survives(manyHeaders(5000), protocol, badMessage)},
	{name: "BUSINESS of 60 KB", started: true, body: survives(large(60_000), protocol, badMessage)},
	{name: "unknown field of 65,000 bytes", started: true, body: closesOrAnswers(65_000)},
}

func startFor(openid string) *gen.StartRequest { return &gen.StartRequest{Openid: openid} }

func startOf(openid string) *gen.ClientRequest {
	return &gen.ClientRequest{Type: gen.RequestType_REQUEST_START, Openid: openid, Payload: encode(startFor(openid))}
}

func openidNotUTF8() []byte {
	payload := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte("a\xff\xfeb"))
	return frame(encode(&gen.ClientRequest{MsgId: 1, Type: gen.RequestType_REQUEST_START, Payload: payload}))
}

func startWithPayload() []byte {
	payload := bytes.Repeat([]byte{0xff}, 20)
	return frame(encode(&gen.ClientRequest{MsgId: 1, Type: gen.RequestType_REQUEST_START, Payload: payload}))
}

func ackOf(upTo uint64) *gen.ClientRequest {
	return &gen.ClientRequest{
		MsgId: 2, Type: gen.RequestType_REQUEST_ACK, Payload: encode(&gen.AckRequest{AckUpTo: upTo}),
	}
}

func businessOf(seqID uint64) *gen.ClientRequest {
	return &gen.ClientRequest{
		SeqId: seqID, Type: gen.RequestType_REQUEST_BUSINESS, Payload: encode(&gen.BusinessRequest{Action: "echo"}),
	}
}

func numbered(kind gen.RequestType) *gen.ClientRequest {
	return &gen.ClientRequest{SeqId: 1, Type: kind}
}

// deep is an unknown group nested so many levels, well formed.
func deep(levels int) []byte {
	open := protowire.AppendTag(nil, 15, protowire.StartGroupType)
	end := protowire.AppendTag(nil, 15, protowire.EndGroupType)
	nested := append(bytes.Repeat(open, levels), bytes.Repeat(end, levels)...)
	return append(nested, heartbeat...)
}

// endlessHeader claims a headers entry of more bytes than the frame has.
func endlessHeader() []byte {
	message := protowire.AppendTag(bytes.Clone(heartbeat), 5, protowire.BytesType)
	message = protowire.AppendVarint(message, 1<<30)
	return append(message, bytes.Repeat([]byte{'h'}, 500)...)
}

func manyHeaders(count int) *gen.ClientRequest {
	request := businessOf(1)
	request.Headers = make(map[string]string, count)
	for i := range count {
		request.Headers[fmt.Sprintf("%x", i)] = ""
	}
	return request
}

func large(size int) *gen.ClientRequest {
	request := businessOf(1)
	request.Payload = encode(&gen.BusinessRequest{Action: "echo", Data: make([]byte, size)})
	return request
}

func closesOrAnswers(size int) func(c *client) error {
	request := &gen.ClientRequest{Type: gen.RequestType_REQUEST_HEARTBEAT}
	unknown := protowire.AppendTag(nil, 15, protowire.BytesType)
	request.ProtoReflect().SetUnknown(protowire.AppendBytes(unknown, make([]byte, size)))
	return survives(request, protocol, badMessage)
}

func slowLoris(c *client) error {
	start := frame(encode(startOf("loris")))
	go func() {
		for _, one := range start {
			if c.raw([]byte{one}) != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}()
	return wantCode(c.closeCode, gen.ErrorCode_ERROR_START_TIMEOUT)
}

// cutFrame ends the stream inside a frame: the connection ends, by the end of stream or as a protocol error.
func cutFrame(c *client) error {
	if err := c.raw([]byte{0, 0, 0, 100, 1, 2, 3}); err != nil {
		return err
	}
	c.stream.Close()
	return wantCode(c.closeCode, 0, protocol)
}

// farBelow sends a number more than 64 below the highest one.
func farBelow(c *client) error {
	c.clientSeq = 199
	if err := echo(c, []byte("200")); err != nil {
		return err
	}
	msgID, err := c.business(100, "echo", nil)
	if err != nil {
		return err
	}
	return errors.Join(rejected(c, msgID), echo(c, []byte("201")))
}

// garbage sends datagrams of noise, some with the first byte of a QUIC packet; a login must work after.
func garbage(address string, count int) error {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	noise := rand.NewChaCha8([32]byte{1})
	for i := range count {
		datagram := make([]byte, 1+i%1400)
		noise.Read(datagram)
		if i%2 == 0 {
			datagram[0] |= 0xc0
		}
		if i%4 == 0 && len(datagram) > 5 {
			copy(datagram[1:], []byte{0, 0, 0, 1})
		}
		if _, err := conn.Write(datagram); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	c, err := dial(address, alpn)
	if err == nil {
		c.end()
	}
	return err
}

func wrongALPN(address string) error {
	c, err := dial(address, "h3")
	if err == nil {
		c.end()
		return errors.New("the handshake succeeded")
	}
	const noApplicationProtocol = 0x178
	if failed, ok := errors.AsType[*quic.TransportError](err); !ok || failed.ErrorCode != noApplicationProtocol {
		return fmt.Errorf("want TLS alert no_application_protocol, got: %w", err)
	}
	return nil
}

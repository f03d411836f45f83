package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"gatesvr.io/e2e/interop/gen"
)

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

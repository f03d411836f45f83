package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	"gatesvr.io/e2e/interop/gen"
)

const (
	alpn          = "gatesvr/1"
	maxFrameBytes = 64 << 10
	patience      = 15 * time.Second
)

// place is what a client keeps for a resume.
type place struct {
	openid    string
	sessionID string
	token     []byte
	epoch     uint64
	received  uint64
}

// client is one connection and what its session has received.
type client struct {
	place
	address   string
	udp       net.PacketConn
	transport *quic.Transport
	conn      *quic.Conn
	stream    *quic.Stream
	reader    *bufio.Reader
	msgID     uint32
	clientSeq uint64
}

// dial connects from a fresh local port; the certificate is a throw-away one and is not verified.
func dial(address, protocol string) (*client, error) {
	remote, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	udp, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	c := &client{address: address, udp: udp, transport: &quic.Transport{Conn: udp}}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c.conn, err = c.transport.Dial(ctx, remote, &tls.Config{
		InsecureSkipVerify: true,
		NextProtos:         []string{protocol},
		ServerName:         "localhost",
	}, &quic.Config{MaxIdleTimeout: 30 * time.Second})
	if err != nil {
		udp.Close()
		return nil, err
	}
	c.stream, err = c.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	c.reader = bufio.NewReader(c.stream)
	return c, nil
}

// vanish drops the connection without a word: the server sees nothing more of it.
func (c *client) vanish() { c.udp.Close() }

// leave ends the stream, as a client that goes away politely but keeps its session.
func (c *client) leave() {
	c.stream.Close()
	c.closeCode()
	c.udp.Close()
}

func (c *client) end() {
	c.conn.CloseWithError(0, "")
	c.transport.Close()
	c.udp.Close()
}

func frame(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
}

func encode(message proto.Message) []byte {
	encoded, err := proto.Marshal(message)
	if err != nil {
		panic(err)
	}
	return encoded
}

func (c *client) raw(bytes []byte) error {
	_, err := c.stream.Write(bytes)
	return err
}

// send writes a request under the next msg_id, which it returns.
func (c *client) send(request *gen.ClientRequest) (uint32, error) {
	c.msgID++
	request.MsgId = c.msgID
	return c.msgID, c.raw(frame(encode(request)))
}

func (c *client) business(seqID uint64, action string, data []byte) (uint32, error) {
	return c.send(&gen.ClientRequest{
		SeqId: seqID, Type: gen.RequestType_REQUEST_BUSINESS,
		Payload: encode(&gen.BusinessRequest{Action: action, Data: data}),
	})
}

// request sends a BUSINESS with the next number.
func (c *client) request(action string, data []byte) (uint32, error) {
	c.clientSeq++
	return c.business(c.clientSeq, action, data)
}

func (c *client) ack(upTo uint64) error {
	_, err := c.send(&gen.ClientRequest{
		Type: gen.RequestType_REQUEST_ACK, Payload: encode(&gen.AckRequest{AckUpTo: upTo}),
	})
	return err
}

// receive reads one message of any kind.
func (c *client) receive() (*gen.ServerPush, error) {
	c.stream.SetReadDeadline(time.Now().Add(patience))
	var header [4]byte
	if _, err := io.ReadFull(c.reader, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size > maxFrameBytes {
		return nil, fmt.Errorf("server sent a frame of %d bytes", size)
	}
	message := make([]byte, size)
	if _, err := io.ReadFull(c.reader, message); err != nil {
		return nil, err
	}
	push := new(gen.ServerPush)
	if err := proto.Unmarshal(message, push); err != nil {
		return nil, fmt.Errorf("frame of %d bytes %x: %w", size, message[:min(size, 200)], err)
	}
	return push, nil
}

// next reads one message and holds the server to the numbering: 1..n, no hole, no repeat, 0 for all else.
func (c *client) next() (*gen.ServerPush, error) {
	push, err := c.receive()
	if err != nil {
		return nil, err
	}
	switch push.Type {
	case gen.PushType_PUSH_BUSINESS_RESPONSE, gen.PushType_PUSH_NOTIFY, gen.PushType_PUSH_SKIP:
		if push.SeqId != c.received+1 {
			return nil, fmt.Errorf("%v has seq_id %d after %d", push.Type, push.SeqId, c.received)
		}
		c.received = push.SeqId
	default:
		if push.SeqId != 0 {
			return nil, fmt.Errorf("%v has seq_id %d", push.Type, push.SeqId)
		}
	}
	return push, nil
}

// expect reads one message that must be of this type and, unless msgID is 0, answer that message.
func (c *client) expect(kind gen.PushType, msgID uint32) (*gen.ServerPush, error) {
	push, err := c.next()
	if err != nil {
		return nil, fmt.Errorf("waiting for %v: %w", kind, err)
	}
	if push.Type != kind || (msgID != 0 && push.MsgId != msgID) {
		return nil, fmt.Errorf("want %v for msg_id %d, got %s", kind, msgID, describe(push))
	}
	return push, nil
}

// start sends START and returns the answer, successful or not.
func (c *client) start(request *gen.StartRequest) (*gen.StartResponse, error) {
	msgID, err := c.send(&gen.ClientRequest{
		Type: gen.RequestType_REQUEST_START, Openid: request.Openid, Payload: encode(request),
	})
	if err != nil {
		return nil, err
	}
	push, err := c.receive()
	if closed, ok := errors.AsType[*quic.ApplicationError](err); ok && closed.Remote {
		// quic-go drops what was not read yet when the close comes right behind it: the code says the same.
		return &gen.StartResponse{Error: &gen.Error{Code: gen.ErrorCode(closed.ErrorCode)}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("waiting for the answer to START: %w", err)
	}
	if push.Type != gen.PushType_PUSH_START_RESPONSE || push.MsgId != msgID || push.SeqId != 0 {
		return nil, fmt.Errorf("want PUSH_START_RESPONSE for msg_id %d, got %s", msgID, describe(push))
	}
	response := new(gen.StartResponse)
	if err := proto.Unmarshal(push.Payload, response); err != nil {
		return nil, err
	}
	if response.Success {
		c.place = place{
			openid: request.Openid, sessionID: response.SessionId, token: response.ResumeToken,
			epoch: response.Epoch, received: response.NextSeqId - 1,
		}
	}
	return response, nil
}

// login connects and starts openid's session; an unsuccessful START is an error.
func login(address, openid string) (*client, error) {
	c, err := dial(address, alpn)
	if err != nil {
		return nil, err
	}
	response, err := c.start(&gen.StartRequest{Openid: openid, ClientId: "go-interop"})
	if err != nil {
		return nil, err
	}
	if !response.Success {
		return nil, fmt.Errorf("START refused: %v", response.Error)
	}
	return c, nil
}

// heartbeat does one round trip and fails on any other message in between.
func (c *client) heartbeat() error {
	msgID, err := c.send(&gen.ClientRequest{Type: gen.RequestType_REQUEST_HEARTBEAT})
	if err != nil {
		return err
	}
	_, err = c.expect(gen.PushType_PUSH_HEARTBEAT_RESPONSE, msgID)
	return err
}

// call sends a BUSINESS and expects its successful answer as the next message.
func (c *client) call(action string, data []byte) (*gen.BusinessResponse, error) {
	msgID, err := c.request(action, data)
	if err != nil {
		return nil, err
	}
	push, err := c.expect(gen.PushType_PUSH_BUSINESS_RESPONSE, msgID)
	if err != nil {
		return nil, err
	}
	response := new(gen.BusinessResponse)
	if err := proto.Unmarshal(push.Payload, response); err != nil {
		return nil, err
	}
	if !response.Success || response.ClientSeqId != c.clientSeq {
		return nil, fmt.Errorf("%s as request %d was answered %v", action, c.clientSeq, response)
	}
	return response, nil
}

// closeCode reads until the server closes the connection and returns the application code it closed with.
func (c *client) closeCode() (gen.ErrorCode, error) {
	for {
		_, err := c.receive()
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) {
			select {
			case <-c.conn.Context().Done():
				err = context.Cause(c.conn.Context())
			case <-time.After(patience):
			}
		}
		if closed, ok := errors.AsType[*quic.ApplicationError](err); ok && closed.Remote {
			return gen.ErrorCode(closed.ErrorCode), nil
		}
		return 0, fmt.Errorf("want an application close, got: %w", err)
	}
}

func describe(push *gen.ServerPush) string {
	text := fmt.Sprintf("%v msg_id %d seq_id %d", push.Type, push.MsgId, push.SeqId)
	if push.Type == gen.PushType_PUSH_ERROR {
		failure := new(gen.Error)
		proto.Unmarshal(push.Payload, failure)
		text += fmt.Sprintf(" %v %q", failure.Code, failure.Message)
	}
	return text
}

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	"gatesvr.io/bench/peers/gen"
	"gatesvr.io/bench/peers/wire"
)

const (
	ackEvery      = 8
	answerTimeout = 30 * time.Second
)

// client is one session of the load; its own goroutine does everything after connect.
type client struct {
	openid string
	conn   *quic.Conn
	stream *quic.Stream
	reader *bufio.Reader
	frame  []byte

	payload   []byte
	out       []byte
	msgID     uint32
	clientSeq uint64
	received  uint64
	ackedUpTo uint64
	sentAt    map[uint32]time.Time
	heartbeat time.Duration
	beatAt    time.Time

	latencies []uint32 // microseconds, of answers inside the measured window
}

// dialer spreads connections over UDP sockets of their own.
type dialer struct {
	address    *net.UDPAddr
	transports []*quic.Transport
}

func newDialer(address string, sockets int) (*dialer, error) {
	resolved, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	d := &dialer{address: resolved}
	for range sockets {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, err
		}
		d.transports = append(d.transports, &quic.Transport{Conn: conn})
	}
	return d, nil
}

// connect opens connection number i and starts its session.
func (d *dialer) connect(ctx context.Context, i int, dataBytes int) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, err := d.transports[i%len(d.transports)].Dial(ctx, d.address, &tls.Config{
		InsecureSkipVerify: true, // the gateways under test use throw-away certificates
		NextProtos:         []string{wire.ALPN},
		ServerName:         "localhost",
	}, &quic.Config{MaxIdleTimeout: 30 * time.Second, HandshakeIdleTimeout: 20 * time.Second})
	if err != nil {
		return nil, err
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	c := &client{
		openid: fmt.Sprintf("load-%d-%d", os.Getpid(), i),
		conn:   conn, stream: stream, reader: bufio.NewReader(stream),
		sentAt:  make(map[uint32]time.Time),
		payload: wire.Marshal(&gen.BusinessRequest{Action: "echo", Data: make([]byte, dataBytes)}),
	}
	return c, c.start()
}

func (c *client) start() error {
	c.queue(&gen.ClientRequest{
		Type: gen.RequestType_REQUEST_START, Openid: c.openid,
		Payload: wire.Marshal(&gen.StartRequest{Openid: c.openid, ClientId: "load"}),
	})
	if err := c.flush(); err != nil {
		return err
	}
	c.stream.SetReadDeadline(time.Now().Add(20 * time.Second))
	push, err := c.read()
	if err != nil {
		return fmt.Errorf("START of %s: %w", c.openid, err)
	}
	var start gen.StartResponse
	if err := proto.Unmarshal(push.Payload, &start); err != nil {
		return err
	}
	if push.Type != gen.PushType_PUSH_START_RESPONSE || !start.Success || start.Resumed {
		return fmt.Errorf("START of %s: %v %v", c.openid, push.Type, &start)
	}
	c.heartbeat = time.Duration(start.HeartbeatIntervalMs) * time.Millisecond
	c.beatAt = time.Now().Add(c.heartbeat)
	return nil
}

// queue appends a request to what the next flush writes.
func (c *client) queue(request *gen.ClientRequest) {
	c.msgID++
	request.MsgId = c.msgID
	c.out, _ = wire.AppendFrame(c.out, request)
}

func (c *client) flush() error {
	_, err := c.stream.Write(c.out)
	c.out = c.out[:0]
	return err
}

func (c *client) read() (*gen.ServerPush, error) {
	frame, err := wire.ReadFrame(c.reader, c.frame)
	if err != nil {
		return nil, err
	}
	c.frame = frame
	push := new(gen.ServerPush)
	return push, proto.Unmarshal(frame, push)
}

func (c *client) sendBusiness(now time.Time) {
	c.clientSeq++
	c.queue(&gen.ClientRequest{SeqId: c.clientSeq, Type: gen.RequestType_REQUEST_BUSINESS, Payload: c.payload})
	c.sentAt[c.msgID] = now
}

func (c *client) sendDue(now time.Time) {
	if c.received >= c.ackedUpTo+ackEvery {
		c.ackedUpTo = c.received
		c.queue(&gen.ClientRequest{
			Type: gen.RequestType_REQUEST_ACK, Payload: wire.Marshal(&gen.AckRequest{AckUpTo: c.received}),
		})
	}
	if now.After(c.beatAt) {
		c.beatAt = now.Add(c.heartbeat)
		c.queue(&gen.ClientRequest{Type: gen.RequestType_REQUEST_HEARTBEAT})
	}
}

// handle checks one message: numbers must be 1..n and every answer the whole echo.
func (c *client) handle(push *gen.ServerPush, now time.Time, measure *window) error {
	if push.SeqId > 0 {
		if push.SeqId != c.received+1 {
			return fmt.Errorf("%s: seq_id %d after %d", c.openid, push.SeqId, c.received)
		}
		c.received = push.SeqId
	}
	switch push.Type {
	case gen.PushType_PUSH_HEARTBEAT_RESPONSE:
		return nil
	case gen.PushType_PUSH_BUSINESS_RESPONSE:
		var response gen.BusinessResponse
		if err := proto.Unmarshal(push.Payload, &response); err != nil {
			return err
		}
		sentAt, known := c.sentAt[push.MsgId]
		if !response.Success || !known {
			return fmt.Errorf("%s: answer to msg_id %d: %v", c.openid, push.MsgId, response.Error)
		}
		delete(c.sentAt, push.MsgId)
		if measure.open() {
			c.latencies = append(c.latencies, uint32(now.Sub(sentAt).Microseconds()))
		}
		c.sendBusiness(now)
		return nil
	default:
		var failure gen.Error
		proto.Unmarshal(push.Payload, &failure)
		return fmt.Errorf("%s: %v %v", c.openid, push.Type, &failure)
	}
}

// run keeps requests in flight until the window closes.
func (c *client) run(inFlight int, measure *window) error {
	now := time.Now()
	for range inFlight {
		c.sendBusiness(now)
	}
	for !measure.ended() {
		c.sendDue(now)
		if len(c.out) > 0 {
			if err := c.flush(); err != nil {
				return err
			}
		}
		c.stream.SetReadDeadline(now.Add(answerTimeout))
		push, err := c.read()
		if err != nil {
			return fmt.Errorf("%s: %w", c.openid, err)
		}
		now = time.Now()
		if err := c.handle(push, now, measure); err != nil {
			return err
		}
	}
	return nil
}

// hold keeps an idle session alive until ctx ends.
func (c *client) hold(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(c.beatAt)):
		}
		c.beatAt = time.Now().Add(c.heartbeat)
		c.queue(&gen.ClientRequest{Type: gen.RequestType_REQUEST_HEARTBEAT})
		if err := c.flush(); err != nil {
			return err
		}
		c.stream.SetReadDeadline(time.Now().Add(answerTimeout))
		push, err := c.read()
		if err != nil {
			return err
		}
		if push.Type != gen.PushType_PUSH_HEARTBEAT_RESPONSE {
			return fmt.Errorf("%s: %v instead of a heartbeat's answer", c.openid, push.Type)
		}
	}
}

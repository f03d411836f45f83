package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
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

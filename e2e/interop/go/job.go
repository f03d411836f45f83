package main

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"

	"gatesvr.io/e2e/interop/gen"
)

const tokenBytesMin = 16 // 128 bits

func zoneOf(openid string) string {
	digest := md5.Sum([]byte(openid))
	return fmt.Sprintf("%03d", binary.BigEndian.Uint32(digest[:4])%6+1)
}

// mainJob is start, heartbeat, business, push, ack, stop on one connection.
func mainJob(result *report, address, openid string) {
	var c *client
	ok := result.run("start", func() (err error) {
		c, err = freshStart(address, openid)
		return err
	})
	if !ok {
		return
	}
	defer c.end()
	result.run("heartbeat", c.heartbeat)
	result.run("business: echo", func() error { return echo(c, []byte("hi \x00\xff")) })
	result.run("business: routed by md5", func() error {
		response, err := c.call("hello", nil)
		want := fmt.Sprintf("hello %s from zone %s", openid, zoneOf(openid))
		if err == nil && string(response.Data) != want {
			err = fmt.Errorf("got %q, want %q", response.Data, want)
		}
		return err
	})
	result.run("push: five in order", func() error { return pushMe(c, 5) })
	result.run("an answered request sent again gets the same answer", func() error { return repeat(c) })
	result.run("ack, and one that goes back", func() error {
		return errors.Join(c.ack(c.received), c.ack(1), c.heartbeat())
	})
	result.run("an acknowledged request sent again gets nothing", func() error {
		if _, err := c.business(c.clientSeq, "echo", nil); err != nil {
			return err
		}
		return errors.Join(c.heartbeat(), echo(c, []byte("next")))
	})
	result.run("stop closes with 0", func() error { return stop(c) })
	result.run("a stopped session cannot be resumed", func() error {
		return refusedResume(c.place, address, gen.ErrorCode_ERROR_SESSION_NOT_FOUND)
	})
}

func freshStart(address, openid string) (*client, error) {
	c, err := dial(address, alpn)
	if err != nil {
		return nil, err
	}
	response, err := c.start(&gen.StartRequest{Openid: openid, ClientId: "go-interop"})
	if err != nil {
		return nil, err
	}
	if !response.Success || response.Resumed || response.SessionId == "" || response.NextSeqId != 1 ||
		len(response.ResumeToken) < tokenBytesMin || response.HeartbeatIntervalMs == 0 || response.ResumeWindowMs == 0 {
		return nil, fmt.Errorf("START was answered %v", response)
	}
	return c, nil
}

func echo(c *client, data []byte) error {
	response, err := c.call("echo", data)
	if err == nil && !bytes.Equal(response.Data, data) {
		err = fmt.Errorf("echo of %q is %q", data, response.Data)
	}
	return err
}

// pushes follows push-me: one answer "ok" at any place among "push 1" to "push count".
type pushes struct {
	msgID    uint32
	count    int
	next     int
	answered bool
}

func (p *pushes) done() bool { return p.answered && p.next == p.count }

func (p *pushes) take(push *gen.ServerPush) error {
	switch push.Type {
	case gen.PushType_PUSH_BUSINESS_RESPONSE:
		response := new(gen.BusinessResponse)
		err := proto.Unmarshal(push.Payload, response)
		if err != nil || p.answered || push.MsgId != p.msgID || string(response.Data) != "ok" {
			return fmt.Errorf("push-me was answered %s %v", describe(push), response)
		}
		p.answered = true
	case gen.PushType_PUSH_NOTIFY:
		p.next++
		if want := "push " + strconv.Itoa(p.next); string(push.Payload) != want {
			return fmt.Errorf("got %q, want %q", push.Payload, want)
		}
	default:
		return fmt.Errorf("got %s among pushes", describe(push))
	}
	return nil
}

// readUntil takes messages until all are there, or the session has received the given number of messages.
func (p *pushes) readUntil(c *client, received uint64) error {
	for !p.done() && c.received < received {
		push, err := c.next()
		if err != nil {
			return fmt.Errorf("after %d of %d pushes: %w", p.next, p.count, err)
		}
		if err := p.take(push); err != nil {
			return err
		}
	}
	return nil
}

func askForPushes(c *client, count int) (*pushes, error) {
	msgID, err := c.request("push-me", []byte(strconv.Itoa(count)))
	return &pushes{msgID: msgID, count: count}, err
}

func pushMe(c *client, count int) error {
	p, err := askForPushes(c, count)
	if err != nil {
		return err
	}
	return p.readUntil(c, c.received+uint64(count)+1)
}

// repeat sends a request twice; the second answer must be the first one from the queue, number and all.
func repeat(c *client) error {
	if err := echo(c, []byte("again")); err != nil {
		return err
	}
	if _, err := c.business(c.clientSeq, "echo", []byte("again")); err != nil {
		return err
	}
	push, err := c.receive()
	if err != nil {
		return err
	}
	response := new(gen.BusinessResponse)
	if err := proto.Unmarshal(push.Payload, response); err != nil {
		return err
	}
	if push.SeqId != c.received || string(response.Data) != "again" || response.ClientSeqId != c.clientSeq {
		return fmt.Errorf("the repeat was answered %s %v", describe(push), response)
	}
	return nil
}

func stop(c *client) error {
	if _, err := c.send(&gen.ClientRequest{Type: gen.RequestType_REQUEST_STOP}); err != nil {
		return err
	}
	return wantCode(c.closeCode, 0)
}

func wantCode(read func() (gen.ErrorCode, error), allowed ...gen.ErrorCode) error {
	code, err := read()
	if err != nil {
		return err
	}
	for _, one := range allowed {
		if code == one {
			return nil
		}
	}
	return fmt.Errorf("code %d, want one of %d", code, allowed)
}

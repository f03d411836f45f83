package main

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"gatesvr.io/e2e/interop/gen"
)

const everything = ^uint64(0)

// resumeAt connects anew and takes the session over at its place.
func resumeAt(at place, address string) (*client, *gen.StartResponse, error) {
	c, err := dial(address, alpn)
	if err != nil {
		return nil, nil, err
	}
	response, err := c.start(&gen.StartRequest{
		Openid: at.openid, ClientId: "go-interop", ResumeToken: at.token,
		SessionId: at.sessionID, Epoch: at.epoch, ReceivedSeqId: at.received,
	})
	return c, response, err
}

// takeOver resumes and checks what START promises: this session, nothing missing, a new token.
func takeOver(c *client, address string) (*client, error) {
	resumed, response, err := resumeAt(c.place, address)
	if err != nil {
		return nil, err
	}
	if !response.Success || !response.Resumed || response.SessionId != c.sessionID ||
		response.NextSeqId != c.received+1 || response.MaxClientSeq > c.clientSeq {
		return nil, fmt.Errorf("resume at %d was answered %v", c.received, response)
	}
	if len(response.ResumeToken) < tokenBytesMin || bytes.Equal(response.ResumeToken, c.token) {
		return nil, errors.New("the resume token was not replaced")
	}
	resumed.msgID, resumed.clientSeq = c.msgID, response.MaxClientSeq
	return resumed, nil
}

// refusedResume expects an unsuccessful START with this code, and the connection closed with it.
func refusedResume(at place, address string, code gen.ErrorCode) error {
	c, response, err := resumeAt(at, address)
	if err != nil {
		return err
	}
	defer c.end()
	if response.Success || response.GetError().GetCode() != code || response.SessionId != "" {
		return fmt.Errorf("want a refusal with %v, got %v", code, response)
	}
	return wantCode(c.closeCode, code)
}

func resumeJobs(result *report, address, openid string) {
	for _, one := range []struct {
		name string
		body func(address, openid string) error
	}{
		{"pushes while away, connection lost", func(a, o string) error { return pushedWhileAway(a, o, (*client).vanish) }},
		{"pushes while away, stream ended", func(a, o string) error { return pushedWhileAway(a, o, (*client).leave) }},
		{"request in flight at the break is answered once", inFlight},
		{"many breaks in a row", manyBreaks},
		{"used token is refused", usedToken},
		{"lost answer: the token before it still works", unconfirmedToken},
		{"forged and foreign tokens are refused", forgedTokens},
		{"a place past the end is refused", func(a, o string) error { return gap(a, o, +1) }},
		{"a place below the acknowledged one is refused", func(a, o string) error { return gap(a, o, -1) }},
		{"the newest connection wins", newestWins},
		{"a fresh proof takes over at the acknowledged place", freshProof},
	} {
		openid += "+"
		result.run(one.name, func() error { return one.body(address, openid) })
	}
}

// pushedWhileAway breaks in the middle of pushes and must find the rest, in order.
func pushedWhileAway(address, openid string, breakOff func(*client)) error {
	const count = 20
	c, err := freshStart(address, openid)
	if err != nil {
		return err
	}
	if err := echo(c, []byte("first")); err != nil {
		return err
	}
	p, err := askForPushes(c, count)
	if err == nil {
		err = p.readUntil(c, 8)
	}
	if err != nil {
		return err
	}
	if err := c.ack(5); err != nil {
		return err
	}
	breakOff(c)
	resumed, err := takeOver(c, address)
	if err != nil {
		return err
	}
	defer resumed.end()
	if err := p.readUntil(resumed, everything); err != nil {
		return err
	}
	if resumed.received != count+2 {
		return fmt.Errorf("received %d messages, want %d", resumed.received, count+2)
	}
	return errors.Join(resumed.ack(resumed.received), resumed.heartbeat(), echo(resumed, []byte("on")))
}

// inFlight breaks off between a request and its answer.
func inFlight(address, openid string) error {
	c, err := freshStart(address, openid)
	if err != nil {
		return err
	}
	msgID, err := c.request("echo", []byte("in flight"))
	if err != nil {
		return err
	}
	c.vanish()
	resumed, response, err := resumeAt(c.place, address)
	if err != nil {
		return err
	}
	defer resumed.end()
	if !response.Success || response.NextSeqId != 1 {
		return fmt.Errorf("resume was answered %v", response)
	}
	resumed.msgID, resumed.clientSeq = c.msgID-1, 1
	if response.MaxClientSeq < 1 {
		if _, err := resumed.business(1, "echo", []byte("in flight")); err != nil {
			return err
		}
	}
	push, err := resumed.expect(gen.PushType_PUSH_BUSINESS_RESPONSE, msgID)
	if err != nil {
		return err
	}
	answer := new(gen.BusinessResponse)
	if err := proto.Unmarshal(push.Payload, answer); err != nil {
		return err
	}
	if string(answer.Data) != "in flight" || answer.ClientSeqId != 1 {
		return fmt.Errorf("the answer is %v", answer)
	}
	return errors.Join(resumed.ack(1), resumed.heartbeat(), echo(resumed, []byte("on")))
}

// manyBreaks reads a few messages on each of many connections.
func manyBreaks(address, openid string) error {
	const count = 60
	c, err := freshStart(address, openid)
	if err != nil {
		return err
	}
	p, err := askForPushes(c, count)
	if err != nil {
		return err
	}
	for round := 1; !p.done(); round++ {
		if err := p.readUntil(c, uint64(round*7)); err != nil {
			return err
		}
		if round%2 == 0 {
			if err := c.ack(c.received - 2); err != nil {
				return err
			}
		}
		c.vanish()
		if c, err = takeOver(c, address); err != nil {
			return fmt.Errorf("break %d: %w", round, err)
		}
	}
	defer c.end()
	if c.received != count+1 {
		return fmt.Errorf("received %d messages, want %d", c.received, count+1)
	}
	return c.heartbeat()
}

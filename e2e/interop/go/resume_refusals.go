package main

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"gatesvr.io/e2e/interop/gen"
)

// usedToken: once a frame followed START on the new connection, the token before it is void.
func usedToken(address, openid string) error {
	c, err := freshStart(address, openid)
	if err != nil {
		return err
	}
	c.vanish()
	resumed, err := takeOver(c, address)
	if err != nil {
		return err
	}
	defer resumed.end()
	if err := resumed.heartbeat(); err != nil {
		return err
	}
	if err := refusedResume(c.place, address, gen.ErrorCode_ERROR_RESUME_REJECTED); err != nil {
		return err
	}
	return echo(resumed, []byte("untouched"))
}

// unconfirmedToken: a client that never saw the answer to its resume comes with the old token again.
func unconfirmedToken(address, openid string) error {
	c, err := freshStart(address, openid)
	if err != nil {
		return err
	}
	c.vanish()
	lost, err := takeOver(c, address)
	if err != nil {
		return err
	}
	lost.vanish()
	again, err := takeOver(c, address)
	if err != nil {
		return err
	}
	defer again.end()
	return echo(again, []byte("on"))
}

// forgedTokens leave the live session alone and say nothing about it.
func forgedTokens(address, openid string) error {
	c, err := freshStart(address, openid)
	if err != nil {
		return err
	}
	defer c.end()
	other, err := freshStart(address, openid+"-other")
	if err != nil {
		return err
	}
	defer other.end()
	forged := c.place
	forged.token = bytes.Clone(c.token)
	forged.token[len(forged.token)-1] ^= 1
	foreign := c.place
	foreign.token = other.token
	short := c.place
	short.token = c.token[:3]
	for _, at := range []place{forged, foreign, short} {
		if err := refusedResume(at, address, gen.ErrorCode_ERROR_RESUME_REJECTED); err != nil {
			return err
		}
	}
	return errors.Join(echo(c, []byte("untouched")), echo(other, []byte("untouched")))
}

// gap claims a place that cannot be continued from.
func gap(address, openid string, by int) error {
	c, err := freshStart(address, openid)
	if err != nil {
		return err
	}
	defer c.end()
	if err := errors.Join(pushMe(c, 4), c.ack(c.received), c.heartbeat()); err != nil {
		return err
	}
	wrong := c.place
	wrong.received = uint64(int(c.received) + by)
	return refusedResume(wrong, address, gen.ErrorCode_ERROR_RESUME_GAP)
}

// newestWins resumes while the old connection lives: it is told, and closed as replaced.
func newestWins(address, openid string) error {
	old, err := freshStart(address, openid)
	if err != nil {
		return err
	}
	if err := echo(old, []byte("old")); err != nil {
		return err
	}
	resumed, err := takeOver(old, address)
	if err != nil {
		return err
	}
	defer resumed.end()
	push, err := old.expect(gen.PushType_PUSH_GOAWAY, 0)
	if err != nil {
		return err
	}
	goaway := new(gen.Goaway)
	if err := proto.Unmarshal(push.Payload, goaway); err != nil || goaway.Reconnect {
		return fmt.Errorf("the old connection was told %v", goaway)
	}
	if err := wantCode(old.closeCode, gen.ErrorCode_ERROR_REPLACED); err != nil {
		return err
	}
	return echo(resumed, []byte("new"))
}

// freshProof logs in again without a token: the same session, from the acknowledged place.
func freshProof(address, openid string) error {
	c, err := freshStart(address, openid)
	if err != nil {
		return err
	}
	if err := errors.Join(pushMe(c, 4), c.ack(2), c.heartbeat()); err != nil {
		return err
	}
	c.vanish()
	again, err := login(address, openid)
	if err != nil {
		return err
	}
	defer again.end()
	if again.sessionID != c.sessionID || again.received != 2 {
		return fmt.Errorf("session %s from %d, want %s from 2", again.sessionID, again.received, c.sessionID)
	}
	for again.received < c.received {
		if _, err := again.next(); err != nil {
			return err
		}
	}
	return again.heartbeat()
}

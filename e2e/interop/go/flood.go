package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quic-go/quic-go"

	"gatesvr.io/e2e/interop/gen"
)

// Shares of a flood: of every 1,000 frames so many are datagrams of noise, and so many cost their connection.
const (
	datagramsPerThousand = 300
	closersPerThousand   = 10
	framesPerBatch       = 50
)

var closers = [][]byte{
	notProtobuf, cutProtobuf, hugeLength, justTooLarge, frame(heartbeat), frame(nil), frame(deep(20_000)), startWithPayload(),
}

// flood sends bad frames of all kinds. Sessions are few and reused; a connection the gateway closes is opened again.
func flood(result *report, address, openid string, count int) {
	result.run(fmt.Sprintf("%d bad frames", count), func() error {
		for sent := 0; sent < count; sent += 1000 {
			if err := garbage(address, datagramsPerThousand); err != nil {
				return fmt.Errorf("after %d: %w", sent, err)
			}
			for i := range closersPerThousand {
				closer := closers[(sent/1000*closersPerThousand+i)%len(closers)]
				err := onConnection(address, closes(closer, protocol, tooLarge, badMessage))
				if err != nil {
					return fmt.Errorf("after %d: %w", sent, err)
				}
			}
			rest := 1000 - datagramsPerThousand - closersPerThousand
			if err := rejectedFrames(address, fmt.Sprintf("%s-%d", openid, sent/1000%5), rest); err != nil {
				return fmt.Errorf("after %d: %w", sent, err)
			}
		}
		return nil
	})
	result.run("a login after the flood", func() error {
		c, err := freshStart(address, openid+"-after")
		if err == nil {
			err = echo(c, []byte("still here"))
			c.end()
		}
		return err
	})
}

// rejectedFrames sends messages that are each rejected, and counts the rejections.
func rejectedFrames(address, openid string, count int) error {
	c, err := login(address, openid)
	if err != nil {
		return err
	}
	defer func() { c.end() }()
	bad := []*gen.ClientRequest{
		{Type: 99}, {}, businessOf(0), numbered(gen.RequestType_REQUEST_HEARTBEAT),
		{SeqId: 1, Type: gen.RequestType_REQUEST_BUSINESS, Payload: []byte{0xff}},
	}
	for done := 0; done < count; {
		err := rejectedBatch(c, bad, min(framesPerBatch, count-done), &done)
		if err == nil {
			continue
		}
		closed, ok := errors.AsType[*quic.ApplicationError](err)
		if !ok || closed.ErrorCode != quic.ApplicationErrorCode(gen.ErrorCode_ERROR_RATE_EXCEEDED) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
		c.end()
		if c, err = login(address, openid); err != nil {
			return err
		}
	}
	_, err = c.send(&gen.ClientRequest{Type: gen.RequestType_REQUEST_STOP})
	if err == nil {
		err = wantCode(c.closeCode, 0)
	}
	return err
}

func rejectedBatch(c *client, bad []*gen.ClientRequest, size int, done *int) error {
	for i := range size {
		if _, err := c.send(bad[i%len(bad)]); err != nil {
			return err
		}
	}
	for range size {
		push, err := c.receive()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = c.conn.Context().Err()
			}
			return err
		}
		if push.Type != gen.PushType_PUSH_ERROR {
			return fmt.Errorf("a bad frame was answered %s", describe(push))
		}
		*done++
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"gatesvr.io/e2e/interop/gen"
)

// Shares of a flood: of every 1,000 frames so many are datagrams of noise, and so many cost their connection.
const (
	datagramsPerThousand = 300
	closersPerThousand   = 10
	framesPerBatch       = 50
	floodSessions        = 10
)

var closers = [][]byte{
	notProtobuf, cutProtobuf, hugeLength, justTooLarge, frame(heartbeat), frame(nil), frame(deep(20_000)), startWithPayload(),
}

// flood sends bad frames of all kinds from a few sessions at once. A connection the gateway closes is opened again.
func flood(result *report, address, openid string, count int) {
	result.run(fmt.Sprintf("%d bad frames", count), func() error {
		var block, resets atomic.Int64
		failures := make([]error, floodSessions)
		var sessions sync.WaitGroup
		for i := range failures {
			sessions.Go(func() {
				for failures[i] == nil {
					mine := int(block.Add(1)) - 1
					if mine*1000 >= count {
						return
					}
					failures[i] = thousandFrames(address, fmt.Sprintf("%s-%d", openid, i), mine, &resets)
				}
			})
		}
		sessions.Wait()
		if most := int64(1 + count/1000*closersPerThousand/100); resets.Load() > most {
			failures = append(failures, fmt.Errorf("%d closes were resets without a code, at most %d may be", resets.Load(), most))
		}
		return errors.Join(failures...)
	})
	result.run("a login after the flood", func() error {
		c, err := freshStart(address, openid+"-after")
		if err == nil {
			err = errors.Join(echo(c, []byte("still here")), stop(c))
			c.end()
		}
		return err
	})
}

// thousandFrames is one block of a flood. A close that was lost shows as a stateless reset, which has no code.
func thousandFrames(address, openid string, block int, resets *atomic.Int64) error {
	if err := garbage(address, datagramsPerThousand); err != nil {
		return fmt.Errorf("block %d, garbage: %w", block, err)
	}
	for i := range closersPerThousand {
		closer := closers[(block*closersPerThousand+i)%len(closers)]
		err := onConnection(address, closes(closer, protocol, tooLarge, badMessage))
		if _, reset := errors.AsType[*quic.StatelessResetError](err); reset {
			resets.Add(1)
		} else if err != nil {
			return fmt.Errorf("block %d, %.20x: %w", block, closer, err)
		}
	}
	if err := rejectedFrames(address, openid, 1000-datagramsPerThousand-closersPerThousand); err != nil {
		return fmt.Errorf("block %d, rejections: %w", block, err)
	}
	return nil
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
	return stop(c)
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

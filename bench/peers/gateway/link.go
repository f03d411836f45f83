package main

import (
	"sync"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	"gatesvr.io/bench/peers/gen"
	"gatesvr.io/bench/peers/wire"
)

const linkBytesMax = 1 << 20

// link is one client connection. Frames appended while a write is under way leave together with the next one.
type link struct {
	conn   *quic.Conn
	stream *quic.Stream

	mu      sync.Mutex
	pending []byte
	spare   []byte
	writing bool
}

func (l *link) append(frame []byte) {
	l.mu.Lock()
	l.pending = append(l.pending, frame...)
	full := len(l.pending) > linkBytesMax
	l.mu.Unlock()
	if full {
		l.close(gen.ErrorCode_ERROR_SLOW_CONSUMER, "client does not read")
	}
}

func (l *link) appendMessage(message proto.Message) {
	l.mu.Lock()
	l.pending, _ = wire.AppendFrame(l.pending, message)
	l.mu.Unlock()
}

// flush writes what is pending; whoever comes while another writes leaves the work to it.
func (l *link) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writing {
		return
	}
	l.writing = true
	for len(l.pending) > 0 {
		batch := l.pending
		l.pending = l.spare[:0]
		l.mu.Unlock()
		_, err := l.stream.Write(batch)
		l.mu.Lock()
		l.spare = batch
		if err != nil {
			l.pending = l.pending[:0]
		}
	}
	l.writing = false
}

func (l *link) send(message proto.Message) {
	l.appendMessage(message)
	l.flush()
}

func (l *link) sendError(msgID uint32, code gen.ErrorCode, text string) {
	l.send(&gen.ServerPush{
		MsgId:   msgID,
		Type:    gen.PushType_PUSH_ERROR,
		Payload: wire.Marshal(&gen.Error{Code: code, Message: text}),
	})
}

func (l *link) close(code gen.ErrorCode, reason string) {
	l.conn.CloseWithError(quic.ApplicationErrorCode(code), reason)
}

package main

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"gatesvr.io/bench/peers/gen"
	"gatesvr.io/bench/peers/wire"
)

const (
	queueMessagesMax = 256
	queueBytesMax    = 256 << 10
	openRequestsMax  = 64
	resumeWindow     = 30 * time.Second
	ackTimeout       = 30 * time.Second
)

// entry is a frame the client has not acknowledged.
type entry struct {
	seqID     uint64
	clientSeq uint64
	frame     []byte
	queuedAt  time.Time
}

// session outlives its connections.
type session struct {
	id     string
	openid string

	mu           sync.Mutex
	link         *link
	token        []byte
	queue        []entry
	queueBytes   int
	nextSeqID    uint64
	ackedUpTo    uint64
	maxClientSeq uint64
	open         map[uint64]struct{}
	expiry       *time.Timer
}

// framePool keeps the frames of acknowledged messages.
var framePool = sync.Pool{New: func() any { return new(make([]byte, 0, 256)) }}

func newSession(openid string) *session {
	return &session{
		id:        hex.EncodeToString(randomBytes(16)),
		openid:    openid,
		nextSeqID: 1,
		open:      make(map[uint64]struct{}),
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// deliver gives a message the session's next number, queues it until it is acknowledged, and sends it.
func (s *session) deliver(push *gen.ServerPush, clientSeq uint64) (uint64, gen.PushStatus) {
	s.mu.Lock()
	delete(s.open, clientSeq)
	if len(s.queue) >= queueMessagesMax || s.queueBytes+len(push.Payload) > queueBytesMax {
		s.mu.Unlock()
		return 0, gen.PushStatus_PUSH_STATUS_QUEUE_FULL
	}
	push.SeqId = s.nextSeqID
	buffer := framePool.Get().(*[]byte)
	frame, err := wire.AppendFrame((*buffer)[:0], push)
	if err != nil {
		s.mu.Unlock()
		return 0, gen.PushStatus_PUSH_STATUS_TOO_LARGE
	}
	s.nextSeqID++
	s.queue = append(s.queue, entry{push.SeqId, clientSeq, frame, time.Now()})
	s.queueBytes += len(frame)
	current := s.link
	if current != nil {
		current.append(frame)
	}
	s.mu.Unlock()
	if current != nil {
		current.flush()
	}
	return push.SeqId, gen.PushStatus_PUSH_STATUS_OK
}

// acknowledge frees what the client has; false when it claims more than was sent.
func (s *session) acknowledge(upTo uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acknowledgeLocked(upTo)
}

func (s *session) acknowledgeLocked(upTo uint64) bool {
	if upTo >= s.nextSeqID {
		return false
	}
	if upTo <= s.ackedUpTo {
		return true
	}
	freed := int(upTo - s.ackedUpTo)
	for i := range s.queue[:freed] {
		frame := s.queue[i].frame
		s.queueBytes -= len(frame)
		framePool.Put(&frame)
	}
	s.queue = slices.Delete(s.queue, 0, freed)
	s.ackedUpTo = upTo
	return true
}

type admission int

const (
	admitted admission = iota
	repeated
	refused
)

// admit opens a request; a repeat is answered from the queue, or not at all.
func (s *session) admit(clientSeq uint64) admission {
	s.mu.Lock()
	defer s.mu.Unlock()
	if clientSeq <= s.maxClientSeq {
		for i := range s.queue {
			if s.queue[i].clientSeq == clientSeq && s.link != nil {
				s.link.append(s.queue[i].frame)
			}
		}
		return repeated
	}
	if len(s.open) >= openRequestsMax {
		return refused
	}
	s.maxClientSeq = clientSeq
	s.open[clientSeq] = struct{}{}
	return admitted
}

// attach binds the session to a connection and sends again what was not received.
// It returns the connection that held the session before.
func (s *session) attach(to *link, start *gen.StartResponse, msgID uint32) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.link
	s.link = to
	s.token = randomBytes(16)
	if s.expiry != nil {
		s.expiry.Stop()
	}
	start.SessionId = s.id
	start.ResumeToken = s.token
	start.NextSeqId = s.ackedUpTo + 1
	start.MaxClientSeq = s.maxClientSeq
	to.appendMessage(&gen.ServerPush{
		MsgId: msgID, Type: gen.PushType_PUSH_START_RESPONSE, Payload: wire.Marshal(start),
	})
	for i := range s.queue {
		to.append(s.queue[i].frame)
		s.queue[i].queuedAt = time.Now()
	}
	return before
}

// detach starts the resume window unless a newer connection has the session.
func (s *session) detach(from *link, expired func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == from {
		s.link = nil
		s.expiry = time.AfterFunc(resumeWindow, expired)
	}
}

// overdue returns the connection whose oldest message has waited too long for its acknowledgement.
func (s *session) overdue(now time.Time) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil && len(s.queue) > 0 && now.Sub(s.queue[0].queuedAt) > ackTimeout {
		return s.link
	}
	return nil
}

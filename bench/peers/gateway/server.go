package main

import (
	"bufio"
	"context"
	"crypto/subtle"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	"gatesvr.io/bench/peers/gen"
	"gatesvr.io/bench/peers/wire"
)

const startTimeout = 5 * time.Second

type limits struct {
	connections     int64
	upstream        int64
	upstreamTimeout time.Duration
}

// server accepts client connections and holds the sessions.
type server struct {
	limits      limits
	zones       *zoneTable
	connections atomic.Int64
	upstream    atomic.Int64
	requests    atomic.Uint64

	mu       sync.RWMutex
	byOpenid map[string]*session
}

func newServer(zones *zoneTable, limits limits) *server {
	return &server{zones: zones, limits: limits, byOpenid: make(map[string]*session)}
}

func (s *server) accept(ctx context.Context, listener *quic.Listener) error {
	for {
		conn, err := listener.Accept(ctx)
		if err != nil {
			return err
		}
		go s.serve(ctx, conn)
	}
}

// serve runs one connection until it ends.
func (s *server) serve(ctx context.Context, conn *quic.Conn) {
	defer s.connections.Add(-1)
	if s.connections.Add(1) > s.limits.connections {
		conn.CloseWithError(quic.ApplicationErrorCode(gen.ErrorCode_ERROR_TRY_LATER), "too many connections")
		return
	}
	opening, cancel := context.WithTimeout(ctx, startTimeout)
	stream, err := conn.AcceptStream(opening)
	cancel()
	if err != nil {
		conn.CloseWithError(quic.ApplicationErrorCode(gen.ErrorCode_ERROR_START_TIMEOUT), "no START")
		return
	}
	l := &link{conn: conn, stream: stream}
	reader := bufio.NewReader(stream)
	current, code := s.start(l, reader)
	if current == nil {
		l.close(code, "no START")
		return
	}
	code, reason := s.receive(ctx, current, l, reader)
	if code == gen.ErrorCode_ERROR_UNSPECIFIED && reason == "stop" {
		s.remove(current)
	} else {
		current.detach(l, func() { s.remove(current) })
	}
	l.close(code, reason)
}

func (s *server) start(l *link, reader *bufio.Reader) (*session, gen.ErrorCode) {
	l.stream.SetReadDeadline(time.Now().Add(startTimeout))
	frame, err := wire.ReadFrame(reader, nil)
	if err != nil {
		return nil, readErrorCode(err, gen.ErrorCode_ERROR_START_TIMEOUT)
	}
	var request gen.ClientRequest
	var start gen.StartRequest
	if proto.Unmarshal(frame, &request) != nil || request.Type != gen.RequestType_REQUEST_START ||
		proto.Unmarshal(request.Payload, &start) != nil {
		return nil, gen.ErrorCode_ERROR_PROTOCOL
	}
	l.stream.SetReadDeadline(time.Time{})
	current, resumed, failure := s.bind(&start)
	response := &gen.StartResponse{
		Success: failure == 0, Resumed: resumed, Epoch: 1, HeartbeatIntervalMs: 10_000,
		ResumeWindowMs: uint32(resumeWindow.Milliseconds()),
	}
	if failure != 0 {
		response.Error = &gen.Error{Code: failure}
		l.send(&gen.ServerPush{
			MsgId: request.MsgId, Type: gen.PushType_PUSH_START_RESPONSE, Payload: wire.Marshal(response),
		})
		l.stream.Close()
		time.Sleep(100 * time.Millisecond)
		return nil, failure
	}
	before := current.attach(l, response, request.MsgId)
	l.flush()
	if before != nil && before != l {
		before.close(gen.ErrorCode_ERROR_REPLACED, "session continues elsewhere")
	}
	return current, 0
}

// bind finds the session a START means, or makes one.
func (s *server) bind(start *gen.StartRequest) (*session, bool, gen.ErrorCode) {
	if len(start.Openid) == 0 || len(start.Openid) > 128 {
		return nil, false, gen.ErrorCode_ERROR_BAD_MESSAGE
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.byOpenid[start.Openid]
	if current == nil {
		if len(start.ResumeToken) > 0 {
			return nil, false, gen.ErrorCode_ERROR_SESSION_NOT_FOUND
		}
		current = newSession(start.Openid)
		s.byOpenid[start.Openid] = current
		return current, false, 0
	}
	if len(start.ResumeToken) == 0 {
		return current, true, 0
	}
	current.mu.Lock()
	defer current.mu.Unlock()
	if subtle.ConstantTimeCompare(start.ResumeToken, current.token) != 1 {
		return nil, false, gen.ErrorCode_ERROR_RESUME_REJECTED
	}
	if start.SessionId == current.id {
		if start.ReceivedSeqId < current.ackedUpTo || !current.acknowledgeLocked(start.ReceivedSeqId) {
			return nil, false, gen.ErrorCode_ERROR_RESUME_GAP
		}
	}
	return current, true, 0
}

func (s *server) remove(current *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byOpenid[current.openid] == current {
		delete(s.byOpenid, current.openid)
	}
}

func (s *server) find(openid string) *session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byOpenid[openid]
}

func readErrorCode(err error, timeout gen.ErrorCode) gen.ErrorCode {
	if _, tooLarge := errors.AsType[*wire.FrameTooLargeError](err); tooLarge {
		return gen.ErrorCode_ERROR_FRAME_TOO_LARGE
	}
	return timeout
}

// sweep closes connections whose client has stopped acknowledging.
func (s *server) sweep(ctx context.Context) {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			s.mu.RLock()
			for _, current := range s.byOpenid {
				if late := current.overdue(now); late != nil {
					go late.close(gen.ErrorCode_ERROR_ACK_TIMEOUT, "no acknowledgement")
				}
			}
			s.mu.RUnlock()
		}
	}
}

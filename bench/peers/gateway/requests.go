package main

import (
	"bufio"
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"gatesvr.io/bench/peers/gen"
	"gatesvr.io/bench/peers/wire"
)

// receive handles a session's messages; what it returns closes the connection.
func (s *server) receive(
	ctx context.Context, current *session, l *link, reader *bufio.Reader,
) (gen.ErrorCode, string) {
	var buffer []byte
	var request gen.ClientRequest
	for {
		frame, err := wire.ReadFrame(reader, buffer)
		if err != nil {
			return readErrorCode(err, gen.ErrorCode_ERROR_UNSPECIFIED), "end of stream"
		}
		buffer = frame
		if err := proto.Unmarshal(frame, &request); err != nil {
			return gen.ErrorCode_ERROR_PROTOCOL, "frame does not decode"
		}
		if (request.Type == gen.RequestType_REQUEST_BUSINESS) != (request.SeqId > 0) {
			l.sendError(request.MsgId, gen.ErrorCode_ERROR_BAD_MESSAGE, "seq_id does not fit the type")
			continue
		}
		switch request.Type {
		case gen.RequestType_REQUEST_BUSINESS:
			s.business(ctx, current, l, &request)
		case gen.RequestType_REQUEST_ACK:
			var ack gen.AckRequest
			if proto.Unmarshal(request.Payload, &ack) != nil {
				l.sendError(request.MsgId, gen.ErrorCode_ERROR_BAD_MESSAGE, "payload does not decode")
			} else if !current.acknowledge(ack.AckUpTo) {
				return gen.ErrorCode_ERROR_PROTOCOL, "ack past the end"
			}
		case gen.RequestType_REQUEST_HEARTBEAT:
			l.send(&gen.ServerPush{MsgId: request.MsgId, Type: gen.PushType_PUSH_HEARTBEAT_RESPONSE})
		case gen.RequestType_REQUEST_STOP:
			return gen.ErrorCode_ERROR_UNSPECIFIED, "stop"
		case gen.RequestType_REQUEST_START:
			return gen.ErrorCode_ERROR_PROTOCOL, "second START"
		default:
			l.sendError(request.MsgId, gen.ErrorCode_ERROR_BAD_MESSAGE, "unknown type")
		}
	}
}

// business checks a request and lets a goroutine of its own ask the zone.
func (s *server) business(ctx context.Context, current *session, l *link, request *gen.ClientRequest) {
	var business gen.BusinessRequest
	if proto.Unmarshal(request.Payload, &business) != nil {
		l.sendError(request.MsgId, gen.ErrorCode_ERROR_BAD_MESSAGE, "payload does not decode")
		return
	}
	if s.upstream.Load() >= s.limits.upstream {
		l.sendError(request.MsgId, gen.ErrorCode_ERROR_OVERLOADED, "too many requests upstream")
		return
	}
	switch current.admit(request.SeqId) {
	case repeated:
		l.flush()
		return
	case refused:
		l.sendError(request.MsgId, gen.ErrorCode_ERROR_QUEUE_FULL, "too many open requests")
		return
	}
	s.requests.Add(1)
	go s.forward(ctx, current, request.MsgId, &gen.UpstreamRequest{
		Openid: current.openid, SessionId: current.id, ClientSeqId: request.SeqId,
		Action: business.Action, Data: business.Data, Headers: request.Headers,
		Epoch: 1, DeadlineMs: uint32(s.limits.upstreamTimeout.Milliseconds()),
	})
}

// forward asks the openid's zone and delivers its answer.
func (s *server) forward(ctx context.Context, current *session, msgID uint32, request *gen.UpstreamRequest) {
	s.upstream.Add(1)
	defer s.upstream.Add(-1)
	response := gen.BusinessResponse{ClientSeqId: request.ClientSeqId}
	request.ZoneId = zoneOf(current.openid)
	zone := s.zones.get(request.ZoneId)
	if zone == nil {
		response.Error = &gen.Error{Code: gen.ErrorCode_ERROR_ZONE_UNAVAILABLE, Message: "zone is not registered"}
	} else {
		ctx, cancel := context.WithTimeout(ctx, s.limits.upstreamTimeout)
		answer, err := zone.ProcessRequest(ctx, request)
		cancel()
		if err != nil {
			response.Error = &gen.Error{Code: zoneErrorCode(err), Message: err.Error()}
		} else {
			response.Success, response.Data, response.Error = answer.Success, answer.Data, answer.Error
		}
	}
	current.deliver(&gen.ServerPush{
		MsgId: msgID, Type: gen.PushType_PUSH_BUSINESS_RESPONSE, Payload: wire.Marshal(&response),
	}, request.ClientSeqId)
}

func zoneErrorCode(err error) gen.ErrorCode {
	switch status.Code(err) {
	case codes.DeadlineExceeded:
		return gen.ErrorCode_ERROR_ZONE_TIMEOUT
	case codes.Unavailable:
		return gen.ErrorCode_ERROR_ZONE_UNAVAILABLE
	default:
		return gen.ErrorCode_ERROR_ZONE_FAILED
	}
}

package main

import (
	"context"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"gatesvr.io/bench/peers/gen"
)

const zoneCount = 6

func zoneOf(openid string) string {
	digest := md5.Sum([]byte(openid))
	return fmt.Sprintf("%03d", binary.BigEndian.Uint32(digest[:4])%zoneCount+1)
}

type zone struct {
	gen.UpstreamServiceClient
	address string
	conn    *grpc.ClientConn
}

// zoneTable keeps one connection to each registered zone.
type zoneTable struct {
	mu    sync.RWMutex
	zones map[string]*zone
}

func (t *zoneTable) get(id string) *zone {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.zones[id]
}

func (t *zoneTable) set(id, address string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.zones[id]; known != nil && known.address == address {
		return nil
	}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	if replaced := t.zones[id]; replaced != nil {
		replaced.conn.Close()
	}
	t.zones[id] = &zone{gen.NewUpstreamServiceClient(conn), address, conn}
	return nil
}

func (t *zoneTable) unset(id, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.zones[id]; known != nil && known.address == address {
		known.conn.Close()
		delete(t.zones, id)
	}
}

// gatewayService is what zones call.
type gatewayService struct {
	gen.UnimplementedGatewayServiceServer
	server *server
}

func (g *gatewayService) RegisterUpstream(
	_ context.Context, request *gen.RegisterUpstreamRequest,
) (*gen.RegisterUpstreamResponse, error) {
	if err := g.server.zones.set(request.ZoneId, request.Address); err != nil {
		return nil, err
	}
	return &gen.RegisterUpstreamResponse{Success: true, LeaseMs: 15_000, Epoch: 1}, nil
}

func (g *gatewayService) UnregisterUpstream(
	_ context.Context, request *gen.UnregisterUpstreamRequest,
) (*gen.UnregisterUpstreamResponse, error) {
	g.server.zones.unset(request.ZoneId, request.Address)
	return &gen.UnregisterUpstreamResponse{Success: true}, nil
}

func (g *gatewayService) UnicastPush(
	_ context.Context, request *gen.UnicastPushRequest,
) (*gen.UnicastPushResponse, error) {
	response := &gen.UnicastPushResponse{PushId: request.PushId, Epoch: 1}
	current := g.server.find(request.Openid)
	if current == nil {
		response.Status = gen.PushStatus_PUSH_STATUS_NO_SESSION
		return response, nil
	}
	push := &gen.ServerPush{Type: gen.PushType_PUSH_NOTIFY, Payload: request.Data, Headers: request.Headers}
	response.SeqId, response.Status = current.deliver(push, 0)
	response.Level = gen.PushLevel_PUSH_LEVEL_QUEUED
	return response, nil
}

func (g *gatewayService) BroadcastPush(
	_ context.Context, request *gen.BroadcastPushRequest,
) (*gen.BroadcastPushResponse, error) {
	response := &gen.BroadcastPushResponse{PushId: request.PushId, Epoch: 1, Status: gen.PushStatus_PUSH_STATUS_OK}
	g.server.mu.RLock()
	defer g.server.mu.RUnlock()
	for _, current := range g.server.byOpenid {
		response.Matched++
		push := &gen.ServerPush{Type: gen.PushType_PUSH_NOTIFY, Payload: request.Data, Headers: request.Headers}
		if _, result := current.deliver(push, 0); result == gen.PushStatus_PUSH_STATUS_OK {
			response.Accepted++
		}
	}
	return response, nil
}

// A zone server that answers like the example zone: echo, hello, login, push-me. One process serves several zones.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"gatesvr.io/bench/peers/gen"
)

func main() {
	zones := flag.String("zones", "001,002,003,004,005,006", "zones to serve, by comma")
	gateway := flag.String("gateway", "127.0.0.1:8092", "gRPC address of the gateway")
	unary := flag.Bool("unary", false, "answer Exchange with UNIMPLEMENTED")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	conn, err := grpc.NewClient("passthrough:///"+*gateway, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	client := gen.NewGatewayServiceClient(conn)
	for _, id := range strings.Split(*zones, ",") {
		if err := serve(ctx, id, client, *unary); err != nil {
			log.Fatalf("zone %s: %v", id, err)
		}
	}
	json.NewEncoder(os.Stdout).Encode(map[string]string{"event": "registered"})
	<-ctx.Done()
}

// serve listens for one zone, registers it, and keeps the registration alive until ctx ends.
func serve(ctx context.Context, id string, gateway gen.GatewayServiceClient, unary bool) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	implementation := &zone{id: id, gateway: gateway}
	if unary {
		gen.RegisterUpstreamServiceServer(server, unaryZone{zone: implementation})
	} else {
		gen.RegisterUpstreamServiceServer(server, implementation)
	}
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go server.Serve(listener)
	registration := &gen.RegisterUpstreamRequest{ZoneId: id, Address: listener.Addr().String(), InstanceId: "go-" + id}
	lease, err := register(ctx, gateway, registration)
	if err != nil {
		return err
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(lease / 3):
				if _, err := register(ctx, gateway, registration); err != nil && ctx.Err() == nil {
					log.Printf("zone %s: %v", id, err)
				}
			}
		}
	}()
	return nil
}

func register(
	ctx context.Context, gateway gen.GatewayServiceClient, registration *gen.RegisterUpstreamRequest,
) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	response, err := gateway.RegisterUpstream(ctx, registration, grpc.WaitForReady(true))
	if err != nil {
		return 0, err
	}
	if !response.Success {
		return 0, fmt.Errorf("refused: %v", response.Error)
	}
	return max(time.Duration(response.LeaseMs)*time.Millisecond, 3*time.Second), nil
}

type zone struct {
	gen.UnimplementedUpstreamServiceServer
	id      string
	gateway gen.GatewayServiceClient
}

func (z *zone) ProcessRequest(_ context.Context, request *gen.UpstreamRequest) (*gen.UpstreamResponse, error) {
	return z.answer(request), nil
}

func (z *zone) Exchange(stream grpc.BidiStreamingServer[gen.ExchangeRequest, gen.ExchangeResponse]) error {
	for {
		batch, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		answers := make([]*gen.UpstreamResponse, len(batch.Requests))
		for i, request := range batch.Requests {
			answers[i] = z.answer(request)
		}
		if err := stream.Send(&gen.ExchangeResponse{Responses: answers}); err != nil {
			return err
		}
	}
}

// unaryZone hides Exchange.
type unaryZone struct {
	gen.UnimplementedUpstreamServiceServer
	zone *zone
}

func (u unaryZone) ProcessRequest(ctx context.Context, request *gen.UpstreamRequest) (*gen.UpstreamResponse, error) {
	return u.zone.ProcessRequest(ctx, request)
}

func (z *zone) answer(request *gen.UpstreamRequest) *gen.UpstreamResponse {
	response := &gen.UpstreamResponse{Success: true, ZoneId: z.id, RequestId: request.RequestId}
	switch request.Action {
	case "echo":
		response.Data = request.Data
	case "hello":
		response.Data = fmt.Appendf(nil, "hello %s from zone %s", request.Openid, z.id)
	case "login":
		response.Data = []byte("welcome " + request.Openid)
	case "push-me":
		count, err := strconv.Atoi(string(request.Data))
		if err != nil {
			response.Success = false
			response.Error = &gen.Error{Code: gen.ErrorCode_ERROR_ZONE_FAILED, Message: "data must be a count"}
			break
		}
		response.Data = []byte("ok")
		go z.push(request, count)
	default:
		response.Success = false
		response.Error = &gen.Error{Code: gen.ErrorCode_ERROR_ZONE_FAILED, Message: "unknown action " + request.Action}
	}
	return response
}

// push sends "push 1" to "push count", each once the one before was accepted.
func (z *zone) push(request *gen.UpstreamRequest, count int) {
	for i := range count {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		response, err := z.gateway.UnicastPush(ctx, &gen.UnicastPushRequest{
			PushId: fmt.Sprintf("%s-%d-%d", request.SessionId, request.ClientSeqId, i+1),
			Openid: request.Openid,
			Data:   fmt.Appendf(nil, "push %d", i+1),
		})
		cancel()
		if err != nil || response.Status != gen.PushStatus_PUSH_STATUS_OK {
			log.Printf("push %d to %s: %v %v", i+1, request.Openid, response.GetStatus(), err)
			return
		}
	}
}

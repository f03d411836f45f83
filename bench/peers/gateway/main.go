// A gateway of the same wire format as GateSvr's on quic-go and grpc-go, to measure against.
// Sessions live in this process only; there is no backup, and what a session holds is not replicated.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"log"
	"math/big"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/grpc"

	"gatesvr.io/bench/peers/gen"
	"gatesvr.io/bench/peers/wire"
)

func main() {
	quicAddr := flag.String("quic-addr", "127.0.0.1:0", "UDP address for clients")
	grpcAddr := flag.String("grpc-addr", "127.0.0.1:0", "TCP address for zones")
	connections := flag.Int64("max-connections", 1_000_000, "connections at a time")
	upstream := flag.Int64("max-upstream", 1_000_000, "requests under way to zones at a time")
	upstreamTimeout := flag.Duration("upstream-timeout", 5*time.Second, "how long a zone may take")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := newServer(&zoneTable{zones: make(map[string]*zone)}, limits{*connections, *upstream, *upstreamTimeout})
	if err := run(ctx, server, *quicAddr, *grpcAddr); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, server *server, quicAddr, grpcAddr string) error {
	certificate, err := throwAwayCertificate()
	if err != nil {
		return err
	}
	listener, err := quic.ListenAddr(quicAddr, &tls.Config{
		Certificates: []tls.Certificate{certificate},
		NextProtos:   []string{wire.ALPN},
	}, &quic.Config{MaxIncomingStreams: 1, MaxIncomingUniStreams: -1, MaxIdleTimeout: 30 * time.Second})
	if err != nil {
		return err
	}
	tcp, err := net.Listen("tcp", grpcAddr)
	if err != nil {
		return err
	}
	zoneSide := grpc.NewServer()
	gen.RegisterGatewayServiceServer(zoneSide, &gatewayService{server: server})
	go zoneSide.Serve(tcp)
	go server.sweep(ctx)
	context.AfterFunc(ctx, func() {
		listener.Close()
		zoneSide.Stop()
	})
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"event": "listening", "quic": listener.Addr().String(), "grpc": tcp.Addr().String(),
	})
	if err := server.accept(ctx, listener); ctx.Err() == nil {
		return err
	}
	return nil
}

func throwAwayCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	alpn          = "gatesvr/1"
	frameBytesMax = 65536
	idleTimeout   = 60 * time.Second
)

func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"localhost"},
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// serve echoes frames until SIGTERM, the straightforward quic-go way: a goroutine a connection, one write a wake-up.
// A line on standard input broadcasts to every connection at a pace: {"frames":N,"everyMs":M,"bytes":B}.
func serve() error {
	cert, err := certificate()
	if err != nil {
		return err
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	_ = socket.SetReadBuffer(8 << 20)
	_ = socket.SetWriteBuffer(8 << 20)
	config := &quic.Config{MaxIdleTimeout: idleTimeout, MaxIncomingStreams: 1, MaxIncomingUniStreams: -1}
	tlsConfig := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{alpn}}
	listener, err := quic.Listen(socket, tlsConfig, config)
	if err != nil {
		return err
	}
	event("listening", map[string]any{"address": listener.Addr().String()})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var clients audience
	go clients.follow(os.Stdin)
	for {
		connection, err := listener.Accept(ctx)
		if err != nil {
			return listener.Close()
		}
		go echo(ctx, connection, &clients)
	}
}

func echo(ctx context.Context, connection *quic.Conn, clients *audience) {
	stream, err := connection.AcceptStream(ctx)
	if err != nil {
		return
	}
	leave := clients.join(stream)
	defer leave()
	reader := bufio.NewReaderSize(stream, 4096)
	var answer []byte
	for {
		frame, err := readFrame(reader)
		if err != nil {
			_ = connection.CloseWithError(0, "")
			return
		}
		answer = append(answer, frame...)
		// What has arrived together is answered together.
		if reader.Buffered() == 0 {
			if _, err := stream.Write(answer); err != nil {
				return
			}
			answer = answer[:0]
		}
	}
}

// readFrame returns a frame with its length in front; it is valid until the next call.
func readFrame(reader *bufio.Reader) ([]byte, error) {
	header, err := reader.Peek(4)
	if err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(header)
	if length > frameBytesMax {
		return nil, io.ErrShortBuffer
	}
	if int(length)+4 <= reader.Size() {
		frame, err := reader.Peek(int(length) + 4)
		if err != nil {
			return nil, err
		}
		_, err = reader.Discard(len(frame))
		return frame, err
	}
	frame := make([]byte, length+4)
	_, err = io.ReadFull(reader, frame)
	return frame, err
}

// audience is everybody who is connected.
type audience struct {
	mutex   sync.Mutex
	streams map[*quic.Stream]struct{}
}

func (a *audience) join(stream *quic.Stream) (leave func()) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.streams == nil {
		a.streams = make(map[*quic.Stream]struct{})
	}
	a.streams[stream] = struct{}{}
	return func() {
		a.mutex.Lock()
		defer a.mutex.Unlock()
		delete(a.streams, stream)
	}
}

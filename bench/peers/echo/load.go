package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

type loadOptions struct {
	mode        string
	connections int
	inFlight    int
	bytes       int
	warmUp      time.Duration
	measure     time.Duration
}

// connectionsASocket bounds how many connections share a socket, as clients on different machines share none.
const connectionsASocket = 50

const handshakesAtOnce = 50

// load connects, reports, and keeps frames in flight or only listens.
func load(address string, options loadOptions) error {
	remote, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return err
	}
	streams, err := connectAll(remote, options)
	if err != nil {
		return err
	}
	var received atomic.Int64
	for _, stream := range streams {
		go exchange(stream, options, &received)
	}
	event("connected", map[string]any{"connections": len(streams)})
	if options.mode != "echo" {
		return untilInputEnds(&received)
	}
	time.Sleep(options.warmUp)
	before, start := received.Load(), time.Now()
	event("measuring", nil)
	time.Sleep(options.measure)
	messages, seconds := received.Load()-before, time.Since(start).Seconds()
	event("measured", map[string]any{"messages": messages, "seconds": seconds})
	return nil
}

// untilInputEnds answers each line on standard input with how many frames have come.
func untilInputEnds(received *atomic.Int64) error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		event("received", map[string]any{"messages": received.Load()})
	}
	return lines.Err()
}

func connectAll(remote *net.UDPAddr, options loadOptions) ([]*quic.Stream, error) {
	streams := make([]*quic.Stream, options.connections)
	errors := make(chan error, options.connections)
	slots := make(chan struct{}, handshakesAtOnce)
	var group sync.WaitGroup
	var transport *quic.Transport
	for index := range streams {
		if index%connectionsASocket == 0 {
			socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				return nil, err
			}
			transport = &quic.Transport{Conn: socket}
		}
		slots <- struct{}{}
		group.Add(1)
		go func(transport *quic.Transport) {
			defer group.Done()
			defer func() { <-slots }()
			var err error
			if streams[index], err = connect(transport, remote); err != nil {
				errors <- fmt.Errorf("connection %d: %w", index, err)
			}
		}(transport)
	}
	group.Wait()
	close(errors)
	return streams, <-errors
}

func connect(transport *quic.Transport, remote *net.UDPAddr) (*quic.Stream, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tlsConfig := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpn}, ServerName: "localhost"}
	config := &quic.Config{MaxIdleTimeout: idleTimeout, KeepAlivePeriod: idleTimeout / 3}
	connection, err := transport.Dial(ctx, remote, tlsConfig, config)
	if err != nil {
		return nil, err
	}
	return connection.OpenStreamSync(ctx)
}

// exchange sends the first frames and one more for each that comes back; receivers only announce themselves.
func exchange(stream *quic.Stream, options loadOptions, received *atomic.Int64) {
	frame := make([]byte, 4+options.bytes)
	binary.BigEndian.PutUint32(frame, uint32(options.bytes))
	first := options.inFlight
	if options.mode != "echo" {
		first = 1
	}
	for range first {
		if _, err := stream.Write(frame); err != nil {
			return
		}
	}
	reader := bufio.NewReaderSize(stream, 4096)
	for {
		if _, err := readFrame(reader); err != nil {
			return
		}
		received.Add(1)
		if options.mode == "echo" {
			if _, err := stream.Write(frame); err != nil {
				return
			}
		}
	}
}

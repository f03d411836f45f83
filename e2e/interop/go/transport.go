// What two QUIC implementations have to agree on below the gateway's protocol, against an echo server.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/quic-go/quic-go"
)

// More than quic-go sends before it updates its keys for the first time, which it does by itself.
const packetsForKeyUpdate = 300

type echoConn struct {
	transport *quic.Transport
	conn      *quic.Conn
	stream    *quic.Stream
	reader    *bufio.Reader
}

func dialEcho(address string, cache tls.ClientSessionCache, versions ...quic.Version) (*echoConn, error) {
	remote, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	transport, err := loopback()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	config := &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{alpn}, ServerName: "localhost", ClientSessionCache: cache,
	}
	conn, err := transport.DialEarly(ctx, remote, config, &quic.Config{Versions: versions})
	if err != nil {
		return nil, err
	}
	select {
	case <-conn.HandshakeComplete():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	return &echoConn{transport, conn, stream, bufio.NewReader(stream)}, nil
}

func loopback() (*quic.Transport, error) {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	return &quic.Transport{Conn: udp}, err
}

func (c *echoConn) end() {
	c.conn.CloseWithError(0, "")
	c.transport.Close()
	c.transport.Conn.Close()
}

// echo sends a frame and wants it back.
func (c *echoConn) echo(size int) error {
	sent := append(binary.BigEndian.AppendUint32(nil, uint32(size)), make([]byte, size)...)
	if _, err := c.stream.Write(sent); err != nil {
		return err
	}
	c.stream.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c.reader, got); err != nil {
		return err
	}
	if string(got) != string(sent) {
		return errors.New("another frame came back")
	}
	return nil
}

func versionNegotiation(address string) error {
	c, err := dialEcho(address, nil, quic.Version2, quic.Version1)
	if err != nil {
		return err
	}
	defer c.end()
	if version := c.conn.ConnectionState().Version; version != quic.Version1 {
		return fmt.Errorf("agreed on version %x", version)
	}
	return c.echo(100)
}

func resumption(address string) error {
	cache := tls.NewLRUClientSessionCache(1)
	for round := range 2 {
		c, err := dialEcho(address, cache)
		if err != nil {
			return err
		}
		if err := c.echo(100); err != nil {
			return err
		}
		state := c.conn.ConnectionState()
		if state.TLS.DidResume != (round == 1) || state.Used0RTT {
			return fmt.Errorf("connection %d: resumed %v, early data %v", round, state.TLS.DidResume, state.Used0RTT)
		}
		c.end()
	}
	return nil
}

func keyUpdate(address string) error {
	c, err := dialEcho(address, nil)
	if err != nil {
		return err
	}
	defer c.end()
	for range packetsForKeyUpdate {
		if err := c.echo(10); err != nil {
			return err
		}
	}
	return nil
}

func migration(address string) error {
	c, err := dialEcho(address, nil)
	if err != nil {
		return err
	}
	defer c.end()
	if err := c.echo(100); err != nil {
		return err
	}
	other, err := loopback()
	if err != nil {
		return err
	}
	defer other.Close()
	path, err := c.conn.AddPath(other)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := path.Probe(ctx); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if err := path.Switch(); err != nil {
		return fmt.Errorf("switch: %w", err)
	}
	return c.echo(50_000)
}

func bulk(address string) error {
	c, err := dialEcho(address, nil)
	if err != nil {
		return err
	}
	defer c.end()
	for range 5 {
		if err := c.echo(60_000); err != nil {
			return err
		}
	}
	return nil
}

// transportJobs are for an echo server; what needs another local port is left out where a proxy stands in between.
func transportJobs(result *report, address string, migrate bool) {
	jobs := []struct {
		name string
		run  func(string) error
	}{
		{"version negotiation", versionNegotiation},
		{"resumption without early data", resumption},
		{"key update", keyUpdate},
		{"bulk", bulk},
	}
	for _, job := range jobs {
		result.run(job.name, func() error { return job.run(address) })
	}
	if migrate {
		result.run("migration", func() error { return migration(address) })
	}
}

// Load for a gateway: many sessions, each with requests in flight, or idle. Events go to stdout, one JSON object a line.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8453", "UDP address of the gateway")
	connections := flag.Int("connections", 100, "sessions of a request load")
	inFlight := flag.Int("in-flight", 2, "requests under way a session")
	dataBytes := flag.Int("data-bytes", 100, "data of a request")
	warmUp := flag.Duration("warm-up", 2*time.Second, "time before the measured window")
	measured := flag.Duration("measure", 5*time.Second, "length of the measured window")
	idle := flag.String("idle", "", "hold idle sessions instead: counts by comma, a line on stdin goes to the next")
	sockets := flag.Int("sockets", 64, "UDP sockets")
	flag.Parse()
	dialer, err := newDialer(*addr, *sockets)
	if err == nil && *idle != "" {
		err = holdIdle(dialer, *idle)
	} else if err == nil {
		err = requestLoad(dialer, *connections, *inFlight, *dataBytes, *warmUp, *measured)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func emit(event string, fields map[string]any) {
	fields["event"] = event
	json.NewEncoder(os.Stdout).Encode(fields)
}

// window is the part of a run that counts.
type window struct {
	state atomic.Int32 // 0 before, 1 inside, 2 after
}

func (w *window) open() bool  { return w.state.Load() == 1 }
func (w *window) ended() bool { return w.state.Load() == 2 }

// connectAll opens sessions first up to last with a bounded number of handshakes under way.
// It tells connected of each one at once.
func connectAll(dialer *dialer, first, last, dataBytes int, connected func(c *client)) ([]*client, error) {
	clients := make([]*client, last-first)
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(32)
	for i := range clients {
		group.Go(func() (err error) {
			clients[i], err = dialer.connect(ctx, first+i, dataBytes)
			if err == nil {
				connected(clients[i])
			}
			return err
		})
	}
	return clients, group.Wait()
}

func requestLoad(dialer *dialer, connections, inFlight, dataBytes int, warmUp, measured time.Duration) error {
	clients, err := connectAll(dialer, 0, connections, dataBytes, func(*client) {})
	if err != nil {
		return err
	}
	emit("connected", map[string]any{"connections": connections})
	var measure window
	group, ctx := errgroup.WithContext(context.Background())
	for _, c := range clients {
		group.Go(func() error { return c.run(inFlight, &measure) })
	}
	sleep(ctx, warmUp)
	emit("measuring", map[string]any{})
	began := time.Now()
	measure.state.Store(1)
	sleep(ctx, measured)
	measure.state.Store(2)
	seconds := time.Since(began).Seconds()
	emit("measured", map[string]any{})
	if err := group.Wait(); err != nil {
		return err
	}
	var latencies []uint32
	for _, c := range clients {
		latencies = append(latencies, c.latencies...)
		c.conn.CloseWithError(0, "done")
	}
	if len(latencies) == 0 {
		return fmt.Errorf("no answer within %v", measured)
	}
	slices.Sort(latencies)
	quantile := func(q float64) uint32 { return latencies[int(q*float64(len(latencies)-1))] }
	emit("done", map[string]any{
		"requests": len(latencies), "seconds": seconds, "p50_us": quantile(0.50), "p99_us": quantile(0.99),
		"max_us": latencies[len(latencies)-1],
	})
	return nil
}

func sleep(ctx context.Context, duration time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}
}

const failuresShown = 5

// holdIdle opens sessions step by step and keeps them with heartbeats only.
func holdIdle(dialer *dialer, steps string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var failures atomic.Int64
	lines := bufio.NewScanner(os.Stdin)
	held := 0
	for _, step := range strings.Split(steps, ",") {
		count, err := strconv.Atoi(step)
		if err != nil {
			return fmt.Errorf("--idle %q: want counts by comma", steps)
		}
		_, err = connectAll(dialer, held, count, 0, func(c *client) {
			go func() {
				if err := c.hold(ctx); err != nil && failures.Add(1) <= failuresShown {
					log.Printf("%s: %v", c.openid, err)
				}
			}()
		})
		if err != nil {
			return err
		}
		held = count
		emit("held", map[string]any{"sessions": held})
		if !lines.Scan() {
			break
		}
	}
	emit("done", map[string]any{"sessions": held, "lost": failures.Load()})
	return nil
}

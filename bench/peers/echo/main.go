// Command echo is the quic-go server that bench/echo measures the transport against, and the load for both.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

// event prints one line of JSON for the bench that started this program.
func event(name string, fields map[string]any) {
	line := map[string]any{"event": name}
	for key, value := range fields {
		line[key] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

func main() {
	var options loadOptions
	address := flag.String("addr", "", "where to connect; a server when absent")
	flag.StringVar(&options.mode, "mode", "echo", "echo, idle or receive")
	flag.IntVar(&options.connections, "connections", 20, "connections")
	flag.IntVar(&options.inFlight, "in-flight", 4, "unanswered frames a connection")
	flag.IntVar(&options.bytes, "bytes", 100, "bytes of a frame")
	flag.DurationVar(&options.warmUp, "warm-up", time.Second, "before the measurement")
	flag.DurationVar(&options.measure, "measure", 3*time.Second, "length of the measurement")
	flag.Parse()
	var err error
	if *address == "" {
		err = serve()
	} else {
		err = load(*address, options)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

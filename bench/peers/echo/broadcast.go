package main

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"time"
)

type broadcastOrder struct {
	Frames  int `json:"frames"`
	EveryMs int `json:"everyMs"`
	Bytes   int `json:"bytes"`
}

// follow carries out the orders on its input, one after the other.
func (a *audience) follow(orders io.Reader) {
	decoder := json.NewDecoder(orders)
	for {
		var order broadcastOrder
		if decoder.Decode(&order) != nil {
			return
		}
		frame := make([]byte, 4+order.Bytes)
		binary.BigEndian.PutUint32(frame, uint32(order.Bytes))
		ticker := time.NewTicker(time.Duration(order.EveryMs) * time.Millisecond)
		for range order.Frames {
			<-ticker.C
			a.send(frame)
		}
		ticker.Stop()
		event("broadcasted", nil)
	}
}

func (a *audience) send(frame []byte) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	for stream := range a.streams {
		_, _ = stream.Write(frame)
	}
}

package main

import (
	"encoding/json"
	"os"
	"sync"
)

// check is one line of the report.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// report collects what was checked; any failure makes the exit code 1.
type report struct {
	mu     sync.Mutex
	Checks []check `json:"checks"`
}

// run does one check and tells whether it passed.
func (r *report) run(name string, body func() error) bool {
	err := body()
	line := check{Name: name, OK: err == nil}
	if err != nil {
		line.Detail = err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Checks = append(r.Checks, line)
	return err == nil
}

func (r *report) print() (ok bool) {
	ok = len(r.Checks) > 0
	for _, line := range r.Checks {
		ok = ok && line.OK
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	encoder.Encode(map[string]any{"ok": ok, "checks": r.Checks})
	return ok
}

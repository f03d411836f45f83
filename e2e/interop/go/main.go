// A client of the gateway written from its interface's documentation alone. It does the main job, resumes,
// and misbehaves; the report goes to stdout as JSON, and the exit code is 1 when anything was violated.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	address := flag.String("addr", "localhost:8453", "UDP address of the gateway")
	openid := flag.String("openid", "go-interop", "user to log in as; other checks derive theirs from it")
	frames := flag.Int("frames", 100_000, "bad frames of a flood")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: interop [flags] main | resume | bad | flood | transport | lossy")
		flag.PrintDefaults()
	}
	flag.Parse()
	var result report
	switch flag.Arg(0) {
	case "transport", "lossy":
		transportJobs(&result, *address, flag.Arg(0) == "transport")
	case "main":
		mainJob(&result, *address, *openid)
	case "resume":
		resumeJobs(&result, *address, *openid)
	case "bad":
		badInput(&result, *address, *openid)
	case "flood":
		flood(&result, *address, *openid, *frames)
	default:
		flag.Usage()
		os.Exit(2)
	}
	if !result.print() {
		os.Exit(1)
	}
}

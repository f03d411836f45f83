// One binary for the whole of Kubernetes: it behaves as the component that its own name (or first argument) says.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	name := filepath.Base(os.Args[0])
	if command, known := commands()[name]; known {
		os.Exit(command())
	}
	if len(os.Args) > 1 {
		if command, known := commands()[os.Args[1]]; known {
			os.Args = os.Args[1:]
			os.Exit(command())
		}
	}
	fmt.Fprintln(os.Stderr, "usage: kubernetes etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubelet|kube-proxy|coredns|kubectl")
	os.Exit(64)
}

func commands() map[string]func() int {
	return map[string]func() int{
		"etcd":                    func() int { etcdmain.Main(os.Args); return 0 },
		"kube-apiserver":          of(apiserver.NewAPIServerCommand),
		"kube-controller-manager": of(controllers.NewControllerManagerCommand),
		"kube-scheduler":          func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
		"kubelet":                 func() int { return cli.Run(kubelet.NewKubeletCommand(context.Background())) },
		"kube-proxy":              of(proxy.NewProxyCommand),
		"coredns":                 func() int { coremain.Run(); return 0 },
		"kubectl":                 of(kubectl.NewDefaultKubectlCommand),
	}
}

// The command is made only when asked for: making one reads os.Args and registers flags.
func of(create func() *cobra.Command) func() int {
	return func() int { return cli.Run(create()) }
}

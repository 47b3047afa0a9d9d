// Controlplane runs the real programs of a Kubernetes control plane on
// loopback, for tests: it is etcd, kube-apiserver, kube-controller-manager,
// kubectl, kubeadm and kubelet in one executable, and the supervisor that
// starts the first three as one cluster.
//
// They share one executable because linking is the slow part: each of them on
// its own would cost nearly as much as all of them together.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"latchkey.test/controlplane/internal/cluster"
)

// commands maps the name that the program goes by to what it then does. A
// command gets the arguments after its name and returns the exit code.
var commands = map[string]func(args []string) int{
	"etcd":                    runEtcd,
	"kube-apiserver":          runAPIServer,
	"kube-controller-manager": runControllerManager,
	"kubectl":                 runKubectl,
	"kubeadm":                 runKubeadm,
	"kubelet":                 runKubelet,
	"up":                      cluster.Up,
	"down":                    cluster.Down,
	"stock-join":              runStockJoin,
	"version":                 printVersion,
}

func main() {
	// The name that the program was started under decides, as with a symbolic
	// link called kubectl; otherwise the first argument does.
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	if commands[name] == nil && len(args) > 0 {
		name, args = args[0], args[1:]
	}
	command := commands[name]
	if command == nil {
		usage()
		os.Exit(2)
	}
	os.Exit(command(args))
}

func usage() {
	var names []string
	for name := range commands {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintln(os.Stderr, "usage: controlplane COMMAND [ARGUMENT]..., where COMMAND is one of")
	for _, name := range names {
		fmt.Fprintln(os.Stderr, "  "+name)
	}
}

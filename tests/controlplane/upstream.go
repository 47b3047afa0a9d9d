package main

import (
	"context"
	"fmt"
	"os"
	"runtime"

	etcdversion "go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubernetesversion "k8s.io/component-base/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app"
	kubeadmerrors "k8s.io/kubernetes/cmd/kubeadm/app/util/errors"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	// What the main packages of these programs link in beside their code: the
	// metrics of the client, the version metric, the JSON log format and the
	// client credential plugins.
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

// become makes the process look as if it had been started under that name:
// these programs read os.Args themselves, some more than once.
func become(name string, args []string) {
	os.Args = append([]string{name}, args...)
}

func runEtcd(args []string) int {
	become("etcd", args)
	etcdmain.Main(os.Args)
	return 0
}

func runAPIServer(args []string) int {
	become("kube-apiserver", args)
	return cli.Run(apiserver.NewAPIServerCommand())
}

func runControllerManager(args []string) int {
	become("kube-controller-manager", args)
	return cli.Run(controllermanager.NewControllerManagerCommand())
}

func runKubelet(args []string) int {
	become("kubelet", args)
	return cli.Run(kubelet.NewKubeletCommand(context.Background()))
}

func runKubectl(args []string) int {
	become("kubectl", args)
	// kubectl logs while it builds its command tree, before the flags are
	// parsed, so the verbosity has to be known by then. A bad value is reported
	// when the flags are.
	_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err) // prints it kubectl's way and exits
	}
	return 0
}

func runKubeadm(args []string) int {
	become("kubeadm", args)
	kubeadmerrors.HandleError(kubeadm.Run()) // exits if there is an error
	return 0
}

func printVersion([]string) int {
	fmt.Printf("kubernetes %s etcd %s %s\n",
		kubernetesversion.Get().GitVersion, etcdversion.Version, runtime.Version())
	return 0
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/kubelet/certificate/bootstrap"

	"latchkey.test/controlplane/internal/cluster"
	"latchkey.test/controlplane/internal/measure"
)

// joinOptions are the flags of stock-join.
type joinOptions struct {
	adminKubeconfig     string
	bootstrapKubeconfig string
	group               string
	nodeName            string
	nodePrefix          string
	dir                 string
	jsonFile            string
	count               int
	parallel            int
	ownConnection       bool
	timeout             time.Duration
}

func parseJoinOptions(args []string) (joinOptions, error) {
	var o joinOptions
	flags := flag.NewFlagSet("stock-join", flag.ContinueOnError)
	flags.StringVar(&o.adminKubeconfig, "kubeconfig", "", "administrator's kubeconfig: a bootstrap token is made with it")
	flags.StringVar(&o.bootstrapKubeconfig, "bootstrap-kubeconfig", "", "join with this bootstrap kubeconfig; make no token")
	flags.StringVar(&o.group, "group", cluster.KubeadmTokenGroup, "extra group of the token that is made")
	flags.StringVar(&o.nodePrefix, "node-prefix", "node", "the nodes are called PREFIX-0, PREFIX-1 and so on")
	flags.StringVar(&o.nodeName, "node-name", "", "the name of the one node, instead of a prefix")
	flags.StringVar(&o.dir, "dir", "", "folder that gets one folder a node")
	flags.StringVar(&o.jsonFile, "json", "", "write the figures to this file too")
	flags.IntVar(&o.count, "count", 1, "how many nodes join")
	flags.IntVar(&o.parallel, "parallel", 1, "how many of them at once")
	flags.BoolVar(&o.ownConnection, "own-connection", false, "a TLS connection for each node instead of one for all")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "give up on the nodes that have not joined by then")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.dir == "":
		return o, fmt.Errorf("--dir is missing")
	case (o.adminKubeconfig == "") == (o.bootstrapKubeconfig == ""):
		return o, fmt.Errorf("exactly one of --kubeconfig and --bootstrap-kubeconfig is needed")
	case o.count < 1 || o.parallel < 1:
		return o, fmt.Errorf("--count and --parallel start at 1")
	case o.ownConnection && o.bootstrapKubeconfig != "":
		return o, fmt.Errorf("--own-connection needs --kubeconfig")
	case o.nodeName != "" && o.count != 1:
		return o, fmt.Errorf("--node-name is for one node")
	}
	return o, nil
}

func (o joinOptions) node(i int) string {
	if o.nodeName != "" {
		return o.nodeName
	}
	return fmt.Sprintf("%s-%d", o.nodePrefix, i)
}

// runStockJoin measures the joining of nodes as the kubelet does it, with the
// kubelet's own code. All nodes join from this one process, so the figures
// hold the protocol and the control plane, and no start of a kubelet.
func runStockJoin(args []string) int {
	options, err := parseJoinOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stock-join:", err)
		return 2
	}
	report, err := stockJoin(options)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stock-join:", err)
		return 1
	}
	fmt.Println(report)
	for _, failure := range report.Errors {
		fmt.Fprintln(os.Stderr, "stock-join:", failure)
	}
	if report.Failures > 0 {
		return 1
	}
	return 0
}

func stockJoin(o joinOptions) (*measure.Report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, err
	}
	bootstrapKubeconfigs, err := bootstrapKubeconfigs(ctx, o)
	if err != nil {
		return nil, err
	}

	// Every join would log a dozen lines, to the same terminal as the result.
	klog.SetLogger(logr.Discard())
	ctx = klog.NewContext(ctx, logr.Discard())

	results := make([]measure.Result, o.count)
	next := make(chan int)
	var workers sync.WaitGroup
	start := time.Now()
	for range min(o.parallel, o.count) {
		workers.Go(func() {
			for i := range next {
				results[i] = joinOne(ctx, o, i, bootstrapKubeconfigs[i])
			}
		})
	}
	for i := range o.count {
		next <- i
	}
	close(next)
	workers.Wait()
	report := measure.Summarize(results, o.parallel, time.Since(start))

	if o.jsonFile != "" {
		data, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(o.jsonFile, append(data, '\n'), 0o644); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// joinOne times one bootstrap. It leaves what a kubelet would find: the
// kubeconfig, and beside it the folder with the certificate and the key.
func joinOne(ctx context.Context, o joinOptions, i int, bootstrapKubeconfig string) measure.Result {
	node := o.node(i)
	kubeconfig := filepath.Join(o.dir, node, "kubeconfig")
	certificates := filepath.Join(o.dir, node, "pki")
	if err := os.MkdirAll(certificates, 0o700); err != nil {
		return measure.Result{Err: err}
	}
	// The kubelet's code calls no one if it finds a valid kubeconfig, and that
	// would be measured as the fastest join of all.
	if _, err := os.Stat(kubeconfig); err == nil {
		return measure.Result{Err: fmt.Errorf("%s: has joined before: %s exists", node, kubeconfig)}
	}
	start := time.Now()
	err := bootstrap.LoadClientCert(ctx, kubeconfig, bootstrapKubeconfig, certificates, types.NodeName(node))
	if err != nil {
		err = fmt.Errorf("%s: %w", node, err)
	}
	return measure.Result{Latency: time.Since(start), Err: err}
}

// bootstrapKubeconfigs returns the path of the bootstrap kubeconfig of each
// node. None of this is in the measured time.
func bootstrapKubeconfigs(ctx context.Context, o joinOptions) ([]string, error) {
	paths := make([]string, o.count)
	if o.bootstrapKubeconfig != "" {
		for i := range paths {
			paths[i] = o.bootstrapKubeconfig
		}
		return paths, nil
	}
	endpoint, err := cluster.LoadEndpoint(o.adminKubeconfig)
	if err != nil {
		return nil, err
	}
	token, err := cluster.MintToken(ctx, o.adminKubeconfig, o.group, time.Hour)
	if err != nil {
		return nil, err
	}
	for i := range paths {
		paths[i] = filepath.Join(o.dir, "bootstrap.kubeconfig")
		ca := endpoint.CA
		if o.ownConnection {
			// client-go keeps one connection for all clients of one process that
			// have the same TLS settings, CA bundle included. Text outside the PEM
			// blocks means nothing, but makes the bundle another one.
			paths[i] = filepath.Join(o.dir, o.node(i)+".bootstrap.kubeconfig")
			ca = fmt.Appendf(nil, "node %s\n%s", o.node(i), endpoint.CA)
		} else if i > 0 {
			continue
		}
		if err := cluster.WriteTokenKubeconfig(paths[i], endpoint.URL, ca, token); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

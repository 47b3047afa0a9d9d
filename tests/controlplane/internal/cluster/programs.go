package cluster

import (
	"context"
	"fmt"
	"strings"
)

// program is one of the programs of the cluster: how it is started, and how it
// shows that it serves.
type program struct {
	name  string
	args  []string
	probe func(ctx context.Context) error
}

// programs returns the programs in the order in which they start. Each needs
// the one before it: the API server gives up for good if it finds no etcd.
func programs(o options, p ports) ([]program, error) {
	apiserverProbe, err := probeWithCA(o.layout().pki("ca.crt"), fmt.Sprintf("https://127.0.0.1:%d/readyz", p.apiserver))
	if err != nil {
		return nil, err
	}
	return []program{
		{"etcd", etcdArgs(o, p), probeURL(fmt.Sprintf("http://127.0.0.1:%d/readyz", p.etcdClient))},
		{"kube-apiserver", apiserverArgs(o, p), apiserverProbe},
		// The controller manager serves with a certificate that it made for
		// itself, so there is nothing to verify it with.
		{"kube-controller-manager", managerArgs(o, p), probeUnverified(fmt.Sprintf("https://127.0.0.1:%d/healthz", p.controllerManager))},
	}, nil
}

func etcdArgs(o options, p ports) []string {
	client := fmt.Sprintf("http://127.0.0.1:%d", p.etcdClient)
	peer := fmt.Sprintf("http://127.0.0.1:%d", p.etcdPeer)
	args := []string{
		"--name=default",
		"--data-dir=" + o.layout().etcdData(),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		// A single member waits for the election timeout before it elects itself,
		// and has nobody who could be slow to answer: a short one is safe.
		"--heartbeat-interval=20",
		"--election-timeout=200",
		// The default of 2 GiB ends a long load test with a read-only etcd.
		"--quota-backend-bytes=8589934592",
	}
	if o.unsafeNoFsync {
		args = append(args, "--unsafe-no-fsync")
	}
	return args
}

func apiserverArgs(o options, p ports) []string {
	l := o.layout()
	args := []string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", p.etcdClient),
		fmt.Sprintf("--secure-port=%d", p.apiserver),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		// With a reconciler the server refuses to advertise a loopback address.
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + l.pki("apiserver.crt"),
		"--tls-private-key-file=" + l.pki("apiserver.key"),
		"--client-ca-file=" + l.pki("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file=" + l.pki("sa.key"),
		"--service-account-key-file=" + l.pki("sa.pub"),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=Node,RBAC",
		"--enable-bootstrap-token-auth",
		"--enable-admission-plugins=NodeRestriction",
		// Without it a server that is told to stop lets its watches go on for up to
		// a minute; with it they are ended, and the stop takes no longer than this.
		"--shutdown-watch-termination-grace-period=2s",
	}
	if o.goawayChance > 0 {
		args = append(args, "--goaway-chance="+formatFloat(o.goawayChance))
	}
	if o.audit {
		// In one file, however long it gets: its readers read no other. By default
		// it is rotated at 100 MB.
		args = append(args, "--audit-policy-file="+l.auditPolicy(), "--audit-log-path="+l.auditLog(),
			"--audit-log-maxsize=1000000")
	}
	return args
}

func managerArgs(o options, p ports) []string {
	l := o.layout()
	controllers := []string{"csrsigning", "bootstrapsigner"}
	if o.csrCleaner {
		controllers = append(controllers, "csrcleaner")
	}
	if o.tokenCleaner {
		controllers = append(controllers, "tokencleaner")
	}
	if o.stockApprover {
		controllers = append(controllers, "csrapproving")
	}
	args := []string{
		"--kubeconfig=" + l.managerKubeconfig(),
		"--authentication-kubeconfig=" + l.managerKubeconfig(),
		"--authorization-kubeconfig=" + l.managerKubeconfig(),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", p.controllerManager),
		"--leader-elect=false",
		// Each controller acts as its own service account. The controller
		// manager's own user may not approve.
		"--use-service-account-credentials=true",
		"--controllers=" + strings.Join(controllers, ","),
		"--cluster-signing-cert-file=" + l.pki("ca.crt"),
		"--cluster-signing-key-file=" + l.pki("ca.key"),
		"--root-ca-file=" + l.pki("ca.crt"),
		"--service-account-private-key-file=" + l.pki("sa.key"),
	}
	if o.kcmQPS > 0 {
		burst := max(int(o.kcmQPS), 1)
		args = append(args, "--kube-api-qps="+formatFloat(o.kcmQPS), fmt.Sprintf("--kube-api-burst=%d", burst))
	}
	return args
}

// auditPolicy logs who did what to which object, once a request, and no body:
// bodies hold tokens.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

package cluster

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// options are the flags of up.
type options struct {
	dir string

	// These shape the cluster.
	stockApprover bool
	tokenCleaner  bool
	csrCleaner    bool
	audit         bool
	unsafeNoFsync bool
	kcmQPS        float64
	goawayChance  float64

	// These only say how this run starts and ends.
	detach     bool
	watchStdin bool
	readyFD    int
	timeout    time.Duration
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", "", "folder of the cluster; made if missing, reused if it holds a cluster")
	flags.BoolVar(&o.stockApprover, "stock-approver", false, "run the csrapproving controller, with the bindings that kubeadm makes for it")
	flags.BoolVar(&o.tokenCleaner, "token-cleaner", true, "run the tokencleaner controller")
	flags.BoolVar(&o.csrCleaner, "csr-cleaner", true, "run the csrcleaner controller, which removes decided CSRs after an hour")
	flags.BoolVar(&o.audit, "audit", false, "write an audit log of every request to logs/audit.log")
	flags.BoolVar(&o.unsafeNoFsync, "unsafe-no-fsync", false, "etcd does not wait for the disk: faster, and not what a cluster does")
	flags.Float64Var(&o.kcmQPS, "kcm-qps", 0, "requests a second of each controller; 0 leaves the default of 20")
	flags.Float64Var(&o.goawayChance, "goaway-chance", 0, "fraction of requests whose connection the API server ends; at most 0.02")
	flags.BoolVar(&o.detach, "detach", false, "leave the cluster running in a session of its own and return when it is ready")
	flags.BoolVar(&o.watchStdin, "watch-stdin", false, "stop at the end of standard input")
	flags.IntVar(&o.readyFD, "ready-fd", -1, "write the outcome of the start to this file descriptor too, and close it")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Minute, "how long the start may take")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.dir == "":
		return o, errors.New("--dir is missing")
	case o.detach && o.watchStdin:
		return o, errors.New("--watch-stdin makes no sense with --detach")
	case o.goawayChance < 0 || o.goawayChance > 0.02:
		return o, errors.New("--goaway-chance is at most 0.02: the API server takes no more")
	case o.kcmQPS < 0:
		return o, errors.New("--kcm-qps is not negative")
	}
	// The programs run with this folder in their arguments, and a later command
	// may be run from elsewhere.
	dir, err := filepath.Abs(o.dir)
	o.dir = dir
	return o, err
}

func (o options) layout() layout { return layout(o.dir) }

// shape is the part of the options that makes one cluster differ from another,
// as flags.
func (o options) shape() []string {
	return []string{
		"--stock-approver=" + strconv.FormatBool(o.stockApprover),
		"--token-cleaner=" + strconv.FormatBool(o.tokenCleaner),
		"--csr-cleaner=" + strconv.FormatBool(o.csrCleaner),
		"--audit=" + strconv.FormatBool(o.audit),
		"--unsafe-no-fsync=" + strconv.FormatBool(o.unsafeNoFsync),
		"--kcm-qps=" + formatFloat(o.kcmQPS),
		"--goaway-chance=" + formatFloat(o.goawayChance),
	}
}

// shapeLine is shape as it is kept in the cluster's folder.
func (o options) shapeLine() string { return strings.Join(o.shape(), " ") }

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

package cluster

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Down is the command that stops a cluster. It returns the exit code.
func Down(args []string) int {
	flags := flag.NewFlagSet("down", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder of the cluster")
	timeout := flags.Duration("timeout", time.Minute, "how long the cluster may take to stop")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *dir == "" || flags.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: down --dir DIR")
		return 2
	}
	said, err := down(*dir, *timeout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "down:", err)
		return 1
	}
	fmt.Println(said)
	return 0
}

// down asks the supervisor to stop, and returns when it is gone and all that it
// ran with it.
func down(dir string, timeout time.Duration) (string, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	l := layout(absolute)
	pid, err := lockHolder(l)
	if err != nil {
		return "", err
	}
	if pid == 0 {
		return "not running", nil
	}
	if !isSupervisor(pid) {
		return "", fmt.Errorf("process %d holds %s and is not a supervisor", pid, l.supervisorLock())
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return "", err
	}
	// The lock is free when everything has stopped. The supervisor itself is gone
	// a moment later, or a zombie for as long as its parent likes.
	deadline := time.Now().Add(timeout)
	for {
		holder, err := lockHolder(l)
		if err != nil {
			return "", err
		}
		if holder != pid && len(commandLine(pid)) == 0 {
			return "stopped", nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("process %d has not stopped after %s", pid, timeout)
		}
		time.Sleep(probeInterval)
	}
}

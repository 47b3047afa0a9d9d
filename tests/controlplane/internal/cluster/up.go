package cluster

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Up is the command that runs a cluster. It returns the exit code.
func Up(args []string) int {
	o, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "up:", err)
		return 2
	}
	outcome := &announcer{}
	if o.readyFD >= 0 {
		outcome.file = os.NewFile(uintptr(o.readyFD), "ready-fd")
	}
	closeOnExec()

	if o.detach {
		err = detach(o, outcome)
	} else {
		err = supervise(o, outcome)
	}
	if err != nil {
		outcome.failed(err)
		return 1
	}
	return 0
}

// closeOnExec keeps the files that were open when the program started from the
// programs that it starts: a pipe of a test that etcd held open would never
// end.
func closeOnExec() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return // nothing worse than the leak
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// supervise runs the cluster in this process until it is told to stop.
func supervise(o options, outcome *announcer) error {
	started := time.Now()
	l := o.layout()
	for _, dir := range []string{string(l), l.path("logs")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	lock, err := takeLock(l)
	if err != nil {
		return err
	}
	if lock == nil {
		return alreadyRunning(o, outcome)
	}
	// The lock is the last thing to go: whoever finds it free finds the ports and
	// the data free too.
	defer lock.Close()
	defer os.Remove(l.supervisorPid())

	stopping, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	stopOnSignal(stop)
	if o.watchStdin {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop(errStopped)
		}()
	}

	url, chosen, err := prepare(o)
	if err != nil {
		return err
	}
	inOrder, err := programs(o, chosen)
	if err != nil {
		return err
	}
	s := newSupervisor(o, inOrder, log.New(os.Stderr, "", log.LstdFlags|log.Lmicroseconds))
	defer func() {
		_ = os.Remove(l.ready())
		s.stop()
		_ = os.Remove(l.pids())
	}()
	objects := func(ctx context.Context) error { return createObjects(ctx, o, url) }
	if err := s.start(stopping, objects); err != nil {
		if errors.Is(err, errStopped) {
			outcome.say("%s", err)
			return nil
		}
		return err
	}
	seconds := time.Since(started).Seconds()
	if err := writeFile(l.ready(), fmt.Appendf(nil, "%s %.1f\n", url, seconds), 0o644); err != nil {
		return err
	}
	outcome.say("ready %s %.1f", url, seconds)
	return s.keep(stopping)
}

// stopOnSignal makes the signals that ask a program to end do so in order. A
// second one changes nothing: the programs have their time to end.
func stopOnSignal(stop context.CancelCauseFunc) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	go func() {
		<-signals
		stop(errStopped)
	}()
}

// alreadyRunning waits until the cluster that another process runs is ready. It
// is an error if that is not the cluster that was asked for.
func alreadyRunning(o options, outcome *announcer) error {
	l := o.layout()
	deadline := time.Now().Add(o.timeout)
	for !exists(l.ready()) {
		holder, err := lockHolder(l)
		if err != nil {
			return err
		}
		if holder == 0 {
			return errors.New("another process was starting this cluster and gave up")
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("another process is starting this cluster, and it is not ready after %s", o.timeout)
		}
		time.Sleep(probeInterval)
	}
	shape, err := os.ReadFile(l.options())
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(shape)); got != o.shapeLine() {
		return fmt.Errorf("already running with other options: %s", got)
	}
	url, err := os.ReadFile(l.endpoint())
	if err != nil {
		return err
	}
	outcome.say("already running %s", strings.TrimSpace(string(url)))
	return nil
}

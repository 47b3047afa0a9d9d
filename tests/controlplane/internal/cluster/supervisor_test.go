package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The supervisor starts programs by running its own executable under their
// names, so in these tests the test is the programs too.
func TestMain(m *testing.M) {
	switch os.Args[0] {
	case "server": // serves until it is told to stop
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		if err := os.WriteFile(os.Args[1], nil, 0o600); err != nil {
			os.Exit(1)
		}
		<-signals
		os.Remove(os.Args[1])
	case "cripple": // says why it cannot
		fmt.Println("I1124 all is well")
		fmt.Println("E1124 out of cheese")
		os.Exit(3)
	default:
		os.Exit(m.Run())
	}
}

// running is a supervisor of one server, which is ready when its file is there.
type running struct {
	t      *testing.T
	layout layout
	done   chan error
	stop   context.CancelCauseFunc
}

func serverIn(dir string) program {
	file := layout(dir).path("serving")
	return program{"server", []string{file}, func(context.Context) error {
		_, err := os.Stat(file)
		return err
	}}
}

func newTestSupervisor(t *testing.T, programs ...program) *supervisor {
	t.Helper()
	o := options{dir: t.TempDir(), timeout: 20 * time.Second}
	if err := os.Mkdir(o.layout().path("logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	return newSupervisor(o, programs, log.New(io.Discard, "", 0))
}

func nothing(context.Context) error { return nil }

func startServer(t *testing.T) *running {
	t.Helper()
	s := newTestSupervisor(t, serverIn(t.TempDir()))
	ctx, stop := context.WithCancelCause(context.Background())
	if err := s.start(ctx, nothing); err != nil {
		t.Fatal(err)
	}
	r := &running{t, s.options.layout(), make(chan error, 1), stop}
	go func() {
		err := s.keep(ctx)
		s.stop()
		r.done <- err
	}()
	t.Cleanup(r.end)
	return r
}

func (r *running) end() {
	r.stop(errStopped)
	if err := <-r.done; err != nil {
		r.t.Error(err)
	}
}

// pid waits until the pids file names a server that is not that process.
func (r *running) pid(not int) int {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		data, err := os.ReadFile(r.layout.pids())
		var pid int
		if err == nil {
			if _, err := fmt.Sscanf(string(data), "server %d", &pid); err == nil && pid != not {
				return pid
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatal("no server was started")
	return 0
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestAProgramThatDiesIsStartedAgain(t *testing.T) {
	r := startServer(t)
	first := r.pid(0)
	kill(t, first)
	if second := r.pid(first); commandLine(second)[0] != "server" {
		t.Errorf("process %d is %q", second, commandLine(second))
	}
}

func TestAHeldProgramWaits(t *testing.T) {
	r := startServer(t)
	hold := r.layout.hold("server")
	if err := os.WriteFile(hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := r.pid(0)
	kill(t, first)

	// Longer than it would take to be started without the hold.
	time.Sleep(restartInterval + 200*time.Millisecond)
	if data, err := os.ReadFile(r.layout.pids()); err != nil || len(data) != 0 {
		t.Errorf("while it is held, the pids are %q, %v", data, err)
	}
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}
	r.pid(first)
}

func TestStopLeavesNoProcess(t *testing.T) {
	s := newTestSupervisor(t, serverIn(t.TempDir()))
	if err := s.start(context.Background(), nothing); err != nil {
		t.Fatal(err)
	}
	pid := s.children[0].pid
	s.stop()
	if commandLine(pid) != nil {
		t.Errorf("process %d is still there", pid)
	}
}

func TestAProgramThatCannotStartSaysWhy(t *testing.T) {
	s := newTestSupervisor(t, program{"cripple", nil, func(context.Context) error { return errors.New("not yet") }})
	defer s.stop()
	err := s.start(context.Background(), nothing)
	if err == nil || !strings.Contains(err.Error(), "cripple ended (exit status 3)") ||
		!strings.Contains(err.Error(), "out of cheese") || strings.Contains(err.Error(), "all is well") {
		t.Errorf("got %v", err)
	}
}

func TestAStopDuringTheStartIsNoFailure(t *testing.T) {
	never := serverIn(t.TempDir())
	never.probe = func(context.Context) error { return errors.New("not yet") }
	s := newTestSupervisor(t, never)
	defer s.stop()
	ctx, stop := context.WithCancelCause(context.Background())
	time.AfterFunc(50*time.Millisecond, func() { stop(errStopped) })
	if err := s.start(ctx, nothing); !errors.Is(err, errStopped) {
		t.Errorf("got %v", err)
	}
}

func TestOrphansAreWaitedFor(t *testing.T) {
	s := newTestSupervisor(t)
	l := s.options.layout()
	s.programs = []program{serverIn(string(l))}
	s.children = make([]*child, 1)
	if err := s.start(context.Background(), nothing); err != nil {
		t.Fatal(err)
	}
	if err := awaitOrphans(l, 50*time.Millisecond); err == nil {
		t.Error("the server runs, and was not waited for")
	}
	s.stop()
	if err := awaitOrphans(l, 50*time.Millisecond); err != nil {
		t.Error(err)
	}
}

package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// child is one running program.
type child struct {
	index   int // in the supervisor's programs
	name    string
	pid     int
	started time.Time
	process *os.Process
	logFrom int64 // where this run's part of the log begins

	exited chan struct{} // closed when the process is gone and reaped
	state  string        // how it ended; to read once exited is closed
}

// spawner starts processes that the kernel kills when this one dies, however
// it dies.
//
// The kernel sends that signal when the thread that forked ends, not the
// process. Go moves goroutines between threads and ends idle ones, so all
// forks are made on one thread that a goroutine holds for good.
type spawner struct{ starts chan func() }

func newSpawner() *spawner {
	s := &spawner{make(chan func())}
	go func() {
		runtime.LockOSThread()
		for start := range s.starts {
			start()
		}
	}()
	return s
}

// spawn starts the program, with its output at the end of the log file. The
// exit of the child is sent to exits when it has been reaped: by then its
// ports and its locks are free.
func (s *spawner) spawn(index int, p program, logPath string, exits chan<- *child) (*child, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return nil, err
	}
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := &exec.Cmd{
		Path:   executable,
		Args:   append([]string{p.name}, p.args...),
		Env:    childEnvironment(os.Environ()),
		Stdout: log,
		Stderr: log,
		SysProcAttr: &syscall.SysProcAttr{
			Pdeathsig: syscall.SIGKILL,
			// A process group of its own, so that Ctrl-C in a terminal reaches the
			// supervisor alone, and the programs stop in order.
			Setpgid: true,
		},
	}
	done := make(chan error)
	s.starts <- func() { done <- command.Start() }
	if err := <-done; err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	c := &child{
		index:   index,
		name:    p.name,
		pid:     command.Process.Pid,
		started: time.Now(),
		process: command.Process,
		logFrom: info.Size(),
		exited:  make(chan struct{}),
	}
	go func() {
		_ = command.Wait() // the state says the same and more
		c.state = command.ProcessState.String()
		close(c.exited)
		exits <- c
	}()
	return c, nil
}

// stop asks the child to end, and makes it end if it does not in that time.
// It returns when the child is gone.
func (c *child) stop(patience time.Duration) (obeyed bool) {
	_ = c.process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case <-c.exited:
		return true
	case <-time.After(patience):
	}
	_ = c.process.Kill()
	<-c.exited
	return false
}

// childEnvironment leaves out what would change how the programs run: etcd
// takes any of its flags from the environment, and tells a service manager that
// it is ready, which would be about the wrong process.
func childEnvironment(environment []string) []string {
	var kept []string
	for _, variable := range environment {
		if strings.HasPrefix(variable, "ETCD_") || strings.HasPrefix(variable, "NOTIFY_SOCKET=") {
			continue
		}
		kept = append(kept, variable)
	}
	return kept
}

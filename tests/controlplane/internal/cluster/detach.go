package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

// detach runs the supervisor in a session of its own, so that it outlives this
// process and its terminal, and waits for the outcome of the start.
func detach(o options, outcome *announcer) error {
	l := o.layout()
	if err := os.MkdirAll(l.path("logs"), 0o700); err != nil {
		return err
	}
	logFile, err := os.OpenFile(l.supervisorLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()

	command := &exec.Cmd{
		Path:        executable,
		Args:        append([]string{"controlplane", "up", "--dir=" + o.dir, "--timeout=" + o.timeout.String(), "--ready-fd=3"}, o.shape()...),
		Stdout:      logFile,
		Stderr:      logFile,
		ExtraFiles:  []*os.File{writer}, // becomes 3
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = command.Start()
	writer.Close()
	if err != nil {
		return err
	}

	// Whoever interrupts the start wants no cluster, and the terminal's Ctrl-C
	// does not reach another session.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	go func() {
		for range signals {
			_ = command.Process.Signal(syscall.SIGTERM)
		}
	}()

	data, err := io.ReadAll(reader)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(string(data))
	switch {
	case strings.HasPrefix(text, "ready "), strings.HasPrefix(text, "already running "):
		outcome.say("%s", text)
		return nil
	case text == "":
		return fmt.Errorf("the supervisor ended without a word; see %s", l.supervisorLog())
	default:
		// It is stopping what it had started. To come back before that is done
		// would leave the next start to find the ports taken.
		_ = command.Wait()
		return errors.New(strings.TrimPrefix(text, "failed: "))
	}
}

package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A running supervisor holds a lock on its cluster's folder. The kernel drops
// the lock when the process ends, however it ends, and knows whose it is: a pid
// file may be left over, and its number be another process's by now.

func wholeFile() syscall.Flock_t {
	return syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
}

// takeLock takes the lock, or returns nil if another process has it. Closing
// the file gives it back, and so does closing any other opening of it in this
// process: the holder must not ask who the holder is.
func takeLock(l layout) (*os.File, error) {
	file, err := os.OpenFile(l.supervisorLock(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	lock := wholeFile()
	err = syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &lock)
	if err == nil {
		return file, nil
	}
	file.Close()
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		return nil, nil
	}
	return nil, fmt.Errorf("%s: %w", l.supervisorLock(), err)
}

// lockHolder returns the process that holds the lock, or 0 if none does. It
// does not take the lock for a moment to find out: that moment could be the one
// in which a supervisor starts.
func lockHolder(l layout) (int, error) {
	file, err := os.Open(l.supervisorLock())
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lock := wholeFile()
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock); err != nil {
		return 0, fmt.Errorf("%s: %w", l.supervisorLock(), err)
	}
	switch {
	case lock.Type == syscall.F_UNLCK:
		return 0, nil
	case lock.Pid <= 0:
		return 0, fmt.Errorf("the process that runs %s is outside of this container", l)
	}
	return int(lock.Pid), nil
}

// isSupervisor says whether that process is one by its command line.
func isSupervisor(pid int) bool {
	return slices.Contains(commandLine(pid), "up")
}

// commandLine returns the arguments of a process, and none if it is gone, or a
// zombie.
func commandLine(pid int) []string {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil || len(data) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimRight(data, "\x00")), "\x00")
}

// awaitOrphans waits for the programs of a supervisor that was killed. They are
// killed with it, but not at the same instant, and until they are gone they
// hold the ports and etcd its data.
func awaitOrphans(l layout, patience time.Duration) error {
	data, err := os.ReadFile(l.pids())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for line := range strings.Lines(string(data)) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, err := strconv.Atoi(number)
		if err != nil {
			return fmt.Errorf("%s: not a process id: %q", l.pids(), line)
		}
		for isOurs(pid, name, l) {
			if time.Now().After(deadline) {
				return fmt.Errorf("%s of an earlier run is still there, as process %d", name, pid)
			}
			time.Sleep(probeInterval)
		}
	}
	return nil
}

// isOurs says whether that process is the program of that name of this cluster:
// its arguments name the cluster's folder.
func isOurs(pid int, name string, l layout) bool {
	arguments := commandLine(pid)
	return len(arguments) > 0 && arguments[0] == name &&
		strings.Contains(strings.Join(arguments, " "), string(l)+"/")
}

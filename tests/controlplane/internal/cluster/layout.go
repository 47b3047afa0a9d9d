// Package cluster runs a control plane of real programs on loopback: it makes
// the keys and the settings, starts the programs in order, starts them again
// when they die, and stops them.
package cluster

import (
	"os"
	"path/filepath"
)

// layout knows where each file of a cluster is. It is the absolute path of the
// cluster's folder.
type layout string

func (l layout) path(elements ...string) string {
	return filepath.Join(append([]string{string(l)}, elements...)...)
}

func (l layout) pki(name string) string { return l.path("pki", name) }
func (l layout) log(name string) string { return l.path("logs", name+".log") }

func (l layout) etcdData() string          { return l.path("etcd") }
func (l layout) adminKubeconfig() string   { return l.path("admin.kubeconfig") }
func (l layout) managerKubeconfig() string { return l.path("controller-manager.kubeconfig") }
func (l layout) auditPolicy() string       { return l.path("audit-policy.yaml") }
func (l layout) auditLog() string          { return l.path("logs", "audit.log") }
func (l layout) ports() string             { return l.path("ports") }
func (l layout) pids() string              { return l.path("pids") }
func (l layout) options() string           { return l.path("options") }
func (l layout) endpoint() string          { return l.path("endpoint") }
func (l layout) ready() string             { return l.path("ready") }
func (l layout) supervisorPid() string     { return l.path("supervisor.pid") }
func (l layout) supervisorLock() string    { return l.path("supervisor.lock") }
func (l layout) supervisorLog() string     { return l.log("supervisor") }

// hold is the file that a test creates to keep the program of that name from
// being started again.
func (l layout) hold(program string) string { return l.path("hold." + program) }

// writeFile writes the file whole or not at all: a reader, or another run of
// ours after a kill, never sees half of it.
func writeFile(path string, data []byte, mode os.FileMode) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // fails, as it should, after the rename
	if err := temporary.Chmod(mode); err != nil {
		temporary.Close()
		return err
	}
	if _, err := temporary.Write(data); err != nil {
		temporary.Close()
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

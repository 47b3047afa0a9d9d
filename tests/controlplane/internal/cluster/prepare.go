package cluster

import (
	"fmt"
	"os"
)

// prepare makes all files that the programs need, and returns the address of
// the API server. What an earlier run left is used again.
func prepare(o options) (url string, p ports, err error) {
	l := o.layout()
	if err := os.RemoveAll(l.ready()); err != nil {
		return "", p, err
	}
	if err := awaitOrphans(l, stopPatience); err != nil {
		return "", p, err
	}
	if err := writeFile(l.options(), []byte(o.shapeLine()+"\n"), 0o644); err != nil {
		return "", p, err
	}
	if err := writeFile(l.supervisorPid(), fmt.Appendln(nil, os.Getpid()), 0o644); err != nil {
		return "", p, err
	}
	if err := ensurePKI(l); err != nil {
		return "", p, err
	}
	if p, err = choosePorts(l.ports()); err != nil {
		return "", p, err
	}
	url = fmt.Sprintf("https://127.0.0.1:%d", p.apiserver)
	if err := writeCertificateKubeconfig(l, l.adminKubeconfig(), url, "admin"); err != nil {
		return "", p, err
	}
	if err := writeCertificateKubeconfig(l, l.managerKubeconfig(), url, "controller-manager"); err != nil {
		return "", p, err
	}
	if err := writeFile(l.auditPolicy(), []byte(auditPolicy), 0o644); err != nil {
		return "", p, err
	}
	return url, p, writeFile(l.endpoint(), []byte(url+"\n"), 0o644)
}

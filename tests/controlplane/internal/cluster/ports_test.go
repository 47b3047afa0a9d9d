package cluster

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestPortsAreKeptWhileTheyAreFree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ports")
	first, err := choosePorts(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := choosePorts(path)
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Errorf("got %v, then %v", first, second)
	}
}

func TestATakenPortIsReplacedAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ports")
	first, err := choosePorts(path)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: first.apiserver})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	second, err := choosePorts(path)
	if err != nil {
		t.Fatal(err)
	}
	if second.apiserver == first.apiserver {
		t.Errorf("port %d is taken and was chosen", first.apiserver)
	}
	second.apiserver = first.apiserver
	if first != second {
		t.Errorf("got %v, then %v: a free port was replaced", first, second)
	}
}

func TestABrokenPortsFileIsAnError(t *testing.T) {
	for _, text := range []string{"etcd-client\n", "etcd-client x\n", "etcd-client 70000\n", "etcd-client -1\n"} {
		path := filepath.Join(t.TempDir(), "ports")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := choosePorts(path); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestPortsBelowTheEphemeralRange(t *testing.T) {
	cases := []struct{ low, first, last int }{
		{32768, 19768, 32767},
		{10000, 2000, 9999},
		{1024, 20000, 32767}, // no room below: anywhere
	}
	for _, c := range cases {
		if first, last := portsBelow(c.low); first != c.first || last != c.last {
			t.Errorf("below %d: got %d to %d, want %d to %d", c.low, first, last, c.first, c.last)
		}
	}
}

package cluster

import (
	"bytes"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestThePKIIsMadeOnceAndHoldsTogether(t *testing.T) {
	l := layout(t.TempDir())
	if err := ensurePKI(l); err != nil {
		t.Fatal(err)
	}
	for _, leaf := range leaves {
		if _, err := tls.LoadX509KeyPair(l.pki(leaf.name+".crt"), l.pki(leaf.name+".key")); err != nil {
			t.Errorf("%s: %s", leaf.name, err)
		}
	}
	before, err := os.ReadFile(l.pki("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := ensurePKI(l); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(l.pki("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("the second run made another CA")
	}
}

func TestKeysAreForTheirOwnerAlone(t *testing.T) {
	l := layout(t.TempDir())
	if err := ensurePKI(l); err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Glob(l.pki("*.key"))
	if err != nil || len(keys) != 5 {
		t.Fatalf("got %q, %v", keys, err)
	}
	for _, key := range keys {
		info, err := os.Stat(key)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %o", key, info.Mode().Perm())
		}
	}
}

func TestAnUnfinishedPKIIsMadeAnew(t *testing.T) {
	l := layout(t.TempDir())
	if err := os.Mkdir(l.path("pki.unfinished"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := ensurePKI(l); err != nil {
		t.Fatal(err)
	}
	if exists(l.path("pki.unfinished")) {
		t.Error("the unfinished folder is still there")
	}
}

func TestABrokenPKIIsNamed(t *testing.T) {
	for _, name := range []string{"ca.crt", "ca.key", "admin.crt", "sa.pub"} {
		l := layout(t.TempDir())
		if err := ensurePKI(l); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(l.pki(name), []byte("rubbish"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := ensurePKI(l); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestACertificateOfAnotherCAIsRefused(t *testing.T) {
	one, other := layout(t.TempDir()), layout(t.TempDir())
	for _, l := range []layout{one, other} {
		if err := ensurePKI(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(other.pki("ca.crt"), one.pki("ca.crt")); err != nil {
		t.Fatal(err)
	}
	if err := ensurePKI(one); err == nil {
		t.Error("no error")
	}
}

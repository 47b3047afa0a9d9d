package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheLinesThatSayWhyArePicked(t *testing.T) {
	cases := []struct{ name, log, want string }{
		{"klog error",
			"I1124 06:16:56.1 1 options.go:1] external host\nE1124 06:16:56.8 1 run.go:72] \"command failed\" err=\"no\"\nI1124 06:16:57.0 1 x.go:1] bye\n",
			"E1124 06:16:56.8 1 run.go:72] \"command failed\" err=\"no\""},
		{"before the flags are parsed",
			"Usage:\n  kube-apiserver [flags]\n\nError: unknown flag: --nonsense\n",
			"Error: unknown flag: --nonsense"},
		{"panic",
			"starting\npanic: index out of range\n\ngoroutine 1 [running]:\n",
			"panic: index out of range"},
		{"etcd, without its stack trace",
			`{"level":"info","msg":"starting"}` + "\n" + `{"level":"fatal","msg":"discovery failed","error":"address in use","stacktrace":"a\n\tb"}` + "\n",
			`{"level":"fatal","msg":"discovery failed","error":"address in use"}`},
		{"an info line about a failure",
			"I1124 06:16:56.1 1 a.go:1] unable to reach the server\nI1124 06:16:56.2 1 a.go:1] bye\n",
			"I1124 06:16:56.1 1 a.go:1] unable to reach the server"},
		{"no line of trouble: all", "one\n\ntwo\n", "one\ntwo"},
		{"no last newline", "E1124 x", "E1124 x"},
		{"nothing", "", ""},
	}
	for _, c := range cases {
		if got := strings.Join(pickLines(c.log), "\n"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestOnlyTheLastLinesArePicked(t *testing.T) {
	var log strings.Builder
	for i := range 50 {
		fmt.Fprintf(&log, "E1124 line %d\n", i)
	}
	lines := pickLines(log.String())
	if len(lines) != excerptLines || lines[len(lines)-1] != "E1124 line 49" {
		t.Errorf("got %d lines, %q", len(lines), lines)
	}
}

func TestALongLineIsCut(t *testing.T) {
	lines := pickLines("E1124 " + strings.Repeat("x", 10000))
	if len(lines) != 1 || len(lines[0]) > excerptWidth+len("...") {
		t.Errorf("got %d lines, the first of %d bytes", len(lines), len(lines[0]))
	}
}

func TestAnEarlierRunIsLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	earlier := "E1124 earlier\n"
	if err := os.WriteFile(path, []byte(earlier+"E1124 now\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := excerpt(path, int64(len(earlier))); got != "E1124 now" {
		t.Errorf("got %q", got)
	}
	if got := excerpt(path, int64(len(earlier+"E1124 now\n"))); got != "(it logged nothing)" {
		t.Errorf("after the end: got %q", got)
	}
}

func TestTheEnvironmentOfTheProgramsHasNoFlagsOfEtcd(t *testing.T) {
	got := childEnvironment([]string{"PATH=/bin", "ETCD_NAME=x", "NOTIFY_SOCKET=/run/x", "HOME=/"})
	if want := []string{"PATH=/bin", "HOME=/"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

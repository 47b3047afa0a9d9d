package cluster

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
)

// ports are the ports on 127.0.0.1 that the programs of a cluster listen on.
type ports struct {
	etcdClient, etcdPeer, apiserver, controllerManager int
}

// named pairs each port with its name in the file.
func (p *ports) named() []struct {
	name string
	port *int
} {
	return []struct {
		name string
		port *int
	}{
		{"etcd-client", &p.etcdClient},
		{"etcd-peer", &p.etcdPeer},
		{"kube-apiserver", &p.apiserver},
		{"kube-controller-manager", &p.controllerManager},
	}
}

// choosePorts returns the ports that the file names, with another in place of
// each that is taken or missing, and writes them back.
func choosePorts(path string) (ports, error) {
	chosen, err := readPorts(path)
	if err != nil {
		return chosen, err
	}
	first, last := portRange()
	used := map[int]bool{}
	for _, entry := range chosen.named() {
		for attempt := 0; *entry.port == 0 || used[*entry.port] || !isFree(*entry.port); attempt++ {
			if attempt == 1000 {
				return chosen, fmt.Errorf("no free port between %d and %d", first, last)
			}
			*entry.port = first + rand.IntN(last-first+1)
		}
		used[*entry.port] = true
	}
	var text bytes.Buffer
	for _, entry := range chosen.named() {
		fmt.Fprintf(&text, "%s %d\n", entry.name, *entry.port)
	}
	return chosen, writeFile(path, text.Bytes(), 0o644)
}

// readPorts reads the file of an earlier run. A missing file or line leaves 0.
func readPorts(path string) (ports, error) {
	var saved ports
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return saved, nil
	}
	if err != nil {
		return saved, err
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		port, err := strconv.Atoi(value)
		if err != nil || port < 1 || port > 65535 {
			return saved, fmt.Errorf("%s: not a port: %q", path, lines.Text())
		}
		for _, entry := range saved.named() {
			if entry.name == name {
				*entry.port = port
			}
		}
	}
	return saved, lines.Err()
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// portRange returns the ports to choose from: those below the range that the
// kernel gives to outgoing connections. A port of that range would be free now
// and could be some client's own port in the moment between the death of a
// program and its next start; a client that dials it then may even be
// connected to itself.
func portRange() (first, last int) {
	first, last = 20000, 32767
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return first, last
	}
	var low, high int
	if _, err := fmt.Sscan(string(data), &low, &high); err != nil {
		return first, last
	}
	return portsBelow(low)
}

// portsBelow returns a range that ends before low, unless there is too little
// room there.
func portsBelow(low int) (first, last int) {
	if low < 4000 {
		return 20000, 32767
	}
	return max(low-13000, 2000), low - 1
}

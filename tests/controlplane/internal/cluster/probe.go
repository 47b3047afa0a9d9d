package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const probeInterval = 20 * time.Millisecond

// probeURL returns a function that says whether that address answers 200.
func probeURL(url string) func(context.Context) error {
	return probe(url, nil)
}

// probeWithCA is probeURL for a server whose certificate that authority signed.
func probeWithCA(caFile, url string) (func(context.Context) error, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in it", caFile)
	}
	return probe(url, &tls.Config{RootCAs: roots}), nil
}

// probeUnverified is probeURL for a server that nothing vouches for.
func probeUnverified(url string) func(context.Context) error {
	return probe(url, &tls.Config{InsecureSkipVerify: true})
}

func probe(url string, config *tls.Config) func(context.Context) error {
	client := &http.Client{
		// A new connection each time: one that is kept open would tell nothing
		// about a program that has been started again.
		Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true},
		Timeout:   5 * time.Second,
	}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
			return fmt.Errorf("%s: %s: %s", url, response.Status, strings.TrimSpace(string(body)))
		}
		return nil
	}
}

// poll tries until it succeeds or the context ends; then it returns what was
// wrong the last time, which says more than that the time was up.
func poll(ctx context.Context, try func(context.Context) error) error {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	last := ctx.Err()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-ticker.C:
		}
	}
}

package measure

import (
	"errors"
	"testing"
	"time"
)

func TestPercentileIsTheNearestRank(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	cases := []struct {
		name   string
		sorted []float64
		p      float64
		want   float64
	}{
		{"none", nil, 50, 0},
		{"one", []float64{7}, 99, 7},
		{"lower of two", []float64{1, 2}, 50, 1},
		{"middle of three", []float64{1, 2, 3}, 50, 2},
		{"99 of 100", hundred, 99, 99},
		{"lowest", hundred, 0, 1},
		{"highest", hundred, 100, 100},
	}
	for _, c := range cases {
		if got := percentile(c.sorted, c.p); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAFailureCountsInNoLatency(t *testing.T) {
	report := Summarize([]Result{
		{Latency: 10 * time.Millisecond},
		{Latency: time.Microsecond, Err: errors.New("refused")},
		{Latency: 30 * time.Millisecond},
	}, 1, 2*time.Second)

	if report.Count != 3 || report.Failures != 1 || len(report.Errors) != 1 {
		t.Errorf("got %d of %d failed, %q", report.Failures, report.Count, report.Errors)
	}
	if report.JoinsPerSecond != 1 {
		t.Errorf("got %v a second, want 1", report.JoinsPerSecond)
	}
	if report.P50Ms != 10 || report.P99Ms != 30 {
		t.Errorf("got p50 %v and p99 %v, want 10 and 30", report.P50Ms, report.P99Ms)
	}
}

// Package measure turns the times of many like operations into a report.
package measure

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Result is the outcome of one operation.
type Result struct {
	Latency time.Duration
	Err     error
}

// Report sums up a run. Failed operations count in Count and Failures, and in
// no other figure: a fast failure must not improve a latency.
type Report struct {
	Count          int       `json:"count"`
	Failures       int       `json:"failures"`
	Parallel       int       `json:"parallel"`
	WallSeconds    float64   `json:"wall_seconds"`
	JoinsPerSecond float64   `json:"joins_per_second"`
	P50Ms          float64   `json:"p50_ms"`
	P99Ms          float64   `json:"p99_ms"`
	LatenciesMs    []float64 `json:"latencies_ms"` // in the order of the nodes
	Errors         []string  `json:"errors,omitempty"`
}

// Summarize makes the report of operations that took wall together.
func Summarize(results []Result, parallel int, wall time.Duration) *Report {
	report := &Report{
		Count:       len(results),
		Parallel:    parallel,
		WallSeconds: wall.Seconds(),
		LatenciesMs: []float64{},
	}
	for _, result := range results {
		if result.Err != nil {
			report.Failures++
			report.Errors = append(report.Errors, result.Err.Error())
			continue
		}
		report.LatenciesMs = append(report.LatenciesMs, milliseconds(result.Latency))
	}
	report.JoinsPerSecond = float64(len(report.LatenciesMs)) / wall.Seconds()
	sorted := slices.Sorted(slices.Values(report.LatenciesMs))
	report.P50Ms = percentile(sorted, 50)
	report.P99Ms = percentile(sorted, 99)
	return report
}

// String is the report in one line.
func (r *Report) String() string {
	return fmt.Sprintf("count=%d failures=%d parallel=%d wall_s=%.3f joins_per_s=%.1f p50_ms=%.1f p99_ms=%.1f",
		r.Count, r.Failures, r.Parallel, r.WallSeconds, r.JoinsPerSecond, r.P50Ms, r.P99Ms)
}

// percentile returns the smallest value that at least p percent of the sorted
// values do not exceed (nearest rank), or 0 if there are none.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}

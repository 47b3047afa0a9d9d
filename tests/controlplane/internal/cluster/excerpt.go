package cluster

import (
	"io"
	"os"
	"regexp"
	"strings"
)

const (
	excerptLines = 20
	excerptWidth = 600
	// A log that is longer than this is long after its beginning; what ended the
	// program is near the end.
	excerptBytes = 256 << 10
)

// trouble matches the lines that say what went wrong: klog's errors and
// fatals, etcd's JSON lines of those levels, Go's panics, and the plain errors
// that a command prints before it logs.
var trouble = regexp.MustCompile(`^[EF][0-9]{4} |"level":"(error|fatal|panic)"|^(panic|fatal error|Error): |^Error|(?i)\b(cannot|failed|unable to|permission denied|no such file|already in use)\b`)

// stackTrace matches what etcd adds to its errors: longer than all the rest, and
// about its own source.
var stackTrace = regexp.MustCompile(`,"stacktrace":"[^"]*"`)

// excerpt returns the last lines of the log, from that offset on, that say what
// went wrong, or the last lines at all if none does.
func excerpt(path string, from int64) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil {
		from = max(from, info.Size()-excerptBytes)
	}
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return err.Error()
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return err.Error()
	}
	lines := pickLines(string(data))
	if len(lines) == 0 {
		return "(it logged nothing)"
	}
	return strings.Join(lines, "\n")
}

func pickLines(text string) []string {
	var all, bad []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		all = append(all, line)
		if trouble.MatchString(line) {
			bad = append(bad, line)
		}
	}
	picked := all
	if len(bad) > 0 {
		picked = bad
	}
	picked = picked[max(0, len(picked)-excerptLines):]
	for i, line := range picked {
		line = stackTrace.ReplaceAllString(line, "")
		picked[i] = line
		if len(line) > excerptWidth {
			picked[i] = line[:excerptWidth] + "..."
		}
	}
	return picked
}

package cluster

import (
	"fmt"
	"os"
)

// announcer tells how the start went, once: to standard output, or standard
// error if it failed, and to the file that --ready-fd names.
type announcer struct{ file *os.File }

func (a *announcer) say(format string, args ...any) {
	text := fmt.Sprintf(format+"\n", args...)
	fmt.Print(text)
	a.tell(text)
}

func (a *announcer) failed(err error) {
	text := fmt.Sprintf("failed: %s\n", err)
	fmt.Fprint(os.Stderr, text)
	a.tell(text)
}

func (a *announcer) tell(text string) {
	if a.file == nil {
		return
	}
	_, _ = a.file.WriteString(text) // whoever asked may be gone
	_ = a.file.Close()
	a.file = nil
}

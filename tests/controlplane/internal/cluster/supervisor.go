package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"
)

const (
	// stopPatience is how long a program may take to end when asked to.
	stopPatience = 10 * time.Second
	// restartInterval is the least time between two starts of one program, so
	// that one that cannot run does not take the whole machine.
	restartInterval = time.Second
)

var errStopped = errors.New("stopped before it was ready")

// supervisor starts the programs of a cluster and keeps them running. One
// goroutine calls its methods and owns its fields; the others only send to its
// channels.
type supervisor struct {
	options  options
	programs []program
	log      *log.Logger

	spawner  *spawner
	children []*child    // by program; nil while it does not run
	exits    chan *child // a child that has ended
	due      chan int    // a program that may be started again
}

func newSupervisor(o options, programs []program, logger *log.Logger) *supervisor {
	return &supervisor{
		options:  o,
		programs: programs,
		log:      logger,
		spawner:  newSpawner(),
		children: make([]*child, len(programs)),
		exits:    make(chan *child, len(programs)),
		due:      make(chan int, len(programs)),
	}
}

// launch starts the program and notes its process.
func (s *supervisor) launch(index int) error {
	p := s.programs[index]
	c, err := s.spawner.spawn(index, p, s.options.layout().log(p.name), s.exits)
	if err != nil {
		return err
	}
	s.children[index] = c
	return s.writePIDs()
}

// start brings all programs up, each when the one before it serves. meanwhile
// runs while the last one is coming up, with the others there for it to use.
func (s *supervisor) start(ctx context.Context, meanwhile func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.timeout)
	defer cancel()
	for index, p := range s.programs {
		if err := s.launch(index); err != nil {
			return err
		}
		if index == len(s.programs)-1 {
			if err := s.await(ctx, meanwhile); err != nil {
				return err
			}
		}
		if err := s.await(ctx, func(ctx context.Context) error {
			if err := poll(ctx, p.probe); err != nil {
				return fmt.Errorf("%s is not ready after %s: %w; from its log:\n%s", p.name, s.options.timeout, err,
					s.excerpt(s.children[index]))
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// await returns the outcome of do. It is an error if any program ends before
// that, and errStopped if the context ended because of a stop: what is cut off
// by one fails in many ways, none of them news.
func (s *supervisor) await(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outcome := make(chan error, 1)
	go func() { outcome <- do(ctx) }()
	select {
	case c := <-s.exits:
		cancel()
		<-outcome // do looks at the children
		s.children[c.index] = nil
		return fmt.Errorf("%s ended (%s) before the cluster was ready; from %s:\n%s", c.name, c.state,
			s.options.layout().log(c.name), s.excerpt(c))
	case err := <-outcome:
		if err != nil && errors.Is(context.Cause(ctx), errStopped) {
			return errStopped
		}
		return err
	}
}

// excerpt returns what the child logged of its troubles.
func (s *supervisor) excerpt(c *child) string {
	return excerpt(s.options.layout().log(c.name), c.logFrom)
}

// keep starts each program that dies again, until the context ends.
func (s *supervisor) keep(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-s.exits:
			s.log.Printf("%s, process %d, ended: %s", c.name, c.pid, c.state)
			s.children[c.index] = nil
			if err := s.writePIDs(); err != nil {
				return err
			}
			go s.awaitTurn(ctx, c)
		case index := <-s.due:
			if err := s.launch(index); err != nil {
				return err
			}
			s.log.Printf("%s started again, process %d", s.programs[index].name, s.children[index].pid)
		}
	}
}

// awaitTurn reports the program of that child as due for another start when
// nothing holds it and the program that it needs serves.
func (s *supervisor) awaitTurn(ctx context.Context, c *child) {
	pause(ctx, time.Until(c.started.Add(restartInterval)))
	hold := s.options.layout().hold(c.name)
	if exists(hold) {
		s.log.Printf("%s waits until %s is gone", c.name, hold)
	}
	for ctx.Err() == nil {
		// The hold comes last: a test that makes it while the other program is
		// waited for counts on it.
		if c.index > 0 && s.programs[c.index-1].probe(ctx) != nil || exists(hold) {
			pause(ctx, probeInterval)
			continue
		}
		s.due <- c.index
		return
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// stop ends the programs, those that need others first.
func (s *supervisor) stop() {
	for i := len(s.children) - 1; i >= 0; i-- {
		c := s.children[i]
		if c == nil {
			continue
		}
		if !c.stop(stopPatience) {
			s.log.Printf("%s, process %d, did not end in %s and was killed", c.name, c.pid, stopPatience)
		}
		s.children[i] = nil
	}
}

// writePIDs writes down which processes run.
func (s *supervisor) writePIDs() error {
	var text bytes.Buffer
	for _, c := range s.children {
		if c != nil {
			fmt.Fprintf(&text, "%s %d\n", c.name, c.pid)
		}
	}
	return writeFile(s.options.layout().pids(), text.Bytes(), os.FileMode(0o644))
}

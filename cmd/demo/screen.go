package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/text"
)

// screen tells the story, one line after the other. On a terminal, what the replicas hold now stands below the lines, with
// the address of the page, which has the whole picture.
type screen struct {
	out   io.Writer
	began time.Time

	live  progress.Writer // nil: there is no terminal
	page  *progress.Tracker
	ended sync.WaitGroup
}

// openScreen begins to tell a story. The caller closes it.
func openScreen(out io.Writer, terminal bool, page string) *screen {
	s := &screen{out: out, began: time.Now()}
	if !terminal {
		text.DisableColors()
		return s
	}
	s.page = &progress.Tracker{Message: "The fleet's page: " + page, RemoveOnCompletion: true}
	s.live = progress.NewWriter()
	s.live.SetOutputWriter(out)
	s.live.SetAutoStop(true)
	s.live.Style().Visibility = progress.StyleVisibility{Pinned: true, Tracker: true}
	s.live.AppendTracker(s.page)
	s.ended.Go(s.live.Render)
	return s
}

// scene opens one: what happens now, and to whom.
func (s *screen) scene(format string, a ...any) {
	s.say("")
	s.say(s.clock() + "  " + text.Bold.Sprintf(format, a...))
}

// note tells what came of it.
func (s *screen) note(format string, a ...any) {
	s.say(s.clock() + "    " + fmt.Sprintf(format, a...))
}

// pin shows these lines below the story until the next pin, on a terminal.
func (s *screen) pin(lines func() []string) {
	if s.live != nil {
		s.live.SetPinnedMessages(lines()...)
	}
}

func (s *screen) say(line string) {
	if s.live == nil {
		fmt.Fprintln(s.out, line)
		return
	}
	s.live.Log("%s", line)
}

func (s *screen) clock() string { return fmt.Sprintf("%6.1fs", time.Since(s.began).Seconds()) }

// close ends what is live. What is printed then stands below the story.
func (s *screen) close() {
	if s.live != nil {
		s.page.MarkAsDone()
		s.ended.Wait()
	}
}

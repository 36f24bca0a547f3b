package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// screen is what the demo says while it goes: on a terminal a board that is drawn over and over, with the newest notes
// below it; elsewhere one plain line after the other.
type screen struct {
	out   io.Writer
	size  func() (width, height int) // of the terminal; nil: it is none
	ink   ink
	began time.Time

	mu    sync.Mutex
	title string
	board func(ink) []string // what stands between title and notes; nil: nothing
	notes []string
	drawn int // so many lines of the last frame stand above the cursor

	done  chan struct{} // closed: the live board ends
	ended sync.Once
	live  sync.WaitGroup
}

// newScreen looks at where it writes to: a terminal gets the live board, unless plain lines are wanted.
func newScreen(out *os.File, plain bool) *screen {
	s := &screen{out: out, ink: inkFor(out), began: time.Now(), done: make(chan struct{})}
	if plain || !isTerminal(out) {
		return s
	}
	fd := int(out.Fd())
	s.size = func() (int, int) {
		width, height, err := term.GetSize(fd)
		if err != nil || width <= 0 || height <= 0 {
			return 80, 24
		}
		return width, height
	}
	s.live.Go(s.redraw)
	return s
}

// isTerminal reports whether what is written there can be written over.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" }

// inkFor colours what goes to a terminal, unless NO_COLOR is set.
func inkFor(f *os.File) ink { return ink(isTerminal(f) && os.Getenv("NO_COLOR") == "") }

// show makes board what a live screen shows from now on; nil: nothing.
func (s *screen) show(board func(ink) []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.board = board
}

// scene opens one: what happens now, and to whom.
func (s *screen) scene(format string, a ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.title = fmt.Sprintf(format, a...)
	if s.size == nil {
		fmt.Fprintf(s.out, "\n%s  %s\n", s.clock(), s.ink.bold(s.title))
		return
	}
	s.keep(s.clock() + "  " + s.ink.bold(s.title))
}

// note tells what came of it.
func (s *screen) note(format string, a ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := fmt.Sprintf("%s    %s", s.clock(), fmt.Sprintf(format, a...))
	if s.size == nil {
		fmt.Fprintln(s.out, line)
		return
	}
	s.keep(line)
}

func (s *screen) keep(line string) {
	if s.notes = append(s.notes, line); len(s.notes) > 100 {
		s.notes = s.notes[1:]
	}
}

func (s *screen) clock() string { return fmt.Sprintf("%6.1fs", time.Since(s.began).Seconds()) }

// close ends the live board and leaves its last frame; what is printed then stands below it.
func (s *screen) close() {
	s.mu.Lock()
	s.board = nil
	s.mu.Unlock()
	s.ended.Do(func() { close(s.done) })
	s.live.Wait()
}

func (s *screen) redraw() {
	fmt.Fprint(s.out, hideCursor)
	defer fmt.Fprint(s.out, showCursor)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.draw(true)
		case <-s.done:
			s.draw(false)
			return
		}
	}
}

// draw writes a frame over the one before: as much as the terminal has room for, the newest notes last. The frame that
// stays is the notes alone.
func (s *screen) draw(going bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	width, height := s.size()
	var lines []string
	if going {
		lines = append(lines, s.ink.bold(" "+s.title), "")
		if s.board != nil {
			lines = append(append(lines, s.board(s.ink)...), "")
		}
	}
	room := height - 1 - len(lines)
	if !going {
		room = len(s.notes)
	}
	lines = append(lines, s.notes[max(0, len(s.notes)-max(0, room)):]...)
	if going && len(lines) > height-1 {
		lines = lines[:height-1]
	}
	var frame strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&frame, cursorUp, s.drawn)
	}
	frame.WriteString(clearBelow)
	for _, line := range lines {
		frame.WriteString(clip(line, width-1) + "\n")
	}
	s.drawn = len(lines)
	_, _ = io.WriteString(s.out, frame.String())
}

// What a terminal is told, in the sequences that all of today's know.
const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	cursorUp   = "\r\x1b[%dA"
	clearBelow = "\x1b[J"
)

// ink colours text; false leaves it as it is.
type ink bool

func (i ink) bold(s string) string   { return i.paint("1", s) }
func (i ink) dim(s string) string    { return i.paint("2", s) }
func (i ink) red(s string) string    { return i.paint("31", s) }
func (i ink) green(s string) string  { return i.paint("32", s) }
func (i ink) yellow(s string) string { return i.paint("33", s) }

func (i ink) paint(code, s string) string {
	if !i || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// clip cuts a line to a number of places; colours take none.
func clip(line string, width int) string {
	places, escape := 0, false
	for i, r := range line {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		case places == width:
			return line[:i] + "\x1b[0m"
		default:
			places++
		}
	}
	return line
}

// pad fills a text up to a number of places; colours take none.
func pad(text string, width int) string {
	places, escape := 0, false
	for _, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			places++
		}
	}
	return text + strings.Repeat(" ", max(0, width-places))
}

package respfault

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// frame is one value of RESP: as it came, its type, and, if it is a list, its texts.
type frame struct {
	raw   []byte
	kind  byte
	items []string // texts of the first level; others are empty
}

func readFrame(r *bufio.Reader) (frame, error) {
	var f frame
	_, err := f.read(r, 0)
	return f, err
}

// read reads one value into f and gives its text.
func (f *frame) read(r *bufio.Reader, depth int) (string, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	f.raw = append(f.raw, line...)
	kind, rest := line[0], strings.TrimSuffix(string(line[1:]), "\r\n")
	if depth == 0 {
		f.kind = kind
	}
	switch kind {
	case '$', '!', '=':
		return f.body(r, rest)
	case '*', '~', '>':
		return "", f.elements(r, rest, 1, depth)
	case '%':
		return "", f.elements(r, rest, 2, depth)
	case '|': // attributes, which come before the value
		if err := f.elements(r, rest, 2, depth+1); err != nil {
			return "", err
		}
		return f.read(r, depth)
	case '+', '-', ':', ',', '#', '_', '(':
		return rest, nil
	default:
		return "", fmt.Errorf("respfault: %q begins no value", line)
	}
}

func (f *frame) body(r *bufio.Reader, size string) (string, error) {
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 {
		return "", err // -1: nil
	}
	at := len(f.raw)
	f.raw = append(f.raw, make([]byte, n+2)...)
	_, err = io.ReadFull(r, f.raw[at:])
	return string(f.raw[at : at+n]), err
}

func (f *frame) elements(r *bufio.Reader, count string, each, depth int) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	for range n * each {
		text, err := f.read(r, depth+1)
		if err != nil {
			return err
		}
		if depth == 0 {
			f.items = append(f.items, text)
		}
	}
	return nil
}

// isMessage: one that was published, in RESP 2 or 3.
func (f frame) isMessage() bool {
	return f.listOf(3) && (f.items[0] == "message" || f.items[0] == "smessage")
}

// isConfirmation: the answer to a subscription.
func (f frame) isConfirmation() bool {
	return f.listOf(3) && (f.items[0] == "subscribe" || f.items[0] == "ssubscribe")
}

func (f frame) listOf(n int) bool { return (f.kind == '*' || f.kind == '>') && len(f.items) == n }

// with is a message of the same kind and channel.
func (f frame) with(payload string) []byte {
	word := "message"
	if strings.HasPrefix(f.items[0], "s") && f.items[0] != "subscribe" {
		word = "smessage"
	}
	return fmt.Appendf(nil, "%c3\r\n%s%s%s", f.kind, Bulk(word), Bulk(f.items[1]), Bulk(payload))
}

// Bulk is a text as a reply.
func Bulk(s string) []byte { return fmt.Appendf(nil, "$%d\r\n%s\r\n", len(s), s) }

// List is a list of replies as a reply.
func List(elements ...[]byte) []byte {
	out := fmt.Appendf(nil, "*%d\r\n", len(elements))
	for _, e := range elements {
		out = append(out, e...)
	}
	return out
}

// Error is a rule's Reply that answers with an error, such as "LOADING ...".
func Error(text string) func(Request, []byte) []byte {
	return func(Request, []byte) []byte { return []byte("-" + text + "\r\n") }
}

// Split takes a reply that is a list apart, each element as it came; false if it is none.
func Split(reply []byte) ([][]byte, bool) {
	r := bufio.NewReaderSize(strings.NewReader(string(reply)), len(reply)+16)
	line, err := r.ReadString('\n')
	if err != nil || line[0] != '*' {
		return nil, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil {
		return nil, false
	}
	out := make([][]byte, 0, max(n, 0))
	for range n {
		f, err := readFrame(r)
		if err != nil {
			return nil, false
		}
		out = append(out, f.raw)
	}
	return out, true
}

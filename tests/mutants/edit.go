package main

import (
	"fmt"
	"strings"
)

// edit makes one small bug at a marker's line. It names nothing of the source but operators and numbers, so that a rename
// breaks no mutant; what needs names stands in the marker itself. An edit that does not fit its line is an error.
type edit func(*place) (string, error)

// place is where a marker points to.
type place struct {
	lang   *language
	source string
	line   span   // the marked line, without its break
	part   span   // the term or item that an edit is about, empty if it is about the line
	note   string // what the marker says beside its id
}

// subject is the part that the edit is about, or the condition or the value of the marked line.
func (p *place) subject() (span, error) {
	if p.part != (span{}) {
		return p.part, nil
	}
	indented := len(p.line.in(p.source)) - len(strings.TrimLeft(p.line.in(p.source), "\t "))
	found, ok := p.lang.subject(p.source, p.line.from+indented)
	if !ok {
		return span{}, fmt.Errorf("the line has neither a condition nor a value: %s", strings.TrimSpace(p.line.in(p.source)))
	}
	return found, nil
}

// put gives the source with text in the place of a part.
func (p *place) put(at span, text string) string { return p.source[:at.from] + text + p.source[at.to:] }

// Never makes the condition, or the value, false.
func Never() edit { return joined(func(l *language) string { return l.no + " " + l.and }) }

// Always makes the condition, or the value, true.
func Always() edit { return joined(func(l *language) string { return l.yes + " " + l.or }) }

// joined keeps the expression behind what decides, so that nothing in it becomes unused.
func joined(before func(*language) string) edit {
	return func(p *place) (string, error) {
		at, err := p.subject()
		if err != nil {
			return "", err
		}
		return p.put(at, before(p.lang)+" ("+at.in(p.source)+")"), nil
	}
}

// Value puts text, which names nothing, in the place of the condition or value.
func Value(text string) edit {
	return func(p *place) (string, error) {
		at, err := p.subject()
		if err != nil {
			return "", err
		}
		return p.put(at, text), nil
	}
}

// Plus adds n, which may be negative, to the value.
func Plus(n int) edit {
	return func(p *place) (string, error) {
		at, err := p.subject()
		if err != nil {
			return "", err
		}
		op := "+"
		if n < 0 { // an unsigned value takes no negative term
			op, n = "-", -n
		}
		return p.put(at, fmt.Sprintf("(%s) %s %d", at.in(p.source), op, n)), nil
	}
}

// Swap puts operators, numbers or words of the language in the place of one that the line, or the part of it, has once.
func Swap(was, becomes string) edit {
	return func(p *place) (string, error) {
		where := p.line
		if p.part != (span{}) {
			where = p.part
		}
		var found []lexeme
		for _, t := range p.lang.lexemes(p.source[:where.to], where.from) {
			if t.text == was {
				found = append(found, t)
			}
		}
		if len(found) != 1 {
			return "", fmt.Errorf("%q stands %d times, want once, in: %s", was, len(found), strings.TrimSpace(where.in(p.source)))
		}
		return p.put(span{found[0].from, found[0].to}, becomes), nil
	}
}

// Term makes the edit within one term of a chain, from 1. The terms are those of DropTerm.
func Term(n int, inner edit) edit {
	return func(p *place) (string, error) {
		at, err := p.subject()
		if err != nil {
			return "", err
		}
		terms, _ := p.lang.chain(p.source, at)
		return p.within(terms, n, inner)
	}
}

// Item makes the edit within one of several values, from 1: those that a line returns, assigns or puts into fields.
func Item(n int, inner edit) edit {
	return func(p *place) (string, error) {
		at, err := p.subject()
		if err != nil {
			return "", err
		}
		return p.within(p.lang.items(p.source, at), n, inner)
	}
}

// within makes the edit in one of the parts.
func (p *place) within(parts []span, n int, inner edit) (string, error) {
	if n < 1 || n > len(parts) {
		return "", fmt.Errorf("there is no part %d of %d: %s", n, len(parts), strings.TrimSpace(p.line.in(p.source)))
	}
	narrow := *p
	narrow.part = parts[n-1]
	return inner(&narrow)
}

// DropTerm makes terms of a chain, from 1, say nothing: one of and is true, one of or false, a number 0, a text empty.
func DropTerm(which ...int) edit {
	return func(p *place) (string, error) {
		at, err := p.subject()
		if err != nil {
			return "", err
		}
		terms, ops := p.lang.chain(p.source, at)
		out := p.source
		for i := len(terms); i > 0; i-- { // from the end, so that places stay what they are
			for _, n := range which {
				if n == i {
					if out, err = p.silence(out, terms[i-1], ops[max(i-2, 0)]); err != nil {
						return "", err
					}
				}
			}
		}
		for _, n := range which {
			if n < 1 || n > len(terms) {
				return "", fmt.Errorf("there is no term %d of %d: %s", n, len(terms), at.in(p.source))
			}
		}
		return out, nil
	}
}

// silence leaves the term in the source, so that nothing in it becomes unused.
func (p *place) silence(source string, term span, op string) (string, error) {
	text := term.in(source)
	switch op {
	case p.lang.or:
		text = p.lang.no + " " + p.lang.and + " (" + text + ")"
	case p.lang.and:
		text = "(" + p.lang.yes + " " + p.lang.or + " (" + text + "))"
	case "+", "-":
		text = "0*(" + text + ")"
	case "..":
		text = "''"
	default:
		return "", fmt.Errorf("%s joins no terms", op)
	}
	return source[:term.from] + text + source[term.to:], nil
}

// Arg makes of the first call of min or max its argument n, from 1. If there is none, it does so with a call that is all of
// the value.
func Arg(n int) edit {
	return func(p *place) (string, error) {
		at, err := p.subject()
		if err != nil {
			return "", err
		}
		call, args := p.lang.clamp(p.source, at)
		if args == nil {
			call, args = at, p.lang.arguments(p.source, at)
		}
		if n < 1 || n > len(args) {
			return "", fmt.Errorf("there is no argument %d of a call: %s", n, at.in(p.source))
		}
		return p.put(call, "("+args[n-1].in(p.source)+")"), nil
	}
}

// Delete drops the line.
func Delete() edit { return func(p *place) (string, error) { return p.put(p.line, ""), nil } }

// Earlier moves the line before the last n above it that hold more than a comment.
func Earlier(n int) edit {
	return func(p *place) (string, error) {
		to := p.line.from
		for left := n; left > 0; {
			if to == 0 {
				return "", fmt.Errorf("no %d lines stand above", n)
			}
			begin := strings.LastIndexByte(p.source[:to-1], '\n') + 1
			if text := strings.TrimSpace(p.source[begin:to]); text != "" && !strings.HasPrefix(text, p.lang.comment) {
				left--
			}
			to = begin
		}
		return p.source[:to] + p.line.in(p.source) + "\n" + p.source[to:p.line.from] + p.source[p.line.to:], nil
	}
}

// Instead puts what the marker says in the place of the line.
func Instead() edit {
	return func(p *place) (string, error) {
		if p.note == "" {
			return "", errNoNote
		}
		return p.put(p.line, p.note), nil
	}
}

// First puts what the marker says before the line.
func First() edit {
	return func(p *place) (string, error) {
		if p.note == "" {
			return "", errNoNote
		}
		return p.put(span{p.line.from, p.line.from}, p.note+"\n"), nil
	}
}

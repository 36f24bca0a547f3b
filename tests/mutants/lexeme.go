package main

import (
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// language is what an edit must know of Go or Lua: both are read lexeme by lexeme, since an expression ends alike in both.
type language struct {
	comment    string
	or, and    string
	yes, no    string
	conditions map[string]string // a word before a condition, and what ends the condition
	ends       []string          // words that end a value on its line
	clamps     []string          // calls that choose among their arguments
}

var (
	golang = language{
		comment: "//", or: "||", and: "&&", yes: "true", no: "false",
		conditions: map[string]string{"if": "{", "for": "{", "case": ":"},
		clamps:     []string{"min", "max"},
	}
	lua = language{
		comment: "--", or: "or", and: "and", yes: "true", no: "false",
		conditions: map[string]string{"if": "then", "elseif": "then", "while": "do"},
		ends:       []string{"end", "then", "do", "else"},
		clamps:     []string{"min", "max"},
	}
)

func languageOf(file string) *language {
	if path.Ext(file) == ".lua" {
		return &lua
	}
	return &golang
}

// lexeme is a word, number, text or operator of a source, and where it lies in it. A line break is one too.
type lexeme struct {
	text     string
	from, to int
}

// operators of more than one letter, the longer first.
var operators = []string{
	"<<=", ">>=", "&^=", "...", "||", "&&", "==", "!=", "~=", "<=", ">=", ":=", "<-", "<<", ">>", "++", "--", "+=", "-=", "*=", "/=", "|=", "&=", "..",
}

// lexemes reads source from a place on. Comments and blanks are left out.
func (l *language) lexemes(source string, from int) (all []lexeme) {
	for at := from; at < len(source); {
		rest := source[at:]
		n := 1
		switch first, size := utf8.DecodeRuneInString(rest); {
		case first == '\n':
			all = append(all, lexeme{"\n", at, at + 1})
		case unicode.IsSpace(first):
		case strings.HasPrefix(rest, l.comment):
			n = len(rest)
			if end := strings.IndexByte(rest, '\n'); end >= 0 {
				n = end
			}
		case first == '"', first == '\'', first == '`':
			n = quoted(rest)
			all = append(all, lexeme{rest[:n], at, at + n})
		case isWord(first):
			n = wordLength(rest)
			all = append(all, lexeme{rest[:n], at, at + n})
		default:
			n = size
			if i := slices.IndexFunc(operators, func(o string) bool { return strings.HasPrefix(rest, o) }); i >= 0 {
				n = len(operators[i])
			}
			all = append(all, lexeme{rest[:n], at, at + n})
		}
		at += n
	}
	return all
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// wordLength is that of the word or number that s begins with.
func wordLength(s string) int {
	for i, r := range s {
		if !isWord(r) && (r != '.' || !unicode.IsDigit(rune(s[0])) || strings.HasPrefix(s[i:], "..")) {
			return i
		}
	}
	return len(s)
}

// quoted is the length of the text that s begins with.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] != '`':
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return len(s)
}

// span is a part of a source.
type span struct{ from, to int }

func (s span) in(source string) string { return source[s.from:s.to] }

// depth is how a lexeme moves the depth of brackets.
func (t lexeme) depth() int {
	switch t.text {
	case "(", "[", "{":
		return 1
	case ")", "]", "}":
		return -1
	default:
		return 0
	}
}

// subject finds what an edit of the line at from is about: the condition of an if, a loop or a case, else what is returned,
// assigned or put into a field first.
func (l *language) subject(source string, from int) (span, bool) {
	all := l.lexemes(source, from)
	for i, t := range all {
		switch end, condition := l.conditions[t.text]; {
		case t.text == "\n":
			return span{}, false
		case condition:
			return l.until(all[i+1:], end)
		case t.text == "return", t.text == "=", t.text == ":=", t.text == ":" && i == 1:
			return l.value(all[i+1:])
		}
	}
	return span{}, false
}

// until gives what stands before end, outside of brackets; of "if x := f(); x > 0 {" what stands behind the semicolon.
func (l *language) until(all []lexeme, end string) (span, bool) {
	depth, begin := 0, 0
	for i, t := range all {
		switch {
		case depth == 0 && t.text == end && i > begin:
			return span{all[begin].from, all[i-1].to}, true
		case depth == 0 && t.text == ";":
			begin = i + 1
		}
		depth += t.depth()
	}
	return span{}, false
}

// value gives an expression: it ends with its line, unless that ends in an operator or within brackets.
func (l *language) value(all []lexeme) (span, bool) {
	depth := 0
	for i, t := range all {
		more := i > 0 && l.goesOn(all[i-1].text) || i+1 < len(all) && l.joins(all[i+1].text)
		ends := t.text == "\n" && !more || t.text == "," || t.text == ";" || t.depth() < 0 || slices.Contains(l.ends, t.text)
		if depth == 0 && ends {
			if i == 0 {
				break
			}
			return span{all[0].from, all[i-1].to}, true
		}
		depth += t.depth()
	}
	return span{}, false
}

// items gives a value and those that follow it in a list, without the names of fields.
func (l *language) items(source string, first span) []span {
	found := []span{first}
	for next := first; ; found = append(found, next) {
		rest := l.lexemes(source, next.to)
		if len(rest) < 3 || rest[0].text != "," || rest[1].text == "\n" {
			return found
		}
		if rest = rest[1:]; rest[1].text == ":" {
			rest = rest[2:]
		}
		var ok bool
		if next, ok = l.value(rest); !ok {
			return found
		}
	}
}

// goesOn: no expression ends with this.
func (l *language) goesOn(text string) bool {
	return text == l.or || text == l.and || text == "+" || text == "-" || text == ".." || text == "not"
}

// joins: a line that begins with this goes on with the one before.
func (l *language) joins(text string) bool {
	return l == &lua && (text == l.or || text == l.and || text == "..")
}

// chain gives the terms of an expression and the operator before each but the first: of the operators that bind least. Of a
// call with one argument, such as a conversion, those of the argument.
func (l *language) chain(source string, expr span) (terms []span, ops []string) {
	for _, level := range [][]string{{l.or}, {l.and}, {"==", "!=", "~=", "<", "<=", ">", ">="}, {".."}, {"+", "-"}} {
		terms, ops = split(l.lexemes(source[:expr.to], expr.from), level)
		if len(terms) > 1 {
			return terms, ops
		}
	}
	if args := l.arguments(source, expr); len(args) == 1 {
		return l.chain(source, args[0])
	}
	return nil, nil
}

// arguments gives those of a call that is all of an expression, or what stands in brackets that are all of it.
func (l *language) arguments(source string, expr span) []span {
	all := l.lexemes(source[:expr.to], expr.from)
	open := slices.IndexFunc(all, func(t lexeme) bool { return t.text == "(" })
	if open < 0 || closing(all, open) != len(all)-1 || slices.ContainsFunc(all[:open], lexeme.operates) {
		return nil
	}
	args, _ := split(all[open+1:len(all)-1], []string{","})
	return args
}

// operates: the lexeme is not part of a name.
func (t lexeme) operates() bool {
	first, _ := utf8.DecodeRuneInString(t.text)
	return !isWord(first) && t.text != "."
}

// closing is the place of the bracket that closes the one at open, or len(all).
func closing(all []lexeme, open int) int {
	for i, depth := open, 0; i < len(all); i++ {
		if depth += all[i].depth(); depth == 0 {
			return i
		}
	}
	return len(all)
}

func split(all []lexeme, at []string) (terms []span, ops []string) {
	depth, begin := 0, 0
	for i, t := range all {
		if depth == 0 && i > begin && slices.Contains(at, t.text) {
			terms, ops = append(terms, span{all[begin].from, all[i-1].to}), append(ops, t.text)
			begin = i + 1
		}
		depth += t.depth()
	}
	if begin < len(all) {
		terms = append(terms, span{all[begin].from, all[len(all)-1].to})
	}
	return terms, ops
}

// clamp gives the first call of min or max in an expression, and its arguments.
func (l *language) clamp(source string, expr span) (call span, args []span) {
	all := l.lexemes(source[:expr.to], expr.from)
	for i, t := range all {
		if !slices.Contains(l.clamps, t.text) || i+1 == len(all) || all[i+1].text != "(" {
			continue
		}
		begin, last := t.from, closing(all, i+1)
		if i > 1 && all[i-1].text == "." { // math.min
			begin = all[i-2].from
		}
		if last < len(all) {
			args, _ = split(all[i+2:last], []string{","})
			return span{begin, all[last].to}, args
		}
	}
	return span{}, nil
}

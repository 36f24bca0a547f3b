package breaker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/commontrip/commontrip/store"
)

// DefaultErrorLabel names an error as [WithErrorLabel] says that it is done by default; nil has no name. It names a refusal, a
// retry or a tier's error to those who watch, as reports name failures.
func DefaultErrorLabel(err error) string { return new(config).labelOf(err) }

// labelOf names a failure's error by c's rules, in a form that every store takes.
func (c *config) labelOf(err error) (label string) {
	if err == nil {
		return ""
	}
	defer func() {
		if recover() != nil {
			label = ""
		}
	}()
	for _, known := range c.labels {
		if errors.Is(err, known.err) {
			return fit(known.label)
		}
	}
	if c.label != nil {
		return fit(c.label(err))
	}
	return fit(defaultLabel(err))
}

// sentinelLabel is what errors that are err are called.
type sentinelLabel struct {
	err   error
	label string
}

// defaultLabel tells what kind of error it is, and never its text, which may hold anything.
func defaultLabel(err error) string {
	var errno syscall.Errno
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, ErrPanic):
		return "panic"
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	if code, ok := codeOf(err); ok {
		return code
	}
	return typeOf(err)
}

// codeOf finds an HTTP or gRPC code, by the methods that errors of such calls have.
func codeOf(err error) (string, bool) {
	var status interface{ StatusCode() int }
	var httpStatus interface{ HTTPStatusCode() int }
	switch {
	case errors.As(err, &status):
		return strconv.Itoa(status.StatusCode()), true
	case errors.As(err, &httpStatus):
		return strconv.Itoa(httpStatus.HTTPStatusCode()), true
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if code, ok := grpcCode(e); ok {
			return code, true
		}
	}
	return "", false
}

// grpcCode asks for GRPCStatus().Code(), whose types are those of a library that this package does not import.
func grpcCode(err error) (string, bool) {
	method := reflect.ValueOf(err).MethodByName("GRPCStatus")
	if !method.IsValid() || method.Type().NumIn() != 0 || method.Type().NumOut() != 1 {
		return "", false
	}
	code := method.Call(nil)[0].MethodByName("Code")
	if !code.IsValid() || code.Type().NumIn() != 0 || code.Type().NumOut() != 1 {
		return "", false
	}
	return fmt.Sprint(code.Call(nil)[0]), true
}

// typeOf names the type of the error that the others wrap. Of several that are joined it is the first that is no refusal.
func typeOf(err error) string {
	for {
		inner := errors.Unwrap(err)
		if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 0 {
			inner = many.Unwrap()[max(slices.IndexFunc(many.Unwrap(), func(e error) bool { return !IsRefusal(e) }), 0)]
		}
		if inner == nil {
			break
		}
		err = inner
	}
	t := reflect.TypeOf(err)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() == "errors" || t.PkgPath() == "fmt" {
		return "unnamed error"
	}
	return fmt.Sprintf("%T", err)
}

// fit makes s a label: at most 64 bytes of UTF-8 without control or format characters.
func fit(s string) string {
	s = printable(s)
	if len(s) <= store.MaxLabel {
		return s
	}
	cut := store.MaxLabel
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

// printable replaces what is no UTF-8 and what could break or turn a line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

package guard

// refuser is the one shape of a refusal. A guard (a breaker, a bulkhead, a rate limiter, a health check's guard) that does not
// let a call through returns such an error: the tier was not asked, and the error says nothing about the tier. An error that
// says false was not refused, whatever it wraps.
type refuser interface{ Refused() bool }

// Refused reports whether err says that the tier was not asked. The outermost error that has the method decides, however deep it is
// wrapped. Of errors that are joined each must say so: one that does not tells that the tier was asked. An error that is one
// of the sentinels says so too.
func Refused(err error, sentinels ...error) bool {
	for err != nil {
		if says, known := word(err, sentinels); known {
			return says
		}
		switch e := err.(type) { //nolint:errorlint // this is the walk itself
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			return allRefused(e.Unwrap(), sentinels)
		default:
			return false
		}
	}
	return false
}

// allRefused reports whether there are errors, and each is a refusal.
func allRefused(errs, sentinels []error) (refused bool) {
	for _, err := range errs {
		if err == nil {
			continue
		}
		if !Refused(err, sentinels...) {
			return false
		}
		refused = true
	}
	return refused
}

// word is what err itself says, apart from what it wraps.
func word(err error, sentinels []error) (refused, known bool) {
	if r, ok := err.(refuser); ok { //nolint:errorlint // the walk looks at each error by itself
		return r.Refused(), true
	}
	if as, ok := err.(interface{ As(any) bool }); ok { //nolint:errorlint // the same
		var r interface{ Refused() bool }
		if as.As(&r) && r != nil {
			return r.Refused(), true
		}
	}
	is, _ := err.(interface{ Is(error) bool }) //nolint:errorlint // the same
	for _, s := range sentinels {
		if is != nil && is.Is(s) {
			return true, true
		}
	}
	return false, false
}

// MarkRefused makes err a refusal. errors.Is and errors.As see through it, and its text is err's. MarkRefused(nil) is nil.
func MarkRefused(err error) error {
	if err == nil {
		return nil
	}
	return &marked{err}
}

type marked struct{ error }

func (m *marked) Unwrap() error { return m.error }
func (m *marked) Refused() bool { return true }

// NewRefusal makes a sentinel that is a refusal.
func NewRefusal(text string) error { return &sentinel{text} }

type sentinel struct{ text string }

func (s *sentinel) Error() string { return s.text }
func (s *sentinel) Refused() bool { return true }

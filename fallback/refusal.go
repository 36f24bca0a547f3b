package fallback

import "github.com/commontrip/commontrip/internal/guard"

// Refused reports whether every tier was only skipped: then none of them was asked, and a guard around the chain learns
// nothing of them.
func (e *AllTiersFailedError) Refused() bool { return skipped(e.Attempts) }

// skipped reports whether there are attempts, and none of them reached its tier.
func skipped(attempts []Attempt) bool {
	for _, a := range attempts {
		if !a.Skipped {
			return false
		}
	}
	return len(attempts) > 0
}

// told is err, by which the chain ends early, as what all its attempts say together: a refusal if no tier was asked, else none.
func told(err error, attempts []Attempt) error {
	switch refused := skipped(attempts); {
	case refused == guard.Refused(err):
		return err
	case refused:
		return guard.MarkRefused(err)
	default:
		return &askedError{err}
	}
}

// askedError is a refusal of the last tier, after another tier had been asked.
type askedError struct{ error }

func (e *askedError) Unwrap() error { return e.error }
func (e *askedError) Refused() bool { return false }

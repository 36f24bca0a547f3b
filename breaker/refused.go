package breaker

// Refused is true: the tier was not asked. A retrier does not stand in line for a refusal.
func (e *OpenError) Refused() bool { return true }

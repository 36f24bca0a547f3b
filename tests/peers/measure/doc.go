// Package measure is what the tables are measured with: the processors' clocks, which tell how much of the machine others
// used meanwhile; samples with their spread; a histogram of latencies; and the flags that all tables share.
package measure

import "flag"

// Full makes tables of the size that the documentation holds; without it they are just large enough to show that they work.
var Full = flag.Bool("full", false, "measure as long as the figures of the documentation need")

// Pick gives what a table uses: quick, or full with -full.
func Pick[T any](quick, full T) T {
	if *Full {
		return full
	}
	return quick
}

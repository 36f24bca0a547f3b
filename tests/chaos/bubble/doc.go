// Package bubble holds the rows of the scoreboard that need nothing but this process: what users' functions may do to a
// breaker, what thousands of Managers leave behind, and how outcomes are cut into reports.
package bubble

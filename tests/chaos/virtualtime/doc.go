// Package virtualtime holds the scenarios of the scoreboard that need nothing but this process, in the
// virtual time of testing/synctest: what users' functions may do to a breaker, what thousands of Managers leave behind, and
// how outcomes are cut into reports.
package virtualtime

// Package linear checks that what clients see of one breaker on a real Redis is linearizable: that there is one order of
// all claims, settlements and commands, in which each takes effect between its call and its return, and which the rules
// of leases explain. A client that does not hear back knows nothing: its request may have had its effect at any later
// time, or never.
package linear

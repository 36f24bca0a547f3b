// Package topology plays what befalls the servers behind a fleet, on redis-server processes of this machine: clocks that
// jump, failovers that lose writes, Sentinels, two masters, a Cluster whose slots move, and networks that cut, lose and
// slow down what they carry.
package topology

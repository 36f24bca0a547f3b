// Package wire attacks what lies between a fleet and its Redis: the connections, the replies, the pushes, the data, and
// what another client with the same rights may send. The replicas are Managers of this process, each with a store, a
// client and a proxy of its own.
package wire

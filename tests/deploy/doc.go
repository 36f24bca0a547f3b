// Package deploy holds what lies in deploy to what this library does: the Redis users' rights, and the Prometheus rules.
// What needs a parser of queries is tested by the module in queries.
package deploy

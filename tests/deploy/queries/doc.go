// Package queries holds the rules, the board and the page of metrics in this tree to what a fleet exports: each query is
// parsed, and each metric, label and value in it must be there. It is a module of its own, so that the parser of queries
// and OpenTelemetry are no dependency of the library.
package queries

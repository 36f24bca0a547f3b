// Package docs holds the documents to what they say: every block of Go compiles, tests in them run, links lead
// somewhere, and commands, flags, variables, metrics, names, laws and tests exist; each law has its line in docs/machine.md,
// and the picture in docs/architecture.md is that of the imports. Its benchmarks measure what docs/operations.md
// tells about the size of a Redis.
package docs

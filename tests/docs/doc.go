// Package docs holds the documents to what they say: every block of Go compiles, tests in them run, links lead
// somewhere, and commands, flags, variables, metrics and names exist. Its benchmarks measure what docs/operations.md
// tells about the size of a Redis.
package docs

// Package peers benches commontrip side by side with the libraries that people would pick instead. It is a module of its
// own, so that nobody who uses commontrip inherits their dependencies.
//
//	go test -bench=. -count=6
//
// Compare lines of one run only: the machine that runs it is part of every figure.
package peers

// Package peers holds what commontrip costs and saves, side by side with what people would pick instead. It is a module of
// its own, so that nobody who uses commontrip inherits the dependencies.
//
//	go test -p 1 -count=1 -v -run TestTable -timeout 60m ./inprocess ./shared ./scale -args -full -write
//
// prints the tables, and writes them into docs/performance.md: package inprocess the hot path, package shared a fleet on
// one Redis, package scale many breakers and many replicas. Without -full they are just large enough to show that they
// work. Compare lines of one table only: the machine that runs it is part of every figure.
package peers

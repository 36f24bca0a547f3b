module github.com/commontrip/commontrip/failsafeguard

go 1.26.0

replace github.com/commontrip/commontrip => ..

require (
	github.com/commontrip/commontrip v0.0.0-00010101000000-000000000000
	github.com/failsafe-go/failsafe-go v0.9.8
)

require (
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/influxdata/tdigest v0.0.1 // indirect
)

package memorystore

import "github.com/commontrip/commontrip/store"

// "memory:", and the empty URL, are a store of this process alone.
func init() {
	store.Register("memory", func(string, store.OpenConfig) (store.Store, error) { return New(), nil })
}

package postgresstore

import "github.com/commontrip/commontrip/store"

// The schemes of PostgreSQL's URLs; see [Open] for what they may hold.
func init() {
	for _, scheme := range []string{"postgres", "postgresql"} {
		store.Register(scheme, openRegistered)
	}
}

// openRegistered is [Open] for store.OpenURL.
func openRegistered(url string, c store.OpenConfig) (store.Store, error) {
	var opts []Option
	if c.Prefix != "" {
		opts = append(opts, WithPrefix(c.Prefix))
	}
	if c.Timeout != 0 {
		opts = append(opts, WithTimeout(c.Timeout))
	}
	s, err := Open(url, opts...)
	if err != nil {
		return nil, err // not s, which would be a nil pointer in a Store
	}
	return s, nil
}

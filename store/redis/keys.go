package redisstore

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Every key and channel of a name space is spelled here:
//
//	<prefix>:{<name>}  hash  one breaker; its layout is told in scripts/lua/schema.lua
//	<prefix>:names     set   names that Read of all looks for: a hint, never a truth
//	<prefix>:removed:{<name>}  hash  who removed a breaker, and why, for a day
//	<prefix>:events    channel
//
// The name is the hash tag, so that a breaker is one slot of a Cluster whatever its prefix; braces and percent signs in
// it are percent-encoded, so that it cannot end its tag.

const (
	defaultPrefix = "commontrip"
	maxPrefix     = 100
)

var (
	escape   = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")
	unescape = strings.NewReplacer("%25", "%", "%7B", "{", "%7D", "}")
)

// keys spells the keys of one name space.
type keys struct{ prefix string }

func (k keys) breaker(name string) string { return k.prefix + ":{" + escape.Replace(name) + "}" }
func (k keys) names() string              { return k.prefix + ":names" }
func (k keys) removed(name string) string {
	return k.prefix + ":removed:{" + escape.Replace(name) + "}"
}
func (k keys) events() string { return k.prefix + ":events" }

// name is the inverse of breaker; false for a key that breaker never makes.
func (k keys) name(key string) (string, bool) {
	tag, ok := strings.CutPrefix(key, k.prefix+":{")
	if !ok {
		return "", false
	}
	if tag, ok = strings.CutSuffix(tag, "}"); !ok {
		return "", false
	}
	name := unescape.Replace(tag)
	return name, escape.Replace(name) == tag
}

// checkPrefix refuses a prefix that could end a hash tag, that nobody can read, or that a file of settings left its quotes on.
func checkPrefix(prefix string) error {
	const want = "1..100 bytes of UTF-8 without braces, quotes, blanks and control characters"
	bad := func(r rune) bool {
		return strings.ContainsRune("{}\"'", r) || !unicode.IsPrint(r) || unicode.IsSpace(r)
	}
	if prefix == "" || len(prefix) > maxPrefix || !utf8.ValidString(prefix) || strings.ContainsFunc(prefix, bad) {
		return fmt.Errorf("redisstore: prefix is %.120q; want %s", prefix, want)
	}
	return nil
}

package redisstore

import (
	"strings"
	"testing"

	"github.com/commontrip/commontrip/store"
)

func TestAKeyIsOneTagOfThePrefixAndTheName(t *testing.T) {
	k := keys{"payments-prod"}
	for name, want := range map[string]string{
		"users-api":  "payments-prod:{users-api}",
		"a b":        "payments-prod:{a b}",
		"{a}{b}":     "payments-prod:{%7Ba%7D%7Bb%7D}",
		"}{":         "payments-prod:{%7D%7B}",
		"100%":       "payments-prod:{100%25}",
		"%7B":        "payments-prod:{%257B}",
		"http:[::1]": "payments-prod:{http:[::1]}",
	} {
		key := k.breaker(name)
		if key != want {
			t.Errorf("%q has the key %q; want %q", name, key, want)
		}
		if back, ok := k.name(key); !ok || back != name {
			t.Errorf("%q comes back as %q, %v", name, back, ok)
		}
	}
}

func TestAKeyThatIsNoneOfOursHasNoName(t *testing.T) {
	k := keys{"p"}
	for _, key := range []string{"", "p:", "p:names", "p:events", "q:{a}", "p:{a", "p:a}", "p:{%7b}", "p:{%}", "p:{a}b}", "p:{a{b}"} {
		if name, ok := k.name(key); ok {
			t.Errorf("%q has the name %q", key, name)
		}
	}
}

func TestSlotsAreThoseOfACluster(t *testing.T) {
	for key, want := range map[string]int{
		"123456789": 0x31c3, "foo": 12182, "p:{foo}": 12182, "{foo}.{bar}": 12182, "": 0, "foo{}{bar}": slotOf("foo{}{bar}"),
	} {
		if got := slotOf(key); got != want {
			t.Errorf("slot of %q is %d; want %d", key, got, want)
		}
	}
}

func TestABadPrefixIsRefusedWithTheRange(t *testing.T) {
	for _, prefix := range []string{"", "{a}", "a{", "a}", "a b", "a\n", "a\x00", "a\u0085", "\xff", `"a"`, "'a'", "it's", strings.Repeat("x", 101)} {
		_, err := newSettings([]Option{WithPrefix(prefix)})
		if err == nil || !strings.Contains(err.Error(), "want 1..100 bytes") {
			t.Errorf("prefix %q: %v; want a refusal with the range", prefix, err)
		}
	}
	for _, prefix := range []string{"a", "a:b", "équipe", strings.Repeat("x", 100)} {
		if _, err := newSettings([]Option{WithPrefix(prefix)}); err != nil {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

// FuzzKey: no name leaves its slot, and every name comes back.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"a", "}{", "{}", "%", "%25", "%7D", "a}b{c", "\xff", "é", strings.Repeat("}", 200)} {
		f.Add("commontrip", s)
	}
	f.Fuzz(func(t *testing.T, prefix, name string) {
		if checkPrefix(prefix) != nil || store.ValidateName(name) != nil {
			return
		}
		k := keys{prefix}
		key := k.breaker(name)
		if back, ok := k.name(key); !ok || back != name {
			t.Fatalf("%q has the key %q, which comes back as %q, %v", name, key, back, ok)
		}
		if strings.Count(key, "{") != 1 || strings.Count(key, "}") != 1 {
			t.Fatalf("%q has more than one tag in its key %q", name, key)
		}
		if other := (keys{"another"}).breaker(name); slotOf(other) != slotOf(key) {
			t.Fatalf("%q lies in slot %d or %d, by its prefix", name, slotOf(key), slotOf(other))
		}
		if key == k.names() || key == k.events() {
			t.Fatalf("%q has the key of something else", name)
		}
	})
}

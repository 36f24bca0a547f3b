package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/commontrip/commontrip/store"
)

func ExamplePolicy_Validate() {
	p := store.Policy{FailureRate: 0.5, OpenFor: time.Minute, OpenForMax: time.Second}
	var bad *store.PolicyError
	if errors.As(p.Validate(), &bad) {
		fmt.Println(bad.Field)
		fmt.Println(bad)
	}
	// Output:
	// OpenForMax
	// policy: OpenForMax is 1s; want 1m0s..24h (from OpenFor on), or 0 for OpenFor
}

func ExamplePolicy_WithDefaults() {
	p := store.Policy{FailureRate: 1.0 / 3, OpenFor: 1500 * time.Microsecond}.WithDefaults()
	fmt.Println(p.FailureRate, p.OpenFor, p.WindowCalls, p.MinCalls, p.Probes)
	// Output: 0.3333 2ms 100 10 3
}

func ExamplePolicy_HasRule() {
	fmt.Println(store.Policy{OpenFor: time.Second}.HasRule(), store.Policy{FailureRate: 0.5}.HasRule())
	// Output: false true
}

func ExampleValidateName() {
	fmt.Println(store.ValidateName("card-network {eu}"))
	fmt.Println(store.ValidateName("card\nnetwork"))
	// Output:
	// <nil>
	// invalid request: bad name: "card\nnetwork" contains U+000A; want no control, format or line-separating characters
}

func ExampleSnapshot_Effective() {
	s := store.Snapshot{State: store.Open}
	fmt.Println(s.Effective())
	s.Mode = store.ForcedClosed
	fmt.Println(s.Effective())
	// Output:
	// open
	// closed
}

func ExampleCommand() {
	var c store.Command
	err := json.Unmarshal([]byte(`{"name":"card-network","action":"force-open","for_ms":1800000,"by":"oncall","why":"INC-42"}`), &c)
	fmt.Println(c.Action, c.For, err)
	err = json.Unmarshal([]byte(`{"name":"card-network","action":"force-open","for":"30m","by":"oncall"}`), &c)
	fmt.Println(errors.Is(err, store.ErrInvalid))
	// Output:
	// force-open 30m0s <nil>
	// true
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func Example() {
	dir, err := os.MkdirTemp("", "table")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "chaos.jsonl")
	lines := `{"scenario":21,"name":"push dead only","profile":"quick","seed":7,"took":"2s","held":false,"numbers":[{"name":"told twice","value":1,"bar":"0","held":false}]}
{"scenario":7,"name":"kill -9 of Redis","profile":"full","seed":1,"took":"9s","held":true,"numbers":[{"name":"errors","value":0,"bar":"0","held":true},{"name":"largest delay","value":"3ms","bar":"<= 100ms","held":true},{"name":"calls","value":12,"held":true}]}
`
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		panic(err)
	}
	if err := show(path, os.Stdout); err != nil {
		panic(err)
	}
	// Output:
	// held    scenario  7  kill -9 of Redis (9s, full, SEED=1)
	//                 largest delay: 3ms, wanted <= 100ms
	//                 1 counts as they must be
	// FAILED  scenario 21  push dead only (2s, quick, SEED=7)
	//                 ! told twice: 1, wanted 0
	//                 0 counts as they must be
	// 1 of 2 scenarios held
}

func TestALineThatIsCutIsSaid(t *testing.T) {
	if _, err := read(strings.NewReader("{\"scenario\":1}\n{\"scenario\":")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("half a line gives %v", err)
	}
}

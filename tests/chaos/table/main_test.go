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
	lines := `{"row":21,"name":"push dead only","profile":"quick","seed":7,"took":"2s","held":false,"numbers":[{"name":"told twice","value":1,"bar":"0","held":false}]}
{"row":7,"name":"kill -9 of Redis","profile":"full","seed":1,"took":"9s","held":true,"numbers":[{"name":"errors","value":0,"bar":"0","held":true},{"name":"largest delay","value":"3ms","bar":"<= 100ms","held":true},{"name":"calls","value":12,"held":true}]}
`
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		panic(err)
	}
	if err := show(path, os.Stdout); err != nil {
		panic(err)
	}
	// Output:
	// held    row  7  kill -9 of Redis (9s, full, SEED=1)
	//                 largest delay: 3ms, wanted <= 100ms
	//                 1 counts as they must be
	// FAILED  row 21  push dead only (2s, quick, SEED=7)
	//                 ! told twice: 1, wanted 0
	//                 0 counts as they must be
	// 1 of 2 rows held
}

func TestALineThatIsCutIsSaid(t *testing.T) {
	if _, err := read(strings.NewReader("{\"row\":1}\n{\"row\":")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("half a line gives %v", err)
	}
}

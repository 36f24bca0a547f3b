package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// bench is where mutants are tried. No file of the tree is touched: go test -overlay shows the compiler another text, and
// a test binary that reads its scripts from a folder needs no compiler for Lua.
type bench struct {
	root  string // the folder of go.mod
	dir   string // for what is written
	redis string // the test binary of the Redis store, once it is built
}

func newBench(ctx context.Context) (*bench, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return nil, err
	}
	return &bench{root: root, dir: dir}, nil
}

func (b *bench) close() error { return os.RemoveAll(b.dir) }

func (b *bench) path(file string) string { return filepath.Join(b.root, filepath.FromSlash(file)) }

// goTest gives the commands that run suites with text in the place of a file.
func (b *bench) goTest(ctx context.Context, file, text string) (func(suite) *exec.Cmd, error) {
	overlay, err := b.overlay(file, text)
	return func(s suite) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-vet=off", "-ldflags=-s -w",
			"-count=1", "-failfast", "-timeout=10m", "-run", s.run, s.pkg) // no -short: a mutant meets every test
		cmd.Dir = b.root
		return cmd
	}, err
}

// overlay writes what go test -overlay takes.
func (b *bench) overlay(file, text string) (path string, err error) {
	mutated, path := filepath.Join(b.dir, "mutated.go"), filepath.Join(b.dir, "overlay.json")
	spec, err := json.Marshal(map[string]map[string]string{"Replace": {b.path(file): mutated}})
	if err != nil {
		return "", err
	}
	return path, errors.Join(os.WriteFile(mutated, []byte(text), 0o600), os.WriteFile(path, spec, 0o600))
}

// luaTest gives the commands that run suites of the Redis store with text in the place of a script.
func (b *bench) luaTest(ctx context.Context, file, text string) (func(suite) *exec.Cmd, error) {
	if err := b.buildRedis(ctx); err != nil {
		return nil, err
	}
	scripts := filepath.Join(b.dir, "lua")
	if err := os.RemoveAll(scripts); err != nil {
		return nil, err
	}
	if err := os.CopyFS(scripts, os.DirFS(b.path("scripts/lua"))); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(scripts, filepath.Base(file)), []byte(text), 0o600); err != nil {
		return nil, err
	}
	return func(s suite) *exec.Cmd {
		cmd := exec.CommandContext(ctx, b.redis, "-test.failfast", "-test.timeout=10m", "-test.run", s.run)
		cmd.Dir = b.path("store/redis")
		cmd.Env = append(os.Environ(), scriptsFrom+"="+scripts)
		return cmd
	}, nil
}

// scriptsFrom names the folder that the test binary reads its scripts from.
const scriptsFrom = "MUTANTS_LUA"

var embedded = regexp.MustCompile(`//go:embed (\w+\.lua)\nvar (\w+) string`)

// buildRedis builds the test binary of the Redis store, whose scripts are read, not embedded.
func (b *bench) buildRedis(ctx context.Context) error {
	if b.redis != "" {
		return nil
	}
	source, err := os.ReadFile(b.path("scripts/lua/lua.go"))
	if err != nil {
		return err
	}
	text := embedded.ReplaceAllString(string(source), `var $2 = script("$1")`)
	text = strings.Replace(text, `_ "embed" // the scripts`, `"os"`, 1) + fmt.Sprintf(`
func script(file string) string {
	text, err := os.ReadFile(os.Getenv(%q) + "/" + file)
	if err != nil {
		panic(err)
	}
	return string(text)
}
`, scriptsFrom)
	overlay, err := b.overlay("scripts/lua/lua.go", text)
	if err != nil {
		return err
	}
	binary := filepath.Join(b.dir, "redis.test")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", binary, "./store/redis")
	cmd.Dir = b.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the tests of the Redis store: %w: %s", err, out)
	}
	b.redis = binary
	return nil
}

// moduleRoot is the folder of go.mod.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if filepath.Base(mod) != "go.mod" {
		return "", errors.New("not inside the module")
	}
	return filepath.Dir(mod), nil
}

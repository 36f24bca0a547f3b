package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/commontrip/commontrip/internal/envvalue"
)

// setting is a value and what it came from.
type setting struct{ value, from string }

// urlForms are the URLs of the stores that a fleet can share.
const urlForms = "redis://, rediss://, unix:// or postgres://"

// settings say which store is meant, and who speaks.
type settings struct {
	url, prefix, by setting
	file            string // that was read; "" = none
}

// String never shows the password of the URL.
func (s settings) String() string {
	return fmt.Sprintf("store %s (%s), prefix %s (%s)", shownURL(s.url.value), s.url.from, quote(s.prefix.value), s.prefix.from)
}

// serviceNames are the variables by which a service (package config) reads the same settings.
var serviceNames = map[string]string{"url": "CIRCUIT_BREAKER_STORE_URL", "prefix": "CIRCUIT_BREAKER_STORE_PREFIX"}

// settings looks into flags, environment and file, in this order; in the environment first for the names of its own.
func (a *app) settings() (settings, error) {
	for _, url := range []string{a.flags.url, a.env("COMMONTRIP_URL"), a.env(serviceNames["url"])} {
		a.keep(url)
	}
	if t := a.flags.timeout; t < time.Millisecond || t > time.Minute {
		return settings{}, misuse("--timeout is %v; want 1ms..1m", t)
	}
	path, file, err := a.readConfig()
	if err != nil {
		return settings{}, err
	}
	a.keep(file["url"])
	var bad error
	pick := func(key, flag string) setting {
		for _, s := range []setting{
			{flag, "--" + key},
			{a.env("COMMONTRIP_" + strings.ToUpper(key)), "COMMONTRIP_" + strings.ToUpper(key)},
			{a.env(serviceNames[key]), serviceNames[key]},
			{file[key], path},
		} {
			value, err := envvalue.Clean(s.value)
			if err != nil && bad == nil {
				bad = misuse("%s: want %w", s.from, err) // the value may hold the password
			}
			if value != "" {
				a.keep(value)
				return setting{value, s.from}
			}
		}
		return setting{}
	}
	s := settings{url: pick("url", a.flags.url), prefix: pick("prefix", a.flags.prefix), by: pick("by", ""), file: path}
	if bad != nil {
		return settings{}, bad
	}
	if s.url.value == "" {
		return settings{}, misuse("which store? Give --url (such as redis://host:6379 or postgres://host/database), COMMONTRIP_URL, CIRCUIT_BREAKER_STORE_URL, or a line \"url = ...\" in %s", quote(a.configPath()))
	}
	if s.prefix.value == "" {
		s.prefix = setting{"commontrip", "the default"}
	}
	return s, nil
}

// configPath is where the file is looked for; "" if there is no home.
func (a *app) configPath() string {
	if a.flags.config != "" {
		return a.flags.config
	}
	dir := a.env("XDG_CONFIG_HOME")
	if dir == "" {
		home := a.env("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "commontrip", "config")
}

var configKeys = []string{"url", "prefix", "by"}

// readConfig reads the file: "key = value" lines, # begins a comment line. One that was not asked for may be missing.
func (a *app) readConfig() (string, map[string]string, error) {
	path := a.configPath()
	if path == "" {
		return "", nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && a.flags.config == "" {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, usageError{err}
	}
	defer f.Close()
	values := map[string]string{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if key = strings.TrimSpace(key); !ok || !slices.Contains(configKeys, key) {
			return "", nil, misuse("%s, line %d: want \"key = value\" with a key of %v", quote(path), n, configKeys) // the line may hold the password
		}
		values[key] = strings.TrimSpace(value)
	}
	if err := lines.Err(); err != nil {
		return "", nil, usageError{fmt.Errorf("%s: %w", quote(path), err)}
	}
	return path, values, nil
}

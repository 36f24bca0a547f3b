package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// A marker is a comment of its own line, above the line where mutants are made:
//
//	// mutant: rate-at
//	return rate > 0 && n*10_000 >= int64(rate)*calls
//
// The id names the place, not the bug, and is the only one in its folder. If an edit needs names, they stand behind the
// id, so that who renames sees them:
//
//	-- mutant: lifetime = return longest
var markerLine = regexp.MustCompile(`(?m)^[\t ]*(?://|--) mutant: ([a-z0-9-]+)(?: = (.+))?$`)

// looksLikeMarker finds what is meant as one.
var looksLikeMarker = regexp.MustCompile(`(?m)^.*(?://|--) ?mutants?:.*$`)

var errNoNote = errors.New("its marker says nothing behind its id")

// marker is one, and where it stands.
type marker struct {
	file string // of the module
	place
}

// markers are those of a tree: folder, then id.
type markers map[string]map[string]marker

// findMarkers reads the Go and Lua files of the module but its tests.
func findMarkers(root fs.FS) (markers, error) {
	all := markers{}
	err := fs.WalkDir(root, ".", func(file string, entry fs.DirEntry, err error) error {
		ours := path.Ext(file) == ".go" && !strings.HasSuffix(file, "_test.go") || path.Ext(file) == ".lua"
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && (name[0] == '.' || name == "bin" || file == "tests"):
			return fs.SkipDir
		case entry.IsDir() || !ours:
			return nil
		}
		source, err := fs.ReadFile(root, file)
		if err != nil {
			return err
		}
		return all.read(file, string(source))
	})
	return all, err
}

// read adds the markers of one file.
func (all markers) read(file, source string) error {
	found := markerLine.FindAllStringSubmatchIndex(source, -1)
	if meant := looksLikeMarker.FindAllString(source, -1); len(meant) != len(found) {
		return fmt.Errorf("%s: %d of %d lines that look like markers are none: %q", file, len(meant)-len(found), len(meant), meant)
	}
	folder := path.Dir(file)
	if all[folder] == nil {
		all[folder] = map[string]marker{}
	}
	lang := languageOf(file)
	for _, at := range found {
		id, note := source[at[2]:at[3]], ""
		if at[4] >= 0 {
			note = source[at[4]:at[5]]
		}
		line, ok := lang.lineAfter(source, at[1])
		if !ok {
			return fmt.Errorf("%s: nothing follows the marker %s", file, id)
		}
		if other, twice := all[folder][id]; twice {
			return fmt.Errorf("%s: the marker %s stands in %s already", file, id, other.file)
		}
		all[folder][id] = marker{file, place{lang: lang, source: source, line: line, note: note}}
	}
	return nil
}

// lineAfter gives the first line from a place on that holds more than a comment.
func (l *language) lineAfter(source string, at int) (span, bool) {
	for at < len(source) {
		begin := at
		end := strings.IndexByte(source[at:], '\n')
		if end < 0 {
			end = len(source) - at
		}
		at += end + 1
		text := strings.TrimSpace(source[begin : begin+end])
		if text != "" && !strings.HasPrefix(text, l.comment) {
			return span{begin, begin + end}, true
		}
	}
	return span{}, false
}

// mark is a mutant at a marker.
type mark struct {
	name string // what it does wrong
	at   string // the marker's id
	edit edit
	law  string
}

// marked makes a mutant of each mark of a folder. What does not fit is an error, and so is a marker that is not used.
func (all markers) marked(folder string, marks []mark, suites func(law string) (suite, []suite)) (made []mutant, errs []error) {
	used := map[string]bool{}
	for _, m := range marks {
		found, ok := all[folder][m.at]
		used[m.at] = true
		if !ok {
			errs = append(errs, fmt.Errorf("%s: no marker %s in %s", m.name, m.at, folder))
			continue
		}
		text, err := m.edit(&found.place)
		if err == nil && text == found.source {
			err = errors.New("it changes nothing")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: marker %s: %w", m.name, found.file, m.at, err))
			continue
		}
		law, others := suites(m.law)
		made = append(made, mutant{name: m.name, file: found.file, mutated: text, law: law, others: others})
	}
	for id, found := range all[folder] {
		if !used[id] {
			errs = append(errs, fmt.Errorf("%s: no mutant is at the marker %s", found.file, id))
		}
	}
	delete(all, folder)
	return made, errs
}

// unclaimed are errors for markers in folders that no table is about.
func (all markers) unclaimed() (errs []error) {
	for folder, ids := range all {
		for id := range ids {
			errs = append(errs, fmt.Errorf("%s: no table is about this folder; it has the marker %s", folder, id))
		}
	}
	return errs
}

// findAll reads the module on the disk.
func findAll(root string) (markers, error) { return findMarkers(os.DirFS(filepath.Clean(root))) }

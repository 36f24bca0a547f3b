// Package lua holds the scripts that carry out a breaker's state machine inside Redis.
//
// Each script is one file of this directory and one Redis script; its header is its signature: KEYS with their shapes,
// ARGV with their units, every reply. What several scripts share lies in part files, which hold local functions only and
// are put in front of a script in a fixed order, so that each script is one self-contained chunk:
//
//	fast_path   a report that changes nothing but numbers
//	time        machine time
//	schema      how a breaker lies in its hash; reading and checking it
//	policy      the policy in force
//	window      the window and the streak
//	labels      the labels of failures
//	totals      what was ever reported
//	transition  transitions, ends, and their entries in the history
//	probes      failed probes and bans
//	repair      what a replica knows against what the store holds
//	tombstone   a name that was removed
//	save        writing, pushing, the reply
//	roster      the replicas that report
//	judge       the rules
//	outcomes    what a report adds
//
// The numbers that Go and Lua share are spelled in Go and put in front of the first part that names them (constants.go).
//
// The machine in Go is told in files and functions of the same names and in the same order (internal/machine), so that
// whoever changes a law opens two files of one name. A test compares the names.
//
// Most reports change nothing but numbers. The chunk of sync looks at that first (fast_path) and ends there if it can,
// before any function of the other parts is made: making them takes as long as the work of such a report. What follows in
// the chunk is the full path.
//
// The scripts use what Redis 6.2 and later, Valkey and miniredis have in common, set no global, and write nothing before
// every check has passed: then one HSET, one HDEL if the roster is swept, the time to live, and last the push. A
// PUBLISH that the server denies is told in the reply and is not an error.
//
// The package is a leaf of its own since go:embed cannot reach above its directory.
package lua

import (
	"crypto/sha1"
	_ "embed" // the scripts
	"encoding/hex"
	"slices"
	"strings"
)

//go:embed fast_path.lua
var fastPathPart string

//go:embed time.lua
var timePart string

//go:embed schema.lua
var schemaPart string

//go:embed policy.lua
var policyPart string

//go:embed window.lua
var windowPart string

//go:embed labels.lua
var labelsPart string

//go:embed totals.lua
var totalsPart string

//go:embed transition.lua
var transitionPart string

//go:embed probes.lua
var probesPart string

//go:embed repair.lua
var repairPart string

//go:embed tombstone.lua
var tombstonePart string

//go:embed save.lua
var savePart string

//go:embed roster.lua
var rosterPart string

//go:embed judge.lua
var judgePart string

//go:embed outcomes.lua
var outcomesPart string

//go:embed sync.lua
var syncBody string

//go:embed claim.lua
var claimBody string

//go:embed settle.lua
var settleBody string

//go:embed command.lua
var commandBody string

//go:embed remove.lua
var removeBody string

//go:embed read.lua
var readBody string

// Script is one Redis script.
type Script struct {
	Name   string
	Source string // parts and body, for EVAL
	SHA    string // of Source, in hex, for EVALSHA
	Body   string // the script's own file
}

// The scripts.
var (
	Sync    = newScript("sync", syncBody, append([]string{fastPathPart}, syncParts...)...)
	Claim   = newScript("claim", claimBody, append(commonParts, probesPart, repairPart, tombstonePart, savePart)...)
	Settle  = newScript("settle", settleBody, append(commonParts, probesPart, savePart)...)
	Command = newScript("command", commandBody, append(commonParts, repairPart, savePart)...)
	Remove  = newScript("remove", removeBody, append(commonParts, savePart)...)
	Read    = newScript("read", readBody)
)

var (
	// commonParts are what every script needs that changes a breaker.
	commonParts = slices.Clip([]string{timePart, schemaPart, policyPart, windowPart, labelsPart, totalsPart, transitionPart})

	// syncParts are the full path of a report.
	syncParts = append(commonParts, repairPart, tombstonePart, savePart, rosterPart, judgePart, outcomesPart)
)

// All lists the scripts.
func All() []*Script { return []*Script{Sync, Claim, Settle, Command, Remove, Read} }

// FullSync is Sync without its fast path, so that a test can compare the two.
func FullSync() *Script {
	return newScript("sync", syncBody, append([]string{"local read, now"}, syncParts...)...)
}

// newScript puts parts and body one after another.
func newScript(name, body string, parts ...string) *Script {
	source := strip(strings.Join(withConstants(append(parts, body)), "\n"))
	sum := sha1.Sum([]byte(source))
	return &Script{Name: name, Source: source, SHA: hex.EncodeToString(sum[:]), Body: body}
}

// strip drops comment lines and indentation, since a script is sent whole if a server does not know it.
func strip(source string) string {
	var out strings.Builder
	for line := range strings.Lines(source) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
			out.WriteString(line)
			out.WriteByte('\n')
		}
	}
	return out.String()
}

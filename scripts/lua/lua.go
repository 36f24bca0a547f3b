// Package lua holds the scripts that carry out a breaker's state machine inside Redis.
//
// Each script is one file of this directory and one Redis script; its header is its signature: KEYS with their shapes,
// ARGV with their units, every reply. What several scripts share lies in part files, which hold local functions only and
// are put in front of a script in a fixed order, so that each script is one self-contained chunk:
//
//	schema     how a breaker lies in its hash; reading and checking it
//	policy     the policy in force
//	window     window, streak, labels, and whose outcomes they are
//	change     transitions, ends, history
//	probes     failed probes and bans
//	repair     what a replica knows against what the store holds
//	roster     who reports
//	save       writing, pushing, the reply
//	outcomes   window and judgement
//
// A report is most of what a fleet sends, and most reports change nothing but numbers. Their script has a short way for
// those (quick.lua), behind which all of the above stands as one function that is seldom called.
//
// The scripts use what Redis 6.2 and later, Valkey and miniredis have in common, set no global, and write nothing before
// every check has passed: then one HSET, one HDEL where the roster is swept, the time to live, and last the push. A
// PUBLISH that the server denies is told in the reply and is no error.
//
// The package is a leaf of its own since go:embed cannot reach above its directory.
package lua

import (
	"crypto/sha1"
	_ "embed" // the scripts
	"encoding/hex"
	"strings"
)

//go:embed schema.lua
var schemaPart string

//go:embed policy.lua
var policyPart string

//go:embed window.lua
var windowPart string

//go:embed change.lua
var changePart string

//go:embed probes.lua
var probesPart string

//go:embed repair.lua
var repairPart string

//go:embed roster.lua
var rosterPart string

//go:embed save.lua
var savePart string

//go:embed outcomes.lua
var outcomesPart string

//go:embed sync.lua
var syncBody string

//go:embed quick.lua
var quickPart string

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
	Sync    = withQuick(newScript("sync", syncBody, schemaPart, policyPart, windowPart, changePart, repairPart, rosterPart, savePart, outcomesPart))
	Claim   = newScript("claim", claimBody, schemaPart, policyPart, windowPart, changePart, probesPart, repairPart, savePart)
	Settle  = newScript("settle", settleBody, schemaPart, policyPart, windowPart, changePart, probesPart, savePart)
	Command = newScript("command", commandBody, schemaPart, policyPart, windowPart, changePart, savePart)
	Remove  = newScript("remove", removeBody, schemaPart, policyPart, windowPart, changePart, savePart)
	Read    = newScript("read", readBody)
)

// All lists the scripts.
func All() []*Script { return []*Script{Sync, Claim, Settle, Command, Remove, Read} }

func newScript(name, body string, parts ...string) *Script {
	return scriptOf(name, body, strip(strings.Join(append(parts, body), "\n")))
}

// withQuick makes a script the function whole(read, now) and puts the short way behind it, which has read the hash and the
// clock where it calls whole with them.
func withQuick(s *Script) *Script {
	return scriptOf(s.Name, s.Body, "local function whole(read, now)\n"+s.Source+"end\n"+strip(quickPart))
}

func scriptOf(name, body, source string) *Script {
	sum := sha1.Sum([]byte(source))
	return &Script{Name: name, Source: source, SHA: hex.EncodeToString(sum[:]), Body: body}
}

// strip drops comment lines and indentation: a script is sent whole whenever a server does not know it.
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

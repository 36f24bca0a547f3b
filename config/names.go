package config

import (
	"slices"
	"strings"
)

// ownPrefix begins the variables of single breakers.
const ownPrefix = "CIRCUIT_BREAKER__"

// ours reports whether a name has one of our prefixes.
func ours(name string) bool {
	return slices.ContainsFunc([]string{"CIRCUIT_BREAKER_", "RETRY_", "MAX_RETRY_", "HEALTH_CHECK_"}, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}

// envName is a breaker's name as it stands in variables: ASCII letters in upper case, digits, and "_" for anything else.
func envName(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z':
			return c - 'a' + 'A'
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			return c
		}
		return '_'
	}, name)
}

// splitOwn takes CIRCUIT_BREAKER__NAME__FIELD apart. A name may hold "__" itself, a field never does.
func splitOwn(variable string) (name, field string, ok bool) {
	rest, ok := strings.CutPrefix(variable, ownPrefix)
	i := strings.LastIndex(rest, "__")
	if !ok || i <= 0 {
		return "", "", false
	}
	return rest[:i], rest[i+2:], true
}

// fieldName is the variable that is named for the same field, a breaker's own included; false if there is none.
func fieldName(variable string) (string, bool) {
	if name, field, ok := splitOwn(variable); ok {
		row, ok := rows["CIRCUIT_BREAKER_"+field]
		return ownPrefix + name + "__" + strings.TrimPrefix(row.key, "CIRCUIT_BREAKER_"), ok && row.own && envName(name) == name
	}
	row, ok := rows[variable]
	return row.key, ok
}

// Nearest gives the variable that was probably meant by one that means nothing, or "". It knows the names by their
// spelling only: CIRCUIT_BREAKER_OPNE_FOR is taken for CIRCUIT_BREAKER_OPEN_FOR, and CIRCUIT_BREAKER_MCP_OPEN_FOR for
// CIRCUIT_BREAKER__MCP__OPEN_FOR.
func Nearest(variable string) string {
	if name, field, ok := splitOwn(variable); ok {
		near := nearest("CIRCUIT_BREAKER_"+field, func(r row) bool { return r.own })
		if near == "" {
			return ""
		}
		return ownPrefix + envName(name) + "__" + strings.TrimPrefix(near, "CIRCUIT_BREAKER_")
	}
	if near := nearest(variable, func(row) bool { return true }); near != "" {
		return near
	}
	return withUnderscores(variable)
}

// nearest is the name with the fewest typing errors, of at most one in four characters that tell it from others.
func nearest(variable string, among func(row) bool) string {
	best, least := "", 1+max(2, (len(variable)-len("CIRCUIT_BREAKER_"))/4)
	for _, r := range table {
		if d := distance(variable, r.Name); among(r) && d < least {
			best, least = r.Name, d
		}
	}
	return best
}

// withUnderscores takes a name for one of a single breaker that lacks underscores.
func withUnderscores(variable string) string {
	rest, ok := strings.CutPrefix(variable, "CIRCUIT_BREAKER_")
	best := ""
	for _, r := range table {
		field := strings.TrimPrefix(r.Name, "CIRCUIT_BREAKER_")
		if name, found := strings.CutSuffix(rest, "_"+field); ok && r.own && found && len(field) > len(best) {
			if name = strings.Trim(name, "_"); name != "" {
				variable, best = ownPrefix+envName(name)+"__"+field, field
			}
		}
	}
	if best == "" {
		return ""
	}
	return variable
}

// distance counts the insertions, deletions, substitutions and swaps of neighbours that turn a into b (optimal string
// alignment).
func distance(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

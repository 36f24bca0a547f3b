// Package api holds what the compiler and apidiff do not see of the public API: which types stand in for which, and the values
// of defaults and of sentinels. Signatures are compared with those of the last release by scripts/api.sh.
package api

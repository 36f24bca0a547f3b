// Package api pins the public names and signatures: its tests do not compile if one of them changed, so that a break
// for users is a decision and not an accident.
package api

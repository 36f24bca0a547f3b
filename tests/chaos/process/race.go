//go:build race

package process

const raced = true

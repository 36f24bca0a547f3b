//go:build !race

package process

const raced = false

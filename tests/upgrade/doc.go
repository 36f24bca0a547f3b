// Package upgrade plays an old release and this one side by side on one store. Its only exports are its tests.
package upgrade

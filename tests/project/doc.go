// Package project holds what stands around the code to what it names: workflows, forms, owners and updates of modules.
package project

// Package gate is the only way to do something on somebody's behalf: decide,
// perform, record.
//
// Invariants: nothing is performed without an allowing decision; no decision
// goes unrecorded; an inference is recorded before it leaves and after it came
// back; a call whose record cannot be written fails.
package gate

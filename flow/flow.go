// Package flow keeps state machines and their executions: create, version,
// start, stop, describe. A Driver makes executions move.
package flow

// Package engine runs a Program. It does no I/O, starts no goroutine and reads
// no clock: a driver feeds it Inputs and carries out the Effects it returns.
//
// The contract, for every Batch that Step returns:
//
//  1. append Batch.Events to durable storage, all or none;
//  2. only then perform Batch.Effects, in any order, at least once each;
//  3. feed what came of them back through Step.
//
// Step decides; apply changes. Nothing but apply writes to an Execution, so
// replaying the events rebuilds it exactly, and the effects that have no
// outcome yet can be asked for again (Execution.Pending).
//
// Every Step is bounded in events, effects and bytes. A run that is longer goes
// on by a Continue effect, which the driver answers with the Continue input.
package engine

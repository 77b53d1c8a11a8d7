// Package trail keeps the audit log: an append-only chain of records in
// CloudTrail's shape, in which each record commits to the one before it.
//
// Append returns when the record is durable. Prompts and answers never come
// here; digests may.
package trail

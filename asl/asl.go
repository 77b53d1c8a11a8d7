// Package asl turns an Amazon States Language definition into a Program, or
// says everything that is wrong with it at once, in AWS's codes and words. It
// also computes the fields of states (Field.Eval and its kin), because a field
// is compiled here, once. It runs nothing: engine does.
package asl

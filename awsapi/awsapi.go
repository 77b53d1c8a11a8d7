// Package awsapi is the front door: it finds the operation, learns who is
// calling, and turns faults into the error documents that AWS's clients expect.
package awsapi

// Package bedrock knows models, inference profiles, where a call may run, and
// runs it there. It asks nobody for permission: gate does, with what Plan says
// is needed.
package bedrock

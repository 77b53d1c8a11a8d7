// Package accessanalyzer is IAM Access Analyzer's operation table over iam.
package accessanalyzer

import "tokaido/awsapi"

const (
	service = "access-analyzer"
	source  = "access-analyzer.amazonaws.com"
)

// Ops are the operations.
func Ops() []awsapi.Op {
	return []awsapi.Op{validatePolicy()}
}

// Package arn parses and prints Amazon Resource Names. It knows their six
// parts and nothing about what they name; patterns in policies are iam's.
package arn

import (
	"fmt"
	"strings"
)

// ARN is one resource name: arn:partition:service:region:account:resource.
type ARN struct{ Partition, Service, Region, Account, Resource string }

// Parse splits s at its first five colons. It does not check that the resource
// exists, or that an account has twelve digits.
func Parse(s string) (ARN, error) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || p[2] == "" || p[5] == "" {
		return ARN{}, fmt.Errorf("not an ARN: %q", s)
	}
	return ARN{p[1], p[2], p[3], p[4], p[5]}, nil
}

// Is reports whether s has an ARN's form.
func Is(s string) bool {
	_, err := Parse(s)
	return err == nil
}

// New is an ARN of the partition that region belongs to.
func New(service, region, account, resource string) ARN {
	return ARN{PartitionOf(region), service, region, account, resource}
}

// PartitionOf returns the partition of a Region; "aws" for the empty one.
func PartitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Split cuts the resource at its first / or :, as in role/name and
// stateMachine:name. rest is "" if there is neither.
func (a ARN) Split() (kind, rest string) {
	if i := strings.IndexAny(a.Resource, "/:"); i >= 0 {
		return a.Resource[:i], a.Resource[i+1:]
	}
	return a.Resource, ""
}

package principal

import (
	"strings"
	"time"
	"unicode/utf8"

	"tokaido/fault"
)

// AWS's quotas (iam.md, section 10).
const (
	maxUsers      = 5000
	maxRoles      = 1000
	maxGroups     = 300
	maxPolicies   = 1500
	maxVersions   = 5
	maxKeys       = 2  // of a user
	maxAttached   = 10 // managed policies of a user, role or group
	maxMembership = 10 // groups of a user

	maxManagedSize = 6144 // characters without white space
	maxTrustSize   = 2048

	maxPath        = 512
	maxInlineName  = 128
	maxDescription = 1000
	maxDocument    = 131072

	minMaxSession     = time.Hour
	maxMaxSession     = 12 * time.Hour
	defaultMaxSession = time.Hour
)

// quota is what differs between users, roles and groups.
type quota struct {
	count      int
	quotaName  string // AWS's name of count
	nameLength int
	inline     int    // characters of all inline policies, without white space
	attached   string // AWS's name of maxAttached
	param      string // AWS's name of the name
	title      string
	prefix     string // of unique ids
}

var quotas = [numKinds]quota{
	KindUser:  {maxUsers, "UsersPerAccount", 64, 2048, "PoliciesPerUser", "userName", "User", "AIDA"},
	KindRole:  {maxRoles, "RolesPerAccount", 64, 10240, "PoliciesPerRole", "roleName", "Role", "AROA"},
	KindGroup: {maxGroups, "GroupsPerAccount", 128, 5120, "PoliciesPerGroup", "groupName", "Group", "AGPA"},
}

// isName reports whether s has only characters of [\w+=,.@-].
func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c|32 < 'a' || c|32 > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("_+=,.@-", rune(c)) {
			return false
		}
	}
	return true
}

func checkName(s, param string, limit int) *fault.Error {
	switch {
	case s == "":
		return constraint(s, param, "have length greater than or equal to 1")
	case utf8.RuneCountInString(s) > limit:
		return constraint(s, param, "have length less than or equal to %d", limit)
	case !isName(s):
		return validation("The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", param)
	}
	return nil
}

func checkPath(s string) *fault.Error {
	bad := s == "" || s[0] != '/' || s[len(s)-1] != '/' || strings.Contains(s, "//")
	for i := range len(s) {
		bad = bad || s[i] < 0x21 || s[i] > 0x7E
	}
	switch {
	case len(s) > maxPath:
		return constraint(s, "path", "have length less than or equal to %d", maxPath)
	case bad:
		return validation("The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return nil
}

func checkText(s, param string, limit int) *fault.Error {
	if utf8.RuneCountInString(s) > limit {
		return constraint(s[:min(len(s), 64)], param, "have length less than or equal to %d", limit)
	}
	for _, r := range s {
		if r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0x7E || r >= 0xA1 && r <= 0xFF {
			continue
		}
		return constraint(s[:min(len(s), 64)], param, `satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*`)
	}
	return nil
}

// checkTags checks what is added to old.
func checkTags(old, tags []Tag) *fault.Error {
	n := len(old)
	for i, t := range tags {
		switch {
		case t.Key == "" || utf8.RuneCountInString(t.Key) > maxTagKey:
			return constraint(t.Key, "tags.member.key", "have length between 1 and %d", maxTagKey)
		case utf8.RuneCountInString(t.Value) > maxTagValue:
			return constraint(t.Value, "tags.member.value", "have length less than or equal to %d", maxTagValue)
		case len(t.Key) >= 4 && strings.EqualFold(t.Key[:4], "aws:"):
			return invalidInput("Tag keys cannot start with 'aws:'")
		}
		for _, o := range tags[:i] {
			if strings.EqualFold(o.Key, t.Key) {
				return invalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
			}
		}
		found := false
		for _, o := range old {
			found = found || strings.EqualFold(o.Key, t.Key)
		}
		if !found {
			n++
		}
	}
	if n > maxTags {
		return limitExceeded("The number of tags has reached the maximum limit.")
	}
	return nil
}

// nonSpace is how IAM counts a document.
func nonSpace(s string) (n int) {
	for _, r := range s {
		if r != ' ' && r != '\t' && r != '\n' && r != '\r' {
			n++
		}
	}
	return n
}

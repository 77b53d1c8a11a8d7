package principal

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
)

// alphabet is what AWS's unique ids are written in.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

var ids = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// newID is a unique id: a prefix as in iam.md, section 9, and 17 characters.
func newID(prefix string) string {
	var b [11]byte
	rand.Read(b[:]) // never fails
	return prefix + ids.EncodeToString(b[:])[:17]
}

// accountShift is where the account's forty bits stand in the first six bytes
// of an access key id.
const accountShift = 7

// newKeyID is an access key id that its account can be read from, as from AWS's.
func newKeyID(prefix, account string) string {
	n, _ := strconv.ParseUint(account, 10, 64)
	var b [10]byte
	rand.Read(b[:])
	n = 1<<47 | n<<accountShift | uint64(b[5])&(1<<accountShift-1)
	for i := 5; i >= 0; i-- {
		b[i] = byte(n)
		n >>= 8
	}
	return prefix + ids.EncodeToString(b[:])
}

// AccountOfKey reads the account from an access key id, ours or AWS's.
func AccountOfKey(id string) (account string, ok bool) {
	if len(id) != 20 || id[:4] != "AKIA" && id[:4] != "ASIA" {
		return "", false
	}
	b, err := ids.DecodeString(id[4:])
	if err != nil {
		return "", false
	}
	var n uint64
	for _, c := range b[:6] {
		n = n<<8 | uint64(c)
	}
	if n>>47 == 0 { // of before 2019, which does not tell
		return "", false
	}
	return fmt.Sprintf("%012d", n>>accountShift&(1<<40-1)), true
}

func newSecret() Secret {
	var b [30]byte
	rand.Read(b[:])
	return Secret(base64.StdEncoding.EncodeToString(b[:]))
}

func newSessionKey() string {
	var b [32]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func newAccountID() string {
	var b [8]byte
	rand.Read(b[:])
	n := uint64(0)
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return strconv.FormatUint(100_000_000_000+n%900_000_000_000, 10)
}

func isAccountID(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) == 12
}

package cli_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tokaido/server"
	"tokaido/trail"
	"tokaido/value"
)

// secret stands for what a prompt says. It must not come out anywhere.
const secret = "PLANTED-SECRET-4711"

// TestTrailScripts are sessions over a data directory with a log of ten calls:
// half of them served in Osaka, one denied, one of unknown outcome.
func TestTrailScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/trail",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.Getenv("WORK"))
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv("TOKAIDO_DATA_DIR", filepath.Join(e.WorkDir, "data"))
			return plant(filepath.Join(e.WorkDir, "data"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// flip FILE OFFSET changes one byte.
			"flip": func(ts *testscript.TestScript, neg bool, args []string) {
				name := ts.MkAbs(args[0])
				b, err := os.ReadFile(name)
				ts.Check(err)
				var at int
				_, err = fmt.Sscan(args[1], &at)
				ts.Check(err)
				b[at] ^= 1
				ts.Check(os.WriteFile(name, b, 0o600))
			},
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

func plant(dir string) error {
	keys, err := trail.OpenKeys(filepath.Join(dir, server.KeysDir), "tokaido/111122223333")
	if err != nil {
		return err
	}
	signer, err := keys.Log()
	if err != nil {
		return err
	}
	l, err := trail.Open(filepath.Join(dir, server.TrailDir), trail.Options{Signer: signer, SegmentSize: 4 << 10})
	if err != nil {
		return err
	}
	receipts := trail.Receipts{Keys: keys}
	for i := range 10 {
		at := time.Date(2026, 10, 1+i, 9, 0, 0, 0, time.UTC)
		r := &trail.Record{
			EventID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Time: at, Source: "bedrock.amazonaws.com", Name: "Converse", Region: "ap-northeast-1",
			Account: "111122223333", RequestID: fmt.Sprintf("11111111-0000-4000-8000-%012d", i), ReadOnly: true,
			Identity: trail.Identity{Type: "AssumedRole", ARN: fmt.Sprintf("arn:aws:sts::111122223333:assumed-role/app%d/run", i%2), Account: "111122223333", Issuer: &trail.Issuer{Type: "Role", ARN: fmt.Sprintf("arn:aws:iam::111122223333:role/app%d", i%2)}, IssuedAt: at},
			Request:  value.MustParse(`{"modelId":"jp.anthropic.claude-sonnet-4-5-20250929-v1:0"}`),
		}
		served := []string{"ap-northeast-1", "ap-northeast-3"}[i%2]
		switch i {
		case 8:
			r.ErrorCode, r.ErrorMessage = "AccessDenied", "User is not authorized"
		case 9: // the server was killed: an Intent only
			r.Phase = trail.Intent
		default:
			claim := trail.Claim{RequestID: r.RequestID, Region: served, Model: "anthropic.claude-sonnet-4-5-20250929-v1:0", Request: sha256.Sum256([]byte(secret)), Response: sha256.Sum256([]byte(secret)), Time: at}
			m, err := receipts.For(context.Background(), claim, true, "")
			if err != nil {
				return err
			}
			r.Additional = value.MustParse(fmt.Sprintf(`{"inferenceRegion":%q,"inputTokens":10,"outputTokens":100}`, served))
			for _, x := range m {
				r.Additional = r.Additional.With(x.Key, x.Value)
			}
			if i < 4 {
				r.ExecutionARN, r.State = "arn:aws:states:ap-northeast-1:111122223333:execution:review:run", "Ask"
			}
		}
		if err := l.Append(context.Background(), r); err != nil {
			return err
		}
	}
	if err := l.Close(); err != nil {
		return err
	}
	// As a server finds it: the intent is closed.
	if l, err = trail.Open(filepath.Join(dir, server.TrailDir), trail.Options{Signer: signer, SegmentSize: 4 << 10}); err != nil {
		return err
	}
	return l.Close()
}

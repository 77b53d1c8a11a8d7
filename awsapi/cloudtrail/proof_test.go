package cloudtrail_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"tokaido/awsapi"
	"tokaido/awsapi/cloudtrail"
	"tokaido/fault"
	"tokaido/trail"
	"tokaido/value"
)

var update = flag.Bool("update", false, "write the vectors that the console's tests read")

// proven is a log of 21 records that is always the same, with the operation over
// it, and the checkpoints that it had on its way.
type proven struct {
	t         *testing.T
	dir       string
	prover    *trail.Prover
	ring      *trail.Ring
	op        awsapi.Op
	records   []*trail.Record
	points    []string
	own, peer []string
}

// fixedKeys makes the same keys each time.
func fixedKeys(t *testing.T, origin string, seed byte, regions ...string) (*trail.Keys, []string) {
	dir := t.TempDir()
	from := rand.NewChaCha8([32]byte{seed})
	for _, file := range append([]string{"trail"}, regions...) {
		name := origin + "/trail"
		if file != "trail" {
			name, file = origin+"/region/"+file, "region-"+file
		}
		secret, public, err := note.GenerateKey(from, name)
		if err != nil {
			t.Fatal(err)
		}
		for ending, text := range map[string]string{".key": secret, ".pub": public} {
			if err := os.WriteFile(filepath.Join(dir, file+ending), []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	k, err := trail.OpenKeys(dir, origin)
	if err != nil {
		t.Fatal(err)
	}
	public, err := trail.Public(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k, public
}

const last = 21

func provenLog(t *testing.T) *proven {
	p := &proven{t: t}
	own, public := fixedKeys(t, "tokaido/111122223333", 1, "ap-northeast-1", "ap-northeast-3")
	peer, peerPublic := fixedKeys(t, "tokaido/444455556666", 2, "us-west-2")
	stranger, _ := fixedKeys(t, "tokaido/777788889999", 3, "ap-northeast-3")
	p.own, p.peer = public, peerPublic
	var err error
	if p.ring, err = trail.NewRing(slices.Concat(public, peerPublic)...); err != nil {
		t.Fatal(err)
	}
	signer, err := own.Log()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 11, 21, 1, 0, 0, 123_456_789, time.UTC)
	dir := t.TempDir()
	p.dir = dir
	opts := trail.Options{Signer: signer, CheckpointEvery: time.Hour, SegmentSize: 4 << 10, Now: func() time.Time { return begin.Add(time.Hour) }}
	var log *trail.Log
	for i := range last {
		if log == nil {
			if log, err = trail.Open(dir, opts); err != nil {
				t.Fatal(err)
			}
		}
		r := &trail.Record{
			EventID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1), Time: begin.Add(time.Duration(i) * time.Second), Source: "bedrock.amazonaws.com", Name: "Converse", Region: "ap-northeast-1",
			Account: "111122223333", ReadOnly: true, RequestID: fmt.Sprintf("10000000-0000-4000-8000-%012d", i+1), SourceIP: "127.0.0.1", UserAgent: "aws-cli/2", Host: "127.0.0.1:4566",
			Identity: trail.Identity{Type: "AssumedRole", PrincipalID: "AROAX:run", ARN: "arn:aws:sts::111122223333:assumed-role/flow/run", Account: "111122223333", AccessKeyID: "ASIAX", IssuedAt: begin,
				Issuer: &trail.Issuer{Type: "Role", PrincipalID: "AROAX", ARN: "arn:aws:iam::111122223333:role/flow", Account: "111122223333", UserName: "flow"}},
			Request: value.MustParse(`{"modelId":"jp.m"}`), Additional: value.MustParse(`{"inferenceRegion":"ap-northeast-3","inputTokens":9,"note":"日本 <&> \u2028"}`),
			Resources:    []trail.Resource{{Type: "AWS::Bedrock::InferenceProfile", Name: "arn:p"}},
			ExecutionARN: "arn:aws:states:ap-northeast-1:111122223333:execution:m:x", State: "Ask",
		}
		claim := trail.Claim{RequestID: r.RequestID, Region: "ap-northeast-3", Model: "m", Request: sha256.Sum256([]byte("question")), Response: sha256.Sum256([]byte("answer")), Time: r.Time}
		by := own
		var edit func(*trail.Receipt)
		switch i {
		case 1: // no receipt
			by = nil
			r.Additional = r.Additional.With(trail.ProblemMember, value.String("receipt: the node that served the answer sent none"))
		case 2: // of a Region of another node
			by, claim.Region, claim.RequestID = peer, "us-west-2", "served-there"
			r.Additional = r.Additional.With("inferenceRegion", value.String("us-west-2")).With(trail.ServedMember, value.String("served-there"))
		case 3: // signed by nobody who is known
			by = stranger
		case 4: // changed after it was signed
			edit = func(r *trail.Receipt) { r.Response[0] ^= 1 }
		case 5: // of another Region than the record says
			claim.Region = "ap-northeast-1"
		case 6: // of another request
			claim.RequestID = "another"
		case 7: // refused
			by = nil
			r.Additional, r.ErrorCode, r.ErrorMessage = value.Value{}, "AccessDenied", "User: x is not authorized"
			r.Decisions = value.MustParse(`{"v":99,"decisions":[]}`)
			r.TLS, r.ReadOnly = true, false
		case 8:
			r.Identity, by = trail.Identity{Type: "AWSService", InvokedBy: "states.amazonaws.com"}, nil
			r.Resources, r.ExecutionARN, r.State, r.Request = nil, "", "", value.Value{}
		}
		if by != nil {
			s, err := by.Region(claim.Region)
			if err != nil {
				t.Fatal(err)
			}
			receipt, err := claim.Sign(s)
			if err != nil {
				t.Fatal(err)
			}
			if edit != nil {
				edit(receipt)
			}
			r.Additional = r.Additional.With(trail.ReceiptMember, receipt.Value())
		}
		if err := log.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		p.records = append(p.records, r)
		if slices.Contains([]int{1, 2, 5, 8, 13, last}, i+1) {
			if err := log.Close(); err != nil { // signs
				t.Fatal(err)
			}
			log = nil
			b, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
			if err != nil {
				t.Fatal(err)
			}
			p.points = append(p.points, string(b))
		}
	}
	if log, err = trail.Open(dir, opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	p.prover = trail.NewProver(log)
	p.op = cloudtrail.ProofOps(p.prover, func() (own, peers []string, err error) { return p.own, p.peer, nil })[0]
	return p
}

func (p *proven) ask(region string, in map[string]any) (needs int, v value.Value, err error) {
	p.t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		p.t.Fatal(err)
	}
	r := &awsapi.Request{Op: &p.op, Region: region, Input: value.MustParse(string(b)), Time: time.Now()}
	all, err := p.op.Needs(context.Background(), r)
	if err != nil {
		return 0, v, err
	}
	if all[0].Action != "cloudtrail:GetEventProof" || all[0].Resource != "*" {
		p.t.Errorf("needs %v", all)
	}
	resp, err := p.op.Handle(context.Background(), r)
	if err != nil {
		return len(all), v, err
	}
	return len(all), resp.Body, nil
}

// TestGetEventProof: what it answers is what the command line checks.
func TestGetEventProof(t *testing.T) {
	p := provenLog(t)
	_, v, err := p.ask("eu-west-1", map[string]any{})
	if err != nil || v.Get("Checkpoint").Str() != p.points[len(p.points)-1] || v.Get("CheckpointIntervalSeconds").JSON() != "3600" || !v.Get("EventProof").IsUndefined() || !v.Get("ConsistencyProof").IsUndefined() {
		t.Errorf("%s, %v", v, err)
	}
	var keys []string
	for _, k := range v.Get("PublicKeys").Items() {
		name, _, _ := strings.Cut(k.Get("PublicKey").Str(), "+")
		keys = append(keys, strings.Join([]string{name, k.Get("Use").Str(), k.Get("Region").Str(), k.Get("Source").Str()}, " "))
	}
	slices.Sort(keys)
	if want := []string{"tokaido/111122223333/region/ap-northeast-1 RECEIPT ap-northeast-1 NODE", "tokaido/111122223333/region/ap-northeast-3 RECEIPT ap-northeast-3 NODE",
		"tokaido/111122223333/trail CHECKPOINT  NODE", "tokaido/444455556666/region/us-west-2 RECEIPT us-west-2 PEER", "tokaido/444455556666/trail CHECKPOINT  PEER"}; !slices.Equal(keys, want) {
		t.Errorf("keys %q", keys)
	}
	for i, r := range p.records {
		needs, v, err := p.ask(r.Region, map[string]any{"EventId": r.EventID})
		e := v.Get("EventProof")
		if err != nil || e.Get("Status").Str() != "COMPLETE" || e.Get("EventSequence").JSON() != fmt.Sprint(i+1) {
			t.Fatalf("%d: %s, %v", i, v, err)
		}
		if want := map[bool]int{true: 2, false: 1}[i == 7]; needs != want { // the record of a refusal has policies
			t.Errorf("%d: takes %d permissions", i, needs)
		}
		got, err := trail.CheckProof([]byte(e.Get("Proof").Str()), p.ring, nil)
		if err != nil || got.Record.EventID != r.EventID || got.Checkpoint.Records != last {
			t.Errorf("%d: %+v, %v", i, got, err)
		}
		want, err := r.Receipt()
		if err != nil {
			t.Fatal(err)
		}
		if receipt := e.Get("Receipt"); receipt.IsUndefined() != (want == nil) || want != nil && (receipt.Get("KeyName").Str() != want.Key || receipt.Get("Region").Str() != want.Region) {
			t.Errorf("%d: receipt %s", i, receipt)
		}
	}
	if _, v, _ := p.ask("ap-northeast-1", map[string]any{"EventId": p.records[1].EventID}); v.Get("EventProof").Get("ReceiptProblem").Str() != "receipt: the node that served the answer sent none" {
		t.Errorf("a problem that was noted: %s", v)
	}
	for _, since := range p.points {
		_, v, err := p.ask("ap-northeast-1", map[string]any{"EarlierCheckpoint": since})
		c := v.Get("ConsistencyProof")
		if err != nil || c.Get("Status").Str() != "COMPLETE" {
			t.Fatalf("%s, %v", v, err)
		}
		if got, err := trail.CheckProof([]byte(c.Get("Proof").Str()), p.ring, []byte(since)); err != nil || fmt.Sprint(got.Since) != c.Get("EarlierRecords").JSON() {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// TestGetEventProofRefuses: what cannot be proven is said, and why.
func TestGetEventProofRefuses(t *testing.T) {
	p := provenLog(t)
	for in, code := range map[string]string{
		`{"EventId":"none"}`: "EventNotFoundException",
		`{"EventId":""}`:     "InvalidParameterException",
		`{"EventId":"` + strings.Repeat("x", 129) + `"}`: "InvalidParameterException",
		`{"EventId":7}`:               "SerializationException",
		`{"EarlierCheckpoint":"x"}`:   "InvalidParameterException",
		`{"EarlierCheckpoint":["x"]}`: "SerializationException",
		`{"EventID":"x"}`:             "ValidationException",
	} {
		var m map[string]any
		if err := json.Unmarshal([]byte(in), &m); err != nil {
			t.Fatal(err)
		}
		if _, v, err := p.ask("ap-northeast-1", m); fault.Code(err) != code {
			t.Errorf("%.60s: %s, %v, want %s", in, v, err, code)
		}
	}
	if _, _, err := p.ask("us-east-1", map[string]any{"EventId": p.records[0].EventID}); fault.Code(err) != "EventNotFoundException" {
		t.Errorf("found in another Region: %v", err)
	}
	latest := p.points[len(p.points)-1]
	for name, c := range map[string]struct{ note, reason string }{
		"another log":  {strings.Replace(latest, "tokaido/111122223333/trail\n", "tokaido/999999999999/trail\n", 1), "is of the log"},
		"a longer log": {strings.Replace(latest, "\n21\n", "\n22\n", 1), "the end of the log was cut off"},
		"another tree": {strings.Replace(p.points[3], "\n8\n", "\n7\n", 1), "are not those"},
	} {
		_, v, err := p.ask("ap-northeast-1", map[string]any{"EarlierCheckpoint": c.note})
		if g := v.Get("ConsistencyProof"); err != nil || g.Get("Status").Str() != "IMPOSSIBLE" || !strings.Contains(g.Get("Reason").Str(), c.reason) {
			t.Errorf("%s: %s, %v", name, v, err)
		}
	}
}

// slow is a Prover of a log without a checkpoint, or one that takes long to read.
type slow struct {
	*trail.Prover
	signed bool
}

func (s slow) Latest() (*trail.Checkpoint, error) {
	if !s.signed {
		return nil, nil
	}
	return s.Prover.Latest()
}
func (s slow) Record(context.Context, *trail.Checkpoint, *trail.Place) (string, error) {
	return "", fmt.Errorf("wrapped: %w", &trail.Reading{Done: 3, Total: 9})
}
func (s slow) Growth(context.Context, *trail.Checkpoint, *trail.Checkpoint) (string, error) {
	return "", &trail.Reading{Done: 4, Total: 9}
}

func TestGetEventProofLater(t *testing.T) {
	p := provenLog(t)
	in := map[string]any{"EventId": p.records[0].EventID, "EarlierCheckpoint": p.points[0]}
	with := func(s slow, keysErr error) (value.Value, error) {
		p.op = cloudtrail.ProofOps(s, func() (own, peers []string, err error) { return nil, nil, keysErr })[0]
		_, v, err := p.ask("ap-northeast-1", in)
		return v, err
	}
	v, err := with(slow{p.prover, false}, nil)
	if e := v.Get("EventProof"); err != nil || e.Get("Status").Str() != "PENDING_CHECKPOINT" || !e.Get("Proof").IsUndefined() || e.Get("RecordHash").Str() == "" || !v.Get("Checkpoint").IsUndefined() {
		t.Errorf("without a checkpoint: %s, %v", v, err)
	}
	if c := v.Get("ConsistencyProof"); c.Get("Status").Str() != "IMPOSSIBLE" {
		t.Errorf("without a checkpoint: %s", c)
	}
	v, err = with(slow{p.prover, true}, nil)
	if e, c := v.Get("EventProof"), v.Get("ConsistencyProof"); err != nil || e.Get("Status").Str() != "IN_PROGRESS" || e.Get("RecordsRead").JSON() != "3" || e.Get("RecordsToRead").JSON() != "9" || c.Get("RecordsRead").JSON() != "4" {
		t.Errorf("while it is read: %s, %v", v, err)
	}
	broken := errors.New("broken")
	if _, err := with(slow{p.prover, true}, broken); !errors.Is(err, broken) {
		t.Errorf("without keys: %v", err)
	}
}

// TestGetEventProofDamaged: a log that was changed behind the server's back has no
// proofs, and the answer says where it is damaged.
func TestGetEventProofDamaged(t *testing.T) {
	p := provenLog(t)
	file := filepath.Join(p.dir, "00000000000000000001.trail")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it does not forget
		_, v, err := p.ask("ap-northeast-1", map[string]any{"EventId": p.records[last-1].EventID})
		if e := v.Get("EventProof"); err != nil || e.Get("Status").Str() != "IMPOSSIBLE" || !strings.Contains(e.Get("Reason").Str(), "00000000000000000001.trail is damaged at offset") || !e.Get("Proof").IsUndefined() {
			t.Errorf("%s, %v", v, err)
		}
	}
}

// TestProofVectors: what the console checks in its tests is what this code answers.
func TestProofVectors(t *testing.T) {
	p := provenLog(t)
	member := func(k string, v value.Value) value.Member { return value.Member{Key: k, Value: v} }
	_, standing, err := p.ask("ap-northeast-1", map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	var events, grown []value.Value
	for _, r := range p.records {
		_, v, err := p.ask("ap-northeast-1", map[string]any{"EventId": r.EventID})
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, value.Object(member("proof", v.Get("EventProof")), member("record", value.String(r.CloudTrail().JSON()))))
	}
	for _, since := range p.points {
		_, v, err := p.ask("ap-northeast-1", map[string]any{"EarlierCheckpoint": since})
		if err != nil {
			t.Fatal(err)
		}
		grown = append(grown, value.Object(member("since", value.String(since)), member("proof", v.Get("ConsistencyProof"))))
	}
	doc := value.Object(member("madeBy", value.String("go test ./awsapi/cloudtrail -run TestProofVectors -update")),
		member("standing", standing), member("events", value.Array(events...)), member("grown", value.Array(grown...))).JSON()
	var text bytes.Buffer
	if err := json.Indent(&text, []byte(doc), "", " "); err != nil {
		t.Fatal(err)
	}
	text.WriteByte('\n')
	file := filepath.FromSlash("../../console/web/test/proof.vectors.json")
	if *update {
		if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	had, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(had, text.Bytes()) {
		t.Errorf("%s is not what GetEventProof answers; made anew by: go test ./awsapi/cloudtrail -run TestProofVectors -update", file)
	}
}

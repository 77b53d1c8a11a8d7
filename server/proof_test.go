package server

import (
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi"
	"tokaido/awsapi/sigv4"
	"tokaido/principal"
	"tokaido/trail"
)

// A call's record is proven over the wire, to somebody who has what the answer
// says and nothing else; the record of a refusal only to who may have it explained.
func TestGetEventProof(t *testing.T) {
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	c.DataDir, c.Store, c.Account, c.Trail.CheckpointEvery = t.TempDir(), "memory", testAccount, time.Millisecond
	p := &powerless{Server: newServer(t, c, slog.DiscardHandler), t: t}
	if _, err := p.people.Create(t.Context(), principal.NewEntity{Kind: principal.KindUser, Name: "auditor"}); err != nil {
		t.Fatal(err)
	}
	k, err := p.people.CreateKey(t.Context(), "auditor")
	if err != nil {
		t.Fatal(err)
	}
	p.key = sigv4.Credentials{AccessKeyID: k.ID, Secret: string(k.Secret)}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	p.url = srv.URL
	may := func(actions ...string) {
		t.Helper()
		b, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": map[string]any{"Effect": "Allow", "Action": actions, "Resource": "*"}})
		if err == nil {
			err = p.people.PutInline(t.Context(), principal.KindUser, "auditor", "p", string(b))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	op := func(name string) *awsapi.Op {
		for i := range p.api.Ops() {
			if o := &p.api.Ops()[i]; o.Service == "cloudtrail" && o.Name == name {
				return o
			}
		}
		t.Fatalf("no operation %s", name)
		return nil
	}
	const patience = time.Minute
	recordOf := func(request string) *trail.Record { // that of a read is seen a moment later
		t.Helper()
		for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(time.Millisecond) {
			records, err := p.audit.Find(t.Context(), request)
			if err != nil || len(records) > 1 {
				t.Fatalf("%d records, %v", len(records), err)
			}
			if len(records) == 1 {
				return records[0]
			}
		}
		t.Fatal("no record")
		return nil
	}
	eventOf := func(request string) string { return recordOf(request).EventID }
	none := map[string]any{}
	status, refused, body := p.ask(op("ListTrails"), none)
	if status != 400 || !strings.Contains(body, "AccessDenied") {
		t.Fatalf("ListTrails: %d %s", status, body)
	}
	may("cloudtrail:GetEventProof", "cloudtrail:ListTrails")
	status, answered, body := p.ask(op("ListTrails"), none)
	if status != 200 {
		t.Fatalf("ListTrails: %d %s", status, body)
	}

	proof := func(event string) (status int, body string, v struct {
		PublicKeys []struct{ PublicKey, Use string }
		EventProof struct {
			Status, Proof string
			EventSequence uint64
		}
	}) {
		t.Helper()
		var id string
		for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			status, id, body = p.ask(op("GetEventProof"), map[string]any{"EventId": event})
			if err := json.Unmarshal([]byte(body), &v); err != nil {
				t.Fatal(err)
			}
			if r := recordOf(id); r.Name != "GetEventProof" || r.Request.Get("eventId").Str() != event || !r.ReadOnly {
				t.Fatalf("its own record: %+v", r)
			}
			if status != 200 || v.EventProof.Status != "PENDING_CHECKPOINT" || time.Now().After(until) {
				return status, body, v
			}
		}
	}
	status, body, v := proof(eventOf(answered))
	if status != 200 || v.EventProof.Status != "COMPLETE" {
		t.Fatalf("%d %s", status, body)
	}
	var keys []string
	for _, k := range v.PublicKeys {
		keys = append(keys, k.PublicKey)
	}
	ring, err := trail.NewRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := trail.CheckProof([]byte(v.EventProof.Proof), ring, nil); err != nil || got.Record.RequestID != answered || got.Seq != v.EventProof.EventSequence {
		t.Errorf("%+v, %v", got, err)
	}
	if status, body, _ := proof(eventOf(refused)); status != 400 || !strings.Contains(body, "sts:DecodeAuthorizationMessage") {
		t.Errorf("the record of a refusal: %d %s", status, body)
	}
	may("cloudtrail:GetEventProof", "sts:DecodeAuthorizationMessage")
	if status, body, v := proof(eventOf(refused)); status != 200 || v.EventProof.Status != "COMPLETE" {
		t.Errorf("the record of a refusal, to who may: %d %s", status, body)
	}
	if status, body, _ := proof("11111111-1111-4111-8111-111111111111"); status != 400 || !strings.Contains(body, "EventNotFoundException") {
		t.Errorf("no event: %d %s", status, body)
	}
}

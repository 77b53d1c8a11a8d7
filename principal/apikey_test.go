package principal

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"tokaido/awsapi/sigv4"
)

// presigned is a short-term key as AWS's generators make them.
func presigned(t testing.TB, c sigv4.Credentials, region string, at time.Time, lasts time.Duration) string {
	t.Helper()
	target, err := sigv4.Presign(sigv4.Request{Method: http.MethodPost, Target: "/?Action=CallWithBearerToken", Headers: [][2]string{{"host", BedrockService}}},
		sigv4.Options{Service: "bedrock", Region: region, Now: at}, c, lasts)
	if err != nil {
		t.Fatal(err)
	}
	return shortPrefix + base64.StdEncoding.EncodeToString([]byte(BedrockService+target+"&Version=1"))
}

func TestShortTermKeys(t *testing.T) {
	d := open(t, &fakeStore{})
	_, k := user(t, d, "ann")
	now := time.Now()
	own := sigv4.Credentials{AccessKeyID: k.ID, Secret: string(k.Secret)}
	b, err := d.Bearer(t.Context(), presigned(t, own, "ap-northeast-1", now, 12*time.Hour), now)
	if err != nil || b.Principal.Name != "ann" || b.Region != "ap-northeast-1" || b.Kind != ShortTerm {
		t.Fatalf("%+v %v", b, err)
	}
	for name, c := range map[string]struct{ token, want string }{
		"expired":  {presigned(t, own, "ap-northeast-1", now.Add(-2*time.Hour), time.Hour), "Bearer Token has expired"},
		"too-long": {presigned(t, own, "ap-northeast-1", now, 13*time.Hour), "Authentication failed: Please make sure your API Key is valid."},
		"wrong":    {presigned(t, sigv4.Credentials{AccessKeyID: k.ID, Secret: "x"}, "ap-northeast-1", now, time.Hour), "Authentication failed: Please make sure your API Key is valid."},
		"nobody":   {presigned(t, sigv4.Credentials{AccessKeyID: "AKIAX", Secret: "x"}, "ap-northeast-1", now, time.Hour), "Authentication failed: Please make sure your API Key is valid."},
		"garbage":  {"bedrock-api-key-!", "Authentication failed: Please make sure your API Key is valid."},
		"other":    {"hello", "Authentication failed: Please make sure your API Key is valid."},
	} {
		if _, err := d.Bearer(t.Context(), c.token, now); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Keys outlive a start, and a long-term one ends when it was to end.
func TestLongTermKeys(t *testing.T) {
	s := &fakeStore{}
	d := open(t, s)
	user(t, d, "ann")
	k, token, err := d.CreateAPIKey(t.Context(), "ann", 1)
	must(t, err)
	d = open(t, s)
	now := k.Created
	if b, err := d.Bearer(t.Context(), string(token), now); err != nil || b.Principal.Name != "ann" || b.Region != "" {
		t.Errorf("%+v %v", b, err)
	}
	if _, err := d.Bearer(t.Context(), string(token), now.AddDate(0, 0, 2)); err == nil || !strings.Contains(err.Error(), "Bearer Token has expired") {
		t.Errorf("two days later: %v", err)
	}
	if strings.Contains(dumpStore(s), string(token)) || k.Hash == "" {
		t.Error("the secret is stored")
	}
}

func dumpStore(s *fakeStore) string {
	var b strings.Builder
	for e := range s.Load(context.Background()) {
		b.Write(e.Data)
	}
	return b.String()
}

func FuzzBearer(f *testing.F) {
	d := open(f, &fakeStore{})
	_, k := user(f, d, "ann")
	now := time.Now()
	f.Add(presigned(f, sigv4.Credentials{AccessKeyID: k.ID, Secret: "x"}, "ap-northeast-1", now, time.Hour))
	f.Add("ABSK" + base64.StdEncoding.EncodeToString([]byte("BedrockAPIKey-abcd-at-111122223333:x")))
	f.Add("bedrock-api-key-" + base64.StdEncoding.EncodeToString([]byte("bedrock.amazonaws.com/?Action=CallWithBearerToken&X-Amz-Expires=1&Version=1")))
	f.Fuzz(func(t *testing.T, token string) {
		if b, err := d.Bearer(t.Context(), token, now); err == nil {
			t.Errorf("%q is taken for %s", token, b.Principal.ARN)
		}
	})
}

func BenchmarkBearer(b *testing.B) {
	d := open(b, &fakeStore{})
	_, k := user(b, d, "ann")
	now := time.Now()
	token := presigned(b, sigv4.Credentials{AccessKeyID: k.ID, Secret: string(k.Secret)}, "ap-northeast-1", now, time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Bearer(b.Context(), token, now); err != nil {
			b.Fatal(err)
		}
	}
}

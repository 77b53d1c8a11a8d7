package server

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// An API key that names no Region is for the one that `serve` tells its users to
// set, unless the configuration has another.
func TestRegionOfAPIKeys(t *testing.T) {
	secret := regexp.MustCompile(`<ServiceCredentialSecret>(.+)</ServiceCredentialSecret>`)
	for text, want := range map[string]string{"{store: memory}": DefaultRegion, "{store: memory, region: ap-northeast-3}": "ap-northeast-3", `{store: memory, region: ""}`: DefaultRegion} {
		c := parse(t, text)
		c.DataDir = t.TempDir()
		s := serverOver(t, *c)
		var key []string
		for _, body := range []string{
			"Action=CreateUser&Version=2010-05-08&UserName=bot",
			"Action=PutUserPolicy&Version=2010-05-08&UserName=bot&PolicyName=p&PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22bedrock%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D",
			"Action=CreateServiceSpecificCredential&Version=2010-05-08&UserName=bot&ServiceName=bedrock.amazonaws.com",
		} {
			w := ask(t, s, "iam", "/", body)
			if w.Code != 200 {
				t.Fatalf("%s: %d %s", body, w.Code, w.Body)
			}
			key = secret.FindStringSubmatch(w.Body.String())
		}
		if key == nil {
			t.Fatal("no key was made")
		}
		r := httptest.NewRequest("POST", "http://localhost/model/jp.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse", strings.NewReader(`{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`))
		r.Header.Set("Authorization", "Bearer "+key[1])
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if got := w.Header().Get("X-Tokaido-Inference-Region"); w.Code != 200 || got != want {
			t.Errorf("%s: %d %s, answered in %q, want %s", text, w.Code, w.Body, got, want)
		}
	}
}

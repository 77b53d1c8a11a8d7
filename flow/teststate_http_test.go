package flow_test

import (
	"fmt"
	"testing"

	"tokaido/flow"
	"tokaido/store/memory"
)

// The request of an HTTP Task, as its arguments say.
func TestTestStateHTTPRequest(t *testing.T) {
	s := memory.New()
	p := open(t, s.Journal(), s.Flow())
	defer p.close(t)
	const list = `"RequestBody":{"a":["x y","z"],"metadata":{"order":1}}`
	for _, c := range []struct{ more, url, body string }{
		{``, "https://h/p?q=1", ""},
		{`,"QueryParameters":{"a":["b","c&d"],"e":{"f":true}}`, "https://h/p?q=1&a=b&a=c%26d&e[f]=true", ""},
		{`,"QueryParameters":"raw=1"`, "https://h/p?q=1&raw=1", ""},
		{`,"QueryParameters":["x=1","y=2"]`, "https://h/p?q=1&x=1&y=2", ""},
		{`,"RequestBody":"as it is"`, "https://h/p?q=1", "as it is"},
		{`,` + list, "https://h/p?q=1", `{"a":["x y","z"],"metadata":{"order":1}}`},
		{`,"Transform":{"RequestBodyEncoding":"URL_ENCODED"},` + list, "https://h/p?q=1", "a[0]=x%20y&a[1]=z&metadata[order]=1"},
		{`,"Transform":{"RequestBodyEncoding":"URL_ENCODED","RequestEncodingOptions":{"ArrayFormat":"REPEAT"}},` + list, "https://h/p?q=1", "a=x%20y&a=z&metadata[order]=1"},
		{`,"Transform":{"RequestBodyEncoding":"URL_ENCODED","RequestEncodingOptions":{"ArrayFormat":"COMMAS"}},` + list, "https://h/p?q=1", "a=x%20y,z&metadata[order]=1"},
		{`,"Transform":{"RequestBodyEncoding":"URL_ENCODED","RequestEncodingOptions":{"ArrayFormat":"BRACKETS"}},` + list, "https://h/p?q=1", "a[]=x%20y&a[]=z&metadata[order]=1"},
	} {
		for _, language := range []string{"Parameters", "Arguments"} {
			def := fmt.Sprintf(`{"Type":"Task","QueryLanguage":%q,"Resource":"arn:aws:states:::http:invoke",%q:{"ApiEndpoint":"https://h/p?q=1","Method":"POST",
				"Authentication":{"ConnectionArn":"arn:aws:events:us-east-1:123456789012:connection/c/1"}%s},"End":true}`,
				map[string]string{"Parameters": "JSONPath", "Arguments": "JSONata"}[language], language, c.more)
			got, err := p.TestState(t.Context(), flow.TestState{Scope: scope, Definition: def, Mock: mocked(`{"StatusCode":204,"StatusText":"No Content","Headers":{}}`)})
			if err != nil {
				t.Fatal(err)
			}
			if r := got.Request; r == nil || r.URL != c.url || r.Body != c.body || r.Method != "POST" || r.Protocol != "https" {
				t.Errorf("%s: %+v", c.more, r)
			}
			if r := got.Response; r == nil || r.StatusCode != "204" || r.StatusMessage != "No Content" || r.Headers != "[]" || r.Body != "" {
				t.Errorf("%s: %+v", c.more, r)
			}
		}
	}
}

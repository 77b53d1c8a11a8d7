package bedrock_test

import (
	"strings"
	"testing"

	"tokaido/bedrock"
	"tokaido/bedrock/backend/simulated"
	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

const account = "111122223333"

func prepared(t *testing.T, rt *bedrock.Runtime, id, body string) *bedrock.Prepared {
	t.Helper()
	p, err := rt.Plan("ap-northeast-1", account, id)
	if err != nil {
		p, err = rt.Plan("us-east-1", account, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := rt.Prepare(p, value.MustParse(body))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const hello = `{"messages":[{"role":"user","content":[{"text":"こんにちは"}]}],"inferenceConfig":{"maxTokens":100},"additionalModelResponseFieldPaths":["/stop_sequence"],"serviceTier":{"type":"default"}}`

// For each family: the whole answer, and the same from the stream.
func TestConverseAndItsStreamAgree(t *testing.T) {
	rt := bedrock.New(bedrock.Config{Backend: simulated.New(simulated.Options{}).For})
	tools := `{"messages":[{"role":"user","content":[{"text":"use f"}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object","properties":{"q":{"type":"string"}},"required":["q"]}}}}]}}`
	for _, c := range []struct{ name, id, body, text, stop string }{
		{"claude", "jp.anthropic.claude-sonnet-4-5-20250929-v1:0", hello, "[simulated Claude Sonnet 4.5] You said: こんにちは", "end_turn"},
		{"nova", "apac.amazon.nova-lite-v1:0", hello, "[simulated Nova Lite] You said: こんにちは", "end_turn"},
		{"gpt-oss", "openai.gpt-oss-20b-1:0", hello, "[simulated gpt-oss-20b] You said: こんにちは", "end_turn"},
		{"gpt-oss-tool", "openai.gpt-oss-20b-1:0", tools, "[simulated gpt-oss-20b] I am calling f.", "tool_use"},
		{"mistral", "mistral.mistral-7b-instruct-v0:2", hello, "[simulated Mistral 7B Instruct] You said: こんにちは", "end_turn"},
		{"llama", "meta.llama3-8b-instruct-v1:0", hello, "[simulated Llama 3 8B Instruct] You said: こんにちは", "end_turn"},
		{"llama4", "us.meta.llama4-scout-17b-instruct-v1:0", hello, "[simulated Llama 4 Scout 17B Instruct] You said: こんにちは", "end_turn"},
		{"claude-tool", "jp.anthropic.claude-sonnet-4-5-20250929-v1:0", tools, "[simulated Claude Sonnet 4.5] I am calling f.", "tool_use"},
		{"nova-tool", "amazon.nova-lite-v1:0", tools, "[simulated Nova Lite] I am calling f.", "tool_use"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, res, err := rt.Converse(t.Context(), prepared(t, rt, c.id, c.body))
			if err != nil {
				t.Fatal(err)
			}
			content := out.Get("output").Get("message").Get("content")
			if content.At(0).Get("text").Str() != c.text || out.Get("stopReason").Str() != c.stop || res.Region == "" {
				t.Errorf("answer: %s from %s", out, res.Region)
			}
			var text, input strings.Builder
			var names []string
			var stop, usage value.Value
			sres, err := rt.ConverseStream(t.Context(), prepared(t, rt, c.id, c.body), nil, func(name string, v value.Value) error {
				if len(names) == 0 || names[len(names)-1] != name {
					names = append(names, name)
				}
				text.WriteString(v.Get("delta").Get("text").Str())
				input.WriteString(v.Get("delta").Get("toolUse").Get("input").Str())
				switch name {
				case "messageStop":
					stop = v.Get("stopReason")
				case "metadata":
					usage = v.Get("usage")
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if text.String() != c.text || !value.Equal(stop, out.Get("stopReason")) || !value.Equal(usage, out.Get("usage")) || sres.Usage != res.Usage {
				t.Errorf("stream: %q %s %s, whole %s", text.String(), stop, usage, out)
			}
			want := "messageStart contentBlockDelta contentBlockStop messageStop metadata"
			if c.stop == "tool_use" {
				want = "messageStart contentBlockDelta contentBlockStop contentBlockStart contentBlockDelta contentBlockStop messageStop metadata"
				if got := content.At(1).Get("toolUse").Get("input").JSON(); input.String() != got || got != `{"q":"use f"}` {
					t.Errorf("input %s in the stream, %s whole", input.String(), got)
				}
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("events: %s", got)
			}
		})
	}
	out, _, err := rt.Converse(t.Context(), prepared(t, rt, "jp.anthropic.claude-sonnet-4-5-20250929-v1:0", hello))
	if err != nil || !out.Get("additionalModelResponseFields").Get("stop_sequence").IsNull() || out.Get("serviceTier").Get("type").Str() != "default" {
		t.Errorf("%s, %v", out, err)
	}
	if n, _ := out.Get("usage").Get("totalTokens").Int(); n == 0 {
		t.Errorf("usage: %s", out.Get("usage"))
	}
}

func TestModelsOwnRefusal(t *testing.T) {
	rt := bedrock.New(bedrock.Config{Backend: simulated.New(simulated.Options{}).For})
	c := prepared(t, rt, "jp.anthropic.claude-sonnet-4-5-20250929-v1:0", `{"messages":[{"role":"user","content":[{"text":"x"}]}],"additionalModelRequestFields":{"foo":1}}`)
	_, _, err := rt.Converse(t.Context(), c)
	if fault.Code(err) != "ValidationException" || !strings.Contains(err.Error(), "The model returned the following errors: foo: Extra inputs are not permitted") {
		t.Error(err)
	}
}

// A Tokyo that takes one request a minute makes the second go to Osaka.
func TestOsakaAnswers(t *testing.T) {
	for name, rt := range map[string]*bedrock.Runtime{
		"limits": bedrock.New(bedrock.Config{Backend: simulated.New(simulated.Options{}).For, Limits: func(region string, _ *catalog.Model) bedrock.Limits {
			if region == "ap-northeast-1" {
				return bedrock.Limits{RequestsPerMinute: 1}
			}
			return bedrock.Limits{}
		}}),
		"backend": bedrock.New(bedrock.Config{Backend: simulated.New(simulated.Options{Regions: map[string]simulated.Behaviour{"ap-northeast-1": {RequestsPerMinute: 1}}}).For}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, want := range []string{"ap-northeast-1", "ap-northeast-3"} {
				_, res, err := rt.Converse(t.Context(), prepared(t, rt, "jp.anthropic.claude-sonnet-4-5-20250929-v1:0", hello))
				if err != nil || res.Region != want {
					t.Errorf("%+v, %v, want %s", res, err, want)
				}
			}
		})
	}
}

func TestCountTokens(t *testing.T) {
	rt := bedrock.New(bedrock.Config{Backend: simulated.New(simulated.Options{}).For})
	p, _ := rt.Plan("ap-northeast-1", account, "jp.anthropic.claude-sonnet-4-5-20250929-v1:0")
	n, region, err := rt.CountTokens(t.Context(), p, bedrock.Request{Body: prepared(t, rt, p.Requested, hello).Body})
	if n != 5 || region != "ap-northeast-1" || err != nil {
		t.Errorf("%d in %s, %v", n, region, err)
	}
}

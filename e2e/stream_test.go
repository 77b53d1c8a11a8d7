package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	rt "github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"tokaido/e2e/story"
)

// The AWS SDK for Go streams Converse with tools: over HTTP/1.1, and over HTTP/2
// without TLS, as other SDKs do by themselves.
func TestGoStreamsTools(t *testing.T) {
	s := start(t, "")
	h2 := new(http.Protocols)
	h2.SetUnencryptedHTTP2(true)
	over2 := s.Config(story.Region)
	over2.HTTPClient = &http.Client{Transport: &http.Transport{Protocols: h2}}
	for name, cfg := range map[string]aws.Config{"http-1": s.Config(story.Region), "http-2": over2} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			streamTools(ctx, t, bedrockruntime.NewFromConfig(cfg))
		})
	}
	resp, err := (&http.Client{Transport: &http.Transport{Protocols: h2}}).Get(s.Endpoint + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
		t.Errorf("HTTP/2 without TLS: %s %s", resp.Proto, resp.Status)
	}
}

func streamTools(ctx context.Context, t *testing.T, c *bedrockruntime.Client) {
	t.Helper()
	tools := &rt.ToolConfiguration{Tools: []rt.Tool{&rt.ToolMemberToolSpec{Value: rt.ToolSpecification{
		Name: new("weather"), InputSchema: &rt.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{
			"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}, "required": []string{"city"},
		})},
	}}}}
	messages := []rt.Message{{Role: rt.ConversationRoleUser, Content: []rt.ContentBlock{&rt.ContentBlockMemberText{Value: "use weather"}}}}
	out, err := c.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{ModelId: new(story.Japan), Messages: messages, ToolConfig: tools})
	if err != nil {
		t.Fatal(err)
	}
	var (
		said, input strings.Builder
		use         rt.ToolUseBlock
		stop        rt.StopReason
		usage       *rt.TokenUsage
	)
	for e := range out.GetStream().Events() {
		switch e := e.(type) {
		case *rt.ConverseStreamOutputMemberContentBlockStart:
			if u, ok := e.Value.Start.(*rt.ContentBlockStartMemberToolUse); ok {
				use.ToolUseId, use.Name = u.Value.ToolUseId, u.Value.Name
			}
		case *rt.ConverseStreamOutputMemberContentBlockDelta:
			switch d := e.Value.Delta.(type) {
			case *rt.ContentBlockDeltaMemberText:
				said.WriteString(d.Value)
			case *rt.ContentBlockDeltaMemberToolUse:
				input.WriteString(*d.Value.Input)
			}
		case *rt.ConverseStreamOutputMemberMessageStop:
			stop = e.Value.StopReason
		case *rt.ConverseStreamOutputMemberMetadata:
			usage = e.Value.Usage
		}
	}
	if err := out.GetStream().Err(); err != nil {
		t.Fatal(err)
	}
	var args map[string]any
	if err := json.Unmarshal([]byte(input.String()), &args); err != nil || args["city"] == nil || use.Name == nil || *use.Name != "weather" ||
		stop != rt.StopReasonToolUse || usage == nil || *usage.OutputTokens == 0 {
		t.Fatalf("use %+v of %q (%v), stop %s, usage %+v", use, input.String(), err, stop, usage)
	}
	use.Input = document.NewLazyDocument(args)
	var blocks []rt.ContentBlock
	if said.Len() > 0 {
		blocks = append(blocks, &rt.ContentBlockMemberText{Value: said.String()})
	}
	messages = slices.Concat(messages, []rt.Message{
		{Role: rt.ConversationRoleAssistant, Content: append(blocks, &rt.ContentBlockMemberToolUse{Value: use})},
		{Role: rt.ConversationRoleUser, Content: []rt.ContentBlock{&rt.ContentBlockMemberToolResult{Value: rt.ToolResultBlock{
			ToolUseId: use.ToolUseId, Content: []rt.ToolResultContentBlock{&rt.ToolResultContentBlockMemberText{Value: "it rains"}},
		}}}},
	})
	answer, err := c.Converse(ctx, &bedrockruntime.ConverseInput{ModelId: new(story.Japan), Messages: messages, ToolConfig: tools})
	if err != nil {
		t.Fatal(err)
	}
	m, ok := answer.Output.(*rt.ConverseOutputMemberMessage)
	if !ok || len(m.Value.Content) == 0 {
		t.Fatalf("%+v", answer.Output)
	}
	if text, ok := m.Value.Content[0].(*rt.ContentBlockMemberText); !ok || !strings.Contains(text.Value, "it rains") {
		t.Errorf("%+v", m.Value.Content)
	}
}

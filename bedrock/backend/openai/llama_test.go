package openai_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tokaido/bedrock"
	"tokaido/bedrock/backend/openai"
	"tokaido/bedrock/backend/upstream"
	"tokaido/bedrock/catalog"
	"tokaido/fault"
	"tokaido/value"
)

// findLlama is a real llama.cpp server: the one that a variable names, the one
// on the path, or the one that `make llama` left.
func findLlama(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("TOKAIDO_LLAMA"); p != "" {
		return p
	}
	if p, err := exec.LookPath("llama-server"); err == nil {
		return p
	}
	if p := filepath.Join(os.TempDir(), "tokaido-llama", "llama-server"); exec.Command(p, "--version").Run() == nil {
		return p
	}
	t.Skip("the backend was not tried with a real llama.cpp: there is no llama-server on the path; `make llama` makes one, TOKAIDO_LLAMA names one that is elsewhere")
	return ""
}

const llamaStart = 2 * time.Minute // a loaded machine may take long to read a file of a few hundred kilobytes

// startLlama runs a server with the test's own model and returns its address.
func startLlama(t *testing.T, args ...string) string {
	t.Helper()
	bin := findLlama(t)
	model := filepath.Join(t.TempDir(), "tiny.gguf")
	tinyModel(t, model)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	// Each of the two at once has half of the context.
	cmd := exec.CommandContext(ctx, bin, append([]string{"-m", model, "--alias", "tiny", "--host", "127.0.0.1", "--port", strconv.Itoa(port),
		"--ctx-size", strconv.Itoa(2 * window), "--parallel", "2", "--threads", "1", "--no-warmup", "--slots"}, args...)...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	url := "http://127.0.0.1:" + strconv.Itoa(port)
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("llama-server's log ended:\n%s", log.Bytes()[max(0, log.Len()-4000):])
		}
	})
	for end := time.Now().Add(llamaStart); ; {
		if resp, err := http.Get(url + "/health"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return url
			}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("llama-server ended: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("llama-server was not there after %v", llamaStart)
		}
	}
}

// llamaAsk asks the server itself.
func llamaAsk(t *testing.T, method, url, body string) value.Value {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	doc, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %s, %v", url, resp.StatusCode, doc, err)
	}
	v, err := value.Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The models that the llama.cpp server answers for: its own form, and one that
// is translated.
var llamaModels = []string{"openai.gpt-oss-20b-1:0", "anthropic.claude-3-haiku-20240307-v1:0"}

func llamaRuntime(t *testing.T, url string) *bedrock.Runtime {
	t.Helper()
	b, err := openai.New(openai.Config{Connection: upstream.Config{Name: "llama", URL: url + "/v1"}, Model: func(*catalog.Model) string { return "tiny" }})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if list, err := b.Models(t.Context()); err != nil || len(list) != 1 || list[0] != "tiny" {
		t.Errorf("its models: %v %v", list, err)
	}
	return bedrock.New(bedrock.Config{Backend: func(string, *catalog.Model) bedrock.Backend { return b }})
}

func prepare(t *testing.T, rt *bedrock.Runtime, model, request string) *bedrock.Prepared {
	t.Helper()
	p, err := rt.PlanHere("ap-northeast-1", "123456789012", model)
	if err != nil {
		t.Fatal(err)
	}
	c, err := rt.Prepare(p, value.MustParse(request))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// asked is a conversation of one turn that the model answers always the same.
func asked(said string, inference, more string) string {
	return fmt.Sprintf(`{"messages":[{"role":"user","content":[{"text":%s}]}],"inferenceConfig":{"temperature":0%s}%s}`, value.String(said).JSON(), inference, more)
}

// The backend against a llama.cpp server that has a model with random weights:
// what a conversation says, counts and ends in, whole and streamed.
func TestLlama(t *testing.T) {
	url := startLlama(t)
	rt := llamaRuntime(t, url)
	for _, model := range llamaModels {
		for _, c := range []struct {
			name, said, inference string
			text, stop            string
			tokens                int // of output
		}{
			{"whole", "sing", `,"maxTokens":20`, "one two three four", "end_turn", 5},
			{"cut", "please count", `,"maxTokens":7`, "again more count again more count again", "max_tokens", 7},
			{"stopped", "sing", `,"maxTokens":20,"stopSequences":[" three"]`, "one two", "end_turn", 0}, // chat completions say "stop" of both
		} {
			t.Run(c.name+"-"+model, func(t *testing.T) {
				p := prepare(t, rt, model, asked(c.said, c.inference, ""))
				out, res, err := rt.Converse(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				msg := out.Get("output").Get("message")
				if got := strings.TrimSpace(msg.Get("content").At(0).Get("text").Str()); got != c.text || msg.Get("role").Str() != "assistant" {
					t.Errorf("it says %s", out)
				}
				if got := out.Get("stopReason").Str(); got != c.stop {
					t.Errorf("it stops because of %s, want %s", got, c.stop)
				}
				// What the server itself makes of the words.
				prompt := llamaAsk(t, "POST", url+"/apply-template", `{"messages":[{"role":"user","content":`+value.String(c.said).JSON()+`}]}`).Get("prompt")
				want := llamaAsk(t, "POST", url+"/tokenize", value.Object(value.Member{Key: "content", Value: prompt}, value.Member{Key: "add_special", Value: value.Bool(true)}).JSON()).Get("tokens").Len()
				if got := res.Usage.Input + res.Usage.CacheRead; got != want {
					t.Errorf("%+v is %d tokens of input, the server says %d", res.Usage, got, want)
				}
				if c.tokens > 0 && res.Usage.Output != c.tokens {
					t.Errorf("%d tokens of output, want %d", res.Usage.Output, c.tokens)
				}

				var text strings.Builder
				var order []string
				stop := ""
				sres, err := rt.ConverseStream(t.Context(), p, nil, func(name string, payload value.Value) error {
					if n := len(order); n == 0 || order[n-1] != name {
						order = append(order, name)
					}
					text.WriteString(payload.Get("delta").Get("text").Str())
					if name == "messageStop" {
						stop = payload.Get("stopReason").Str()
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.TrimSpace(text.String()); got != c.text || stop != c.stop {
					t.Errorf("streamed: %q, %s", got, stop)
				}
				if got := strings.Join(order, " "); got != "messageStart contentBlockDelta contentBlockStop messageStop metadata" {
					t.Errorf("events come as %s", got)
				}
				if sres.Usage.Input+sres.Usage.CacheRead != want || sres.Usage.Output != res.Usage.Output {
					t.Errorf("streamed, usage is %+v; whole, %+v", sres.Usage, res.Usage)
				}
			})
		}
	}

	// A grammar makes even random weights call a tool as it is declared.
	t.Run("Tools", func(t *testing.T) {
		const tools = `,"toolConfig":{"toolChoice":{"any":{}},"tools":[{"toolSpec":{"name":"weather","inputSchema":{"json":{"type":"object","properties":{"city":{"type":"string","enum":["Kyoto"]}},"required":["city"],"additionalProperties":false}}}}]}`
		for _, model := range llamaModels {
			p := prepare(t, rt, model, asked("call", `,"maxTokens":500`, tools))
			out, _, err := rt.Converse(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			content := out.Get("output").Get("message").Get("content")
			use := content.At(content.Len() - 1).Get("toolUse")
			if use.Get("name").Str() != "weather" || use.Get("input").Get("city").Str() != "Kyoto" || use.Get("toolUseId").Str() == "" || out.Get("stopReason").Str() != "tool_use" {
				t.Errorf("%s: it answers %s", model, out)
			}
			var input strings.Builder
			name, stop := "", ""
			if _, err := rt.ConverseStream(t.Context(), p, nil, func(event string, payload value.Value) error {
				switch event {
				case "contentBlockStart":
					name = payload.Get("start").Get("toolUse").Get("name").Str()
				case "contentBlockDelta":
					input.WriteString(payload.Get("delta").Get("toolUse").Get("input").Str())
				case "messageStop":
					stop = payload.Get("stopReason").Str()
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if v, err := value.ParseString(input.String()); err != nil || v.Get("city").Str() != "Kyoto" || name != "weather" || stop != "tool_use" {
				t.Errorf("%s: streamed: %s(%s), %s", model, name, input.String(), stop)
			}
		}
	})

	// A client that leaves frees the server's slot.
	t.Run("Cancelled", func(t *testing.T) {
		busy := func() bool {
			for _, s := range llamaAsk(t, "GET", url+"/slots", "").Items() {
				if s.Get("is_processing").Bool() {
					return true
				}
			}
			return false
		}
		idle := func(what string) {
			t.Helper()
			// The server looks whether its client is there after a second without news, and an answer to us is news.
			for end := time.Now().Add(llamaStart); busy(); time.Sleep(1500 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%s: the server goes on for nobody", what)
				}
			}
		}
		forever := prepare(t, rt, llamaModels[0], asked("count", `,"maxTokens":8000`, ""))
		ctx, cancel := context.WithCancel(t.Context())
		res, err := rt.ConverseStream(ctx, forever, nil, func(name string, _ value.Value) error {
			if name == "contentBlockDelta" {
				cancel()
			}
			return nil
		})
		if err == nil || res.Attempts[0].Outcome != bedrock.Refused {
			t.Errorf("a stream that was left: %v, %+v", err, res.Attempts)
		}
		idle("stream")
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() {
			_, _, err := rt.Converse(ctx, forever)
			done <- err
		}()
		for !busy() {
			select {
			case err := <-done:
				t.Fatalf("8,000 tokens were said at once: %v", err)
			case <-time.After(time.Millisecond):
			}
		}
		cancel()
		if err := <-done; err == nil {
			t.Error("an answer that nobody waited for")
		}
		idle("whole")
	})

	t.Run("Refused", func(t *testing.T) {
		_, _, err := rt.Converse(t.Context(), prepare(t, rt, llamaModels[0], asked(strings.Repeat("sing ", 2*window), `,"maxTokens":5`, "")))
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != "ValidationException" {
			t.Errorf("more than its window: %v", err)
		}
	})

	t.Run("Chat", func(t *testing.T) {
		p, err := rt.PlanHere("ap-northeast-1", "123456789012", llamaModels[0])
		if err != nil {
			t.Fatal(err)
		}
		res, err := rt.Invoke(t.Context(), p, bedrock.Request{Body: []byte(`{"messages":[{"role":"user","content":"sing"}],"temperature":0,"max_completion_tokens":20}`)})
		if err != nil {
			t.Fatal(err)
		}
		var out struct {
			Model   string
			Choices []struct {
				Message struct{ Content string }
			}
		}
		if err := json.Unmarshal(res.Body, &out); err != nil || out.Model != llamaModels[0] || strings.TrimSpace(out.Choices[0].Message.Content) != "one two three four" {
			t.Errorf("%s, %v", res.Body, err)
		}
	})
}

// Vectors of a real llama.cpp, for models of two families.
func TestLlamaEmbeddings(t *testing.T) {
	rt := llamaRuntime(t, startLlama(t, "--embeddings", "--pooling", "mean"))
	for model, body := range map[string]string{
		"amazon.titan-embed-text-v2:0": `{"inputText":"sing"}`,
		"cohere.embed-english-v3":      `{"texts":["sing","please count"],"input_type":"clustering"}`,
	} {
		p, err := rt.PlanHere("ap-northeast-1", "123456789012", model)
		if err != nil {
			t.Fatal(err)
		}
		res, err := rt.Invoke(t.Context(), p, bedrock.Request{Body: []byte(body)})
		if err != nil {
			t.Errorf("%s: %v", model, err)
			continue
		}
		v, err := value.Parse(res.Body)
		list := v.Get("embeddings")
		if v.Has("embedding") {
			list = value.Array(v.Get("embedding"))
		}
		for _, x := range list.Items() {
			if x.Len() != width {
				t.Errorf("%s: a vector of %d dimensions", model, x.Len())
			}
		}
		if err != nil || list.Len() == 0 || res.Usage.Input == 0 {
			t.Errorf("%s: %.200s %+v %v", model, res.Body, res.Usage, err)
		}
		_, err = rt.Invoke(t.Context(), p, bedrock.Request{Body: []byte(strings.Replace(body, `{"inputText"`, `{"dimensions":256,"inputText"`, 1))})
		if f, ok := errors.AsType[*fault.Error](err); strings.HasPrefix(model, "amazon.") && (!ok || !strings.Contains(f.Message, "64 dimensions")) {
			t.Errorf("%s: other dimensions than the model has: %v", model, err)
		}
	}
}

// A Llama of AWS's, whose body is a prompt that tells of tools, on a real server: it
// is asked with tools, and with what came of one. Probes find it well.
func TestLlamaPrompts(t *testing.T) {
	url := startLlama(t)
	rt := llamaRuntime(t, url)
	b, err := openai.New(openai.Config{Connection: upstream.Config{Name: "llama", URL: url + "/v1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Probes()[0].Ask(t.Context()); err != nil {
		t.Error(err)
	}
	if owner := llamaAsk(t, "GET", url+"/v1/models", "").Get("data").At(0).Get("owned_by").Str(); owner != "llamacpp" {
		t.Errorf("the list of models is %s's: its /health is not asked", owner)
	}
	const tools = `,"toolConfig":{"tools":[{"toolSpec":{"name":"weather","inputSchema":{"json":{"type":"object","properties":{"city":{"type":"string"}}}}}}]}`
	past := `{"messages":[{"role":"user","content":[{"text":"sing"}]},{"role":"assistant","content":[{"toolUse":{"toolUseId":"a","name":"weather","input":{"city":"Kyoto"}}}]},
		{"role":"user","content":[{"toolResult":{"toolUseId":"a","content":[{"text":"rain"}]}}]}],"inferenceConfig":{"temperature":0,"maxTokens":20}` + tools + `}`
	for _, model := range []string{"meta.llama3-1-8b-instruct-v1:0", "meta.llama3-3-70b-instruct-v1:0", "meta.llama4-scout-17b-instruct-v1:0"} {
		for _, request := range []string{asked("sing", `,"maxTokens":20`, tools), past} {
			out, res, err := rt.Converse(t.Context(), prepare(t, rt, model, request))
			if err != nil {
				t.Errorf("%s: %v", model, err)
				continue
			}
			if res.Usage.Input+res.Usage.CacheRead == 0 || out.Get("output").Get("message").Get("content").Len() == 0 {
				t.Errorf("%s: %s", model, out)
			}
		}
	}
}

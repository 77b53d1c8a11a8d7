package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	br "github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sf "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"tokaido/e2e/harness"
	"tokaido/e2e/story"
)

// quickTrail delivers and signs fast enough for a test.
const quickTrail = `
trail:
  checkpointEvery: 200ms
  deliverEvery: 300ms
  digestEvery: 1s
`

// converse asks the story's profile something.
func converse(ctx context.Context, s *harness.Server, text string) (requestID string, err error) {
	return converseWith(ctx, s, story.Profile, text)
}

func converseWith(ctx context.Context, s *harness.Server, profile, text string) (requestID string, err error) {
	client := bedrockruntime.NewFromConfig(s.Config(story.Region))
	out, err := client.Converse(ctx, &bedrockruntime.ConverseInput{
		ModelId:  aws.String(profile),
		Messages: []br.Message{{Role: br.ConversationRoleUser, Content: []br.ContentBlock{&br.ContentBlockMemberText{Value: text}}}},
	})
	if err != nil {
		return "", err
	}
	id, ok := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	if !ok {
		return "", fmt.Errorf("no request id")
	}
	return id, nil
}

// TestValidateLogs: the aws CLI accepts the files that a trail delivers, and
// rejects a log file, and a digest file, that was tampered with.
func TestValidateLogs(t *testing.T) {
	cli := awsCLI(t, "validate-logs did not run")
	s := start(t, quickTrail)
	call := func(args ...string) string {
		t.Helper()
		out, err := tryCommand(s, cli, args...)
		if err != nil {
			t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(out)
	}
	arn := call("cloudtrail", "create-trail", "--name", "audit", "--s3-bucket-name", "audit-logs", "--s3-key-prefix", "p", "--is-multi-region-trail",
		"--tags-list", "Key=team,Value=audit", "--query", "TrailARN", "--output", "text")
	if got := call("cloudtrail", "update-trail", "--name", "audit", "--enable-log-file-validation", "--query", "[LogFileValidationEnabled,S3KeyPrefix]", "--output", "text"); got != "True\tp" {
		t.Errorf("update-trail: %q", got)
	}
	call("cloudtrail", "add-tags", "--resource-id", arn, "--tags-list", "Key=stage,Value=test")
	call("cloudtrail", "remove-tags", "--resource-id", arn, "--tags-list", "Key=team")
	if got := call("cloudtrail", "list-tags", "--resource-id-list", arn, "--query", "ResourceTagList[0].TagsList[].[Key,Value]", "--output", "text"); got != "stage\ttest" {
		t.Errorf("list-tags: %q", got)
	}
	call("cloudtrail", "put-event-selectors", "--trail-name", "audit", "--event-selectors", `[{"ReadWriteType":"All","IncludeManagementEvents":true}]`)
	call("cloudtrail", "put-event-selectors", "--trail-name", "audit", "--advanced-event-selectors",
		`[{"Name":"all but KMS","FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]},{"Field":"eventSource","NotEquals":["kms.amazonaws.com"]}]}]`)
	call("cloudtrail", "start-logging", "--name", "audit")
	account := strings.Split(arn, ":")[4]
	base := filepath.Join(s.DataDir, "buckets", "audit-logs", "p", "AWSLogs", account)
	// Three digests with a log file each: that the newest one is gone nothing can tell.
	for n := range 3 {
		if _, err := converse(t.Context(), s, "hello"); err != nil {
			t.Fatal(err)
		}
		await(t, "a log file and a digest file", func() bool {
			return len(below(t, filepath.Join(base, "CloudTrail", story.Region), ".json.gz")) > n &&
				len(below(t, filepath.Join(base, "CloudTrail-Digest", story.Region), ".json.gz")) > n
		})
	}
	call("cloudtrail", "stop-logging", "--name", "audit")
	if got := call("cloudtrail", "get-trail-status", "--name", "audit", "--query", "[IsLogging,LatestDeliveryError]", "--output", "text"); got != "False\tNone" {
		t.Errorf("status %q", got)
	}
	validate := func() (string, error) {
		return tryCommand(s, cli, "cloudtrail", "validate-logs", "--trail-arn", arn, "--start-time", "2020-01-01T00:00:00Z", "--verbose")
	}
	out, err := validate()
	if err != nil || !strings.Contains(out, "digest files valid") || !strings.Contains(out, "log files valid") || strings.Contains(out, "INVALID") || strings.Contains(out, "0/0") {
		t.Fatalf("validate-logs: %v\n%s", err, out)
	}
	t.Log(out[strings.Index(out, "Results requested"):])
	for _, kind := range []string{"CloudTrail", "CloudTrail-Digest"} {
		name := below(t, filepath.Join(base, kind, story.Region), ".json.gz")[0]
		before, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(before))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		var changed bytes.Buffer
		w := gzip.NewWriter(&changed)
		w.Write(bytes.Replace(body, []byte(story.Region), []byte("ap-northeast-9"), 1))
		w.Close()
		if err := os.WriteFile(name, changed.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := validate(); err == nil || !strings.Contains(out, "INVALID") {
			t.Errorf("a tampered %s file: %v\n%s", kind, err, out)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if out, err := validate(); err == nil || !strings.Contains(out, "INVALID") {
			t.Errorf("a %s file that is gone: %v\n%s", kind, err, out)
		}
		if err := os.WriteFile(name, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := validate(); err != nil {
		t.Errorf("put back: %v\n%s", err, out)
	}
	// The folder can be listed and copied with the ordinary tools.
	if out := call("s3", "ls"); !strings.Contains(out, "audit-logs") {
		t.Errorf("s3 ls: %s", out)
	}
	if out := call("s3", "ls", "s3://audit-logs/p/AWSLogs/"+account+"/"); !strings.Contains(out, "PRE CloudTrail/") || !strings.Contains(out, "PRE CloudTrail-Digest/") {
		t.Errorf("s3 ls: %s", out)
	}
	copied := t.TempDir()
	call("s3", "sync", "s3://audit-logs/p", copied)
	for _, name := range below(t, filepath.Join(s.DataDir, "buckets", "audit-logs", "p"), ".json.gz") {
		rel, err := filepath.Rel(filepath.Join(s.DataDir, "buckets", "audit-logs", "p"), name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(copied, rel))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("s3 sync: %s: %v", rel, err)
		}
	}
	if out := call("s3", "sync", "s3://audit-logs/p", copied); out != "" {
		t.Errorf("a second s3 sync copies again:\n%s", out)
	}
	rel, err := filepath.Rel(filepath.Join(s.DataDir, "buckets", "audit-logs"), below(t, base, ".json.gz")[0])
	if err != nil {
		t.Fatal(err)
	}
	call("s3", "cp", "s3://audit-logs/"+filepath.ToSlash(rel), filepath.Join(copied, "one.gz"))
	if out, err := tryCommand(s, cli, "s3api", "get-object", "--bucket", "audit-logs", "--key", "../../root-key.json", os.DevNull); err == nil {
		t.Errorf("read a file outside the bucket:\n%s", out)
	}
	if out, err := tryCommand(s, cli, "s3api", "put-object", "--bucket", "audit-logs", "--key", "x"); err == nil || !strings.Contains(out, "NotImplemented") {
		t.Errorf("put-object: %v\n%s", err, out)
	}
}

// below lists the files below dir, the oldest first; none if there is no dir.
func below(t *testing.T, dir, suffix string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name()[0] != '.' && strings.HasSuffix(p, suffix) {
			names = append(names, p)
		}
		if errors.Is(err, fs.ErrNotExist) { // not yet, or no longer
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// await waits until something is so.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestKilledTrail kills the server with SIGKILL while inferences are answered:
// the log verifies as it was left and as the next start leaves it, and has every
// answer that a client got, with its receipt.
func TestKilledTrail(t *testing.T) {
	dir := t.TempDir()
	ctx := context.WithoutCancel(t.Context())
	s, err := harness.Start(ctx, binary, dir, quickTrail)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	answered := map[string]bool{}
	for round := range 3 {
		var mu sync.Mutex
		var wg sync.WaitGroup
		running, cancel := context.WithCancel(ctx)
		enough := len(answered) + 20 + rand.IntN(100)
		for range 8 {
			wg.Go(func() {
				for running.Err() == nil {
					id, err := converse(running, s, "hello")
					if err != nil {
						return
					}
					mu.Lock()
					answered[id] = true
					mu.Unlock()
				}
			})
		}
		await(t, "answers, and the first checkpoint of the log", func() bool {
			mu.Lock()
			defer mu.Unlock()
			_, err := os.Stat(filepath.Join(dir, "trail", "checkpoint"))
			return len(answered) >= enough && err == nil
		})
		s.Kill()
		cancel()
		wg.Wait()
		// A torn end is what a crash leaves; damage anywhere else it is not.
		if out, err := s.Run(ctx, "trail", "verify"); err != nil && !strings.Contains(err.Error(), ".trail is damaged at offset") {
			t.Errorf("round %d: as it was left: %v\n%s", round, err, out)
		}
		if s, err = harness.Start(ctx, binary, dir, quickTrail); err != nil {
			t.Fatal(err)
		}
		out, err := s.Run(ctx, "trail", "verify", "--format", "json")
		if err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, out)
		}
		found, err := s.Run(ctx, "trail", "search", "--event", "Converse", "--format", "json")
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for line := range strings.Lines(found) {
			var e struct {
				RequestID           string
				ErrorCode           string
				AdditionalEventData struct{ Receipt struct{ Signature string } }
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			got[e.RequestID] = e.ErrorCode == "" && e.AdditionalEventData.Receipt.Signature != ""
		}
		for id := range answered {
			if !got[id] {
				t.Errorf("round %d: the answer to %s is not recorded with its receipt", round, id)
			}
		}
	}
	t.Logf("%d answers in three rounds, each recorded", len(answered))
}

// TestWhichRanInOsaka: which of these jp. calls ran in Osaka? One command
// answers, over the server's own trail and over the files that a trail delivers,
// while the server runs.
func TestWhichRanInOsaka(t *testing.T) {
	s := start(t, quickTrail+`
bedrock:
  limits:
    ap-northeast-1: {requestsPerMinute: 2}
`)
	ctx := t.Context()
	cli, cliErr := exec.LookPath("aws")
	if cliErr == nil {
		for _, args := range [][]string{
			{"cloudtrail", "create-trail", "--name", "audit", "--s3-bucket-name", "audit-logs"}, {"cloudtrail", "start-logging", "--name", "audit"},
		} {
			if out, err := tryCommand(s, cli, args...); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
	} else {
		t.Log("the aws CLI is not installed: the report over delivered files did not run")
	}
	asked := map[string]bool{}
	for range 5 { // more than Tokyo takes in a minute: Osaka serves some
		id, err := converseWith(ctx, s, story.Japan, "hello")
		if err != nil {
			t.Fatal(err)
		}
		asked[id] = true
	}
	found, err := s.Run(ctx, "trail", "search", "--profile", "jp.*", "--served-in", "ap-northeast-3", "--format", "json")
	if err != nil {
		t.Fatal(err)
	}
	osaka := map[string]bool{}
	for l := range strings.Lines(found) {
		var e struct{ RequestID string }
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatal(err)
		}
		osaka[e.RequestID] = true
	}
	if len(osaka) == 0 || len(osaka) == len(asked) {
		t.Fatalf("Osaka served %d of %d calls, so that this test proves nothing", len(osaka), len(asked))
	}
	answers := func(args ...string) {
		t.Helper()
		out, err := s.Run(ctx, append([]string{"residency", "report", "--profile", "jp.*", "--boundary", "ap-northeast-1"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d calls left it, 0 may have", len(osaka))) {
			t.Errorf("%v\n%s", err, out)
		}
		for id := range asked {
			if named := strings.Contains(out, id); named != osaka[id] {
				t.Errorf("%s ran in Osaka: %v, the report says %v\n%s", id, osaka[id], named, out)
			}
		}
	}
	answers()
	if cliErr == nil {
		if out, err := tryCommand(s, cli, "cloudtrail", "stop-logging", "--name", "audit"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		answers(filepath.Join(s.DataDir, "buckets", "audit-logs"))
		events := filepath.Join(t.TempDir(), "events.json")
		out, err := tryCommand(s, cli, "cloudtrail", "lookup-events", "--lookup-attributes", "AttributeKey=EventName,AttributeValue=Converse")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := os.WriteFile(events, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
		answers(events)
	}
}

// TestNothingSecretIsTold looks for planted secrets in all that the trail and
// what is made of it put out, in the log of the server, the metrics, the
// spans and the console's page.
func TestNothingSecretIsTold(t *testing.T) {
	s := start(t, quickTrail)
	const prompt, key = "PLANTED-PROMPT-8153", "PLANTED-REQUEST-8154"
	ctx := t.Context()
	clients := iam.NewFromConfig(s.Config(story.Region))
	if _, err := clients.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("u")}); err != nil {
		t.Fatal(err)
	}
	made, err := clients.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("u")})
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{prompt, key, *made.AccessKey.SecretAccessKey, s.Key.SecretAccessKey}
	cli, cliErr := exec.LookPath("aws")
	if cliErr == nil {
		for _, args := range [][]string{
			{"cloudtrail", "create-trail", "--name", "audit", "--s3-bucket-name", "audit-logs", "--is-multi-region-trail", "--enable-log-file-validation"},
			{"cloudtrail", "start-logging", "--name", "audit"},
		} {
			if out, err := tryCommand(s, cli, args...); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
	}
	for range 3 {
		if _, err := converse(ctx, s, prompt); err != nil {
			t.Fatal(err)
		}
	}
	runtime := bedrockruntime.NewFromConfig(s.Config(story.Region))
	runtime.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{ModelId: aws.String(story.Profile), Body: []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"` + prompt + `"}]}`)})
	runtime.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{ModelId: aws.String(story.Profile), Body: []byte(`{"broken":"` + key)})
	// A workflow's own call, in an execution whose spans are written.
	states := sfn.NewFromConfig(s.Config(story.Region))
	definition := `{"StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:bedrockruntime:converse","Parameters":{"ModelId":"` + story.Profile +
		`","Messages":[{"Role":"user","Content":[{"Text":"` + prompt + `"}]}]},"End":true}}}`
	role := statesRole(t, s)
	if _, err := clients.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String(role[strings.LastIndexByte(role, '/')+1:]), PolicyName: aws.String("bedrock"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"bedrock:*","Resource":"*"}}`)}); err != nil {
		t.Fatal(err)
	}
	machine := must(states.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name: aws.String("asks"), RoleArn: &role, Definition: &definition, TracingConfiguration: &sf.TracingConfiguration{Enabled: true},
	}))(t).StateMachineArn
	run := must(states.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: machine, Input: aws.String(`{"secret":"` + key + `"}`)}))(t).ExecutionArn
	await(t, "the execution", func() bool {
		out := must(states.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: run}))(t)
		if out.Status == sf.ExecutionStatusFailed {
			t.Fatalf("%s: %s", aws.ToString(out.Error), aws.ToString(out.Cause))
		}
		return out.Status == sf.ExecutionStatusSucceeded
	})
	spans := filepath.Join(s.DataDir, "traces.jsonl")
	await(t, "spans", func() bool {
		b, err := os.ReadFile(spans)
		return err == nil && bytes.Contains(b, []byte("asks"))
	})
	if cliErr == nil {
		await(t, "a log file with the calls", func() bool { return len(below(t, filepath.Join(s.DataDir, "buckets"), ".json.gz")) > 0 })
	}
	await(t, "a checkpoint", func() bool {
		_, err := os.Stat(filepath.Join(s.DataDir, "trail", "checkpoint"))
		return err == nil
	})
	told := map[string]string{"the server's log": s.Log()}
	b, err := os.ReadFile(spans)
	if err != nil {
		t.Fatal(err)
	}
	told["spans"] = string(b)
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/console/"} {
		resp, err := http.Get(s.Endpoint + path) //nolint:noctx // of the test's own server
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		told[path] = string(b)
	}
	if !strings.Contains(told["/metrics"], "tokaido") {
		t.Errorf("no metrics: %s", told["/metrics"])
	}
	for _, args := range [][]string{
		{"trail", "verify"}, {"trail", "verify", "--format", "json"}, {"trail", "search"}, {"trail", "search", "--format", "json"}, {"trail", "export", "--format", "jsonl"},
		{"residency", "report", "--format", "json", "--by", "profile,model,principal,workflow"}, {"residency", "report", "--format", "html"}, {"residency", "report"}, {"residency", "report", "--format", "csv"},
	} {
		out, err := s.Run(ctx, args...)
		if err != nil {
			t.Fatal(err)
		}
		told[strings.Join(args, " ")] = out
	}
	if cliErr == nil {
		out, err := tryCommand(s, cli, "cloudtrail", "lookup-events", "--max-items", "500")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		told["lookup-events"] = out
	}
	for _, part := range []string{"trail", "delivery", "buckets", "keys"} {
		err := filepath.WalkDir(filepath.Join(s.DataDir, part), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			if err == nil && strings.HasSuffix(p, ".gz") {
				z, zerr := gzip.NewReader(bytes.NewReader(b))
				if zerr != nil {
					return zerr
				}
				b, err = io.ReadAll(z)
			}
			told[p] = string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(told["trail search"], "Converse") {
		t.Error("the search found nothing, so that this test proves nothing")
	}
	for where, text := range told {
		for _, secret := range secrets {
			if where == "the server's log" && secret == s.Key.SecretAccessKey {
				continue // printed once, at the first start, as it is meant to be
			}
			if strings.Contains(text, secret) {
				t.Errorf("%s tells %s", where, secret)
			}
		}
	}
}

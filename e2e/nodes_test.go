package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"tokaido/e2e/harness"
	"tokaido/e2e/story"
)

const tokyo, osaka = "ap-northeast-1", "ap-northeast-3"

// road is an address that leads to a node, before the node is there and again
// after it was killed.
type road struct {
	listener net.Listener
	to       atomic.Value // string
}

func openRoad(t *testing.T) *road {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &road{listener: l}
	r.to.Store("")
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go r.carry(in)
		}
	}()
	return r
}

func (r *road) url() string { return "http://" + r.listener.Addr().String() }

func (r *road) carry(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", r.to.Load().(string))
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		io.Copy(out, in)
		out.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(in, out)
}

// nodes are two processes, each one Region of its own, that serve a jp. profile
// between them. A third address must never be asked.
type nodes struct {
	t       *testing.T
	servers map[string]*harness.Server // by Region
	dirs    map[string]string
	roads   map[string]*road
	configs map[string]string
	third   atomic.Int64 // requests that came there
}

func startNodes(t *testing.T) *nodes {
	n := &nodes{t: t, servers: map[string]*harness.Server{}, dirs: map[string]string{}, roads: map[string]*road{}, configs: map[string]string{}}
	trap := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// It is asked whether it is there: at the start, and by probes, which say nothing.
		start := strings.HasPrefix(r.URL.Path, "/model/tokaido.health/")
		probe := r.Method == http.MethodGet && r.URL.Path == "/readyz" && r.ContentLength == 0 && r.Header.Get("Authorization") == ""
		if !start && !probe {
			n.third.Add(1)
		}
		w.WriteHeader(http.StatusBadRequest)
	}))
	t.Cleanup(trap.Close)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("test"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, region := range []string{tokyo, osaka} {
		n.roads[region], n.dirs[region] = openRoad(t), t.TempDir()
	}
	keys := n.exchangeKeys()
	for region, other := range map[string]string{tokyo: osaka, osaka: tokyo} {
		n.configs[region] = fmt.Sprintf(`
dev: true
trail:
  requireReceipts: true
  peerKeys: [%q]
bedrock:
  backends:
    here: {type: simulated}
    there: {type: amazon, url: %q, accessKeyId: test, secretKeyFile: %q}
    third: {type: amazon, url: %q, accessKeyId: test, secretKeyFile: %q}
  regions:
    %s: [{models: "*", backend: here}]
    %s: [{models: "*", backend: there}]
    "*": [{models: "*", backend: third}]
  limits:
    %s: {concurrency: 6}
  simulated:
    regions:
      %s: {latency: 5ms, pace: 3ms}
`, keys[other], n.roads[other].url(), secret, trap.URL, secret, region, other, region, region)
		n.start(region)
	}
	return n
}

// exchangeKeys returns the keys that the nodes sign receipts with. Each is made
// when its node first serves something.
func (n *nodes) exchangeKeys() map[string]string {
	n.t.Helper()
	keys := map[string]string{}
	for _, region := range []string{tokyo, osaka} {
		n.configs[region] = "dev: true\n"
		n.start(region)
		s := n.servers[region]
		if _, err := bedrockruntime.NewFromConfig(s.Config(region)).Converse(n.t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(story.Japan), Messages: hello}); err != nil {
			n.t.Fatal(err)
		}
		s.Kill()
		out, err := s.Run(n.t.Context(), "trail", "keys")
		if err != nil {
			n.t.Fatal(err)
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, "/region/"+region+"+") {
				keys[region] = strings.TrimSpace(line)
			}
		}
		if keys[region] == "" {
			n.t.Fatalf("%s has no key of its Region: %s", region, out)
		}
	}
	return keys
}

var hello = []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "hello there, how do you do today?"}}}}

func (n *nodes) start(region string) {
	n.t.Helper()
	s, err := harness.Start(context.WithoutCancel(n.t.Context()), binary, n.dirs[region], n.configs[region])
	if err != nil {
		n.t.Fatal(err)
	}
	s.Key = aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}
	n.servers[region] = s
	n.roads[region].to.Store(strings.TrimPrefix(s.Endpoint, "http://"))
	n.t.Cleanup(func() {
		s.Kill()
		if n.t.Failed() {
			n.t.Logf("%s's log ended:\n%s", region, s.Log())
		}
	})
}

// tally is what came of many calls.
type tally struct {
	mu       sync.Mutex
	calls    int // that the node answered, with whatever
	answered map[string]int
	streamed int // of the answers
	cut      int // streams that broke after they had begun
	errs     []error
}

// await waits until so many calls were made, and so many answered in a Region,
// since then.
func (y *tally) await(t *testing.T, calls int, region string, answers int) {
	t.Helper()
	y.mu.Lock()
	calls += y.calls
	answers += y.answered[region]
	y.mu.Unlock()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		y.mu.Lock()
		there := y.calls >= calls && y.answered[region] >= answers
		y.mu.Unlock()
		if there {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("two minutes brought not %d calls and %d answers in %s", calls, answers, region)
		}
	}
}

// load has many clients talk through one node until stop is closed. A call that
// is told to slow down does so and is made again.
func (n *nodes) load(region string, y *tally, stop <-chan struct{}) {
	client := bedrockruntime.NewFromConfig(n.servers[region].Config(region))
	model := aws.String(story.Japan)
	once := func(i int) (where string, begun bool, err error) {
		if i%2 == 0 {
			out, err := client.Converse(n.t.Context(), &bedrockruntime.ConverseInput{ModelId: model, Messages: hello})
			if err != nil {
				return "", false, err
			}
			return answeredIn(out.ResultMetadata), false, nil
		}
		out, err := client.ConverseStream(n.t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: model, Messages: hello})
		if err != nil {
			return "", false, err
		}
		s := out.GetStream()
		defer s.Close()
		complete := false
		for e := range s.Events() {
			begun = true
			if _, ok := e.(*types.ConverseStreamOutputMemberMetadata); ok {
				complete = true
			}
		}
		if err := s.Err(); err != nil || !complete {
			return "", begun, fmt.Errorf("stream: %w", errors.Join(err, errors.New("not complete")))
		}
		return answeredIn(out.ResultMetadata), begun, nil
	}
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				where, begun, err := once(i)
				y.mu.Lock()
				y.calls++
				y.mu.Unlock()
				switch api := smithy.APIError(nil); {
				case err == nil:
					y.mu.Lock()
					y.answered[where]++
					if begun {
						y.streamed++
					}
					y.mu.Unlock()
				case errors.As(err, &api) && api.ErrorCode() == "ThrottlingException":
					time.Sleep(10 * time.Millisecond)
				case begun:
					y.mu.Lock()
					y.cut++
					y.mu.Unlock()
				default:
					y.mu.Lock()
					y.errs = append(y.errs, err)
					y.mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
}

// answeredIn is the Region that an answer's header names.
func answeredIn(m middleware.Metadata) string {
	if r, ok := awsmiddleware.GetRawResponse(m).(*smithyhttp.Response); ok {
		return r.Header.Get("X-Tokaido-Inference-Region")
	}
	return ""
}

// A jp. profile between two nodes: both answer, whichever is asked; one that is
// killed under load costs only the streams that had begun there; every attempt
// is recorded, by who asked and by who served; every answer has a receipt of the
// Region that gave it; and nobody else is ever asked.
func TestTwoNodes(t *testing.T) {
	n := startNodes(t)
	ever := map[string]*tally{}
	for _, c := range []struct{ asked, killed string }{{tokyo, osaka}, {osaka, tokyo}} {
		y := &tally{answered: map[string]int{}}
		ever[c.asked] = y
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			n.load(c.asked, y, stop)
		}()
		y.await(t, 50, c.killed, 20)
		n.servers[c.killed].Kill()
		y.await(t, 60, c.asked, 20)
		n.start(c.killed)
		y.await(t, 0, c.killed, 10) // it is let back slowly
		close(stop)
		<-done
		for _, err := range y.errs[:min(len(y.errs), 5)] {
			t.Errorf("%s killed: a call that had not begun to be answered was lost: %v", c.killed, err)
		}
		t.Logf("asked %s, killed %s: %d calls, answered in %v, %d of them streams, %d streams cut, %d lost", c.asked, c.killed, y.calls, y.answered, y.streamed, y.cut, len(y.errs))
		if len(y.answered) != 2 || y.streamed == 0 || y.streamed == y.answered[tokyo]+y.answered[osaka] {
			t.Errorf("answered in %v, %d as streams; want both and no other, both ways", y.answered, y.streamed)
		}
		n.checkRecords(c.asked, y)
	}
	for region, other := range map[string]string{tokyo: osaka, osaka: tokyo} {
		n.checkServed(region, ever[other])
	}
	n.killAsked(ever)
	if k := n.third.Load(); k != 0 {
		t.Errorf("%d requests came to a third place", k)
	}
	for _, region := range []string{tokyo, osaka} {
		n.servers[region].Kill()
		out, err := n.servers[region].Run(t.Context(), "trail", "verify", "--config", filepath.Join(n.dirs[region], "tokaido.yaml"), "--format", "json")
		if err != nil {
			t.Fatal(err)
		}
		var report struct {
			Receipts struct{ Good, Bad, Missing int }
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s's log: %+v", region, report.Receipts)
		if y := ever[region]; report.Receipts.Bad != 0 || report.Receipts.Good < y.answered[tokyo]+y.answered[osaka] {
			t.Errorf("%s has %d good receipts of %d answers, and %d bad ones", region, report.Receipts.Good, y.answered[tokyo]+y.answered[osaka], report.Receipts.Bad)
		}
	}
}

// checkServed looks at what a node recorded of the other's calls: each answer
// that went through, and each that it was killed in.
func (n *nodes) checkServed(region string, asked *tally) {
	n.t.Helper()
	answered, served, unknown := asked.answered[region], 0, 0
	for _, e := range n.events(region) {
		if !strings.HasPrefix(e.name, "InvokeModel") {
			continue
		}
		if e.InferenceRegion() != "" && e.InferenceRegion() != region {
			n.t.Errorf("%s passed a call on to %s", region, e.InferenceRegion())
		}
		switch e.ErrorCode {
		case "":
			served++
		case "OutcomeUnknown": // it was killed in them
			unknown++
		}
	}
	n.t.Logf("%s recorded %d answers to the other, which counted %d, and %d that it was killed in, of which the other saw %d streams begin", region, served, answered, unknown, asked.cut)
	if served < answered || served+unknown < answered+asked.cut {
		n.t.Errorf("%s recorded %d answers to the other and %d calls that it was killed in; the other got %d, and %d that broke", region, served, unknown, answered, asked.cut)
	}
}

const clients = 16 // at once

// killAsked kills the node that the clients talk to. What they got is in its log
// when it is back, and what they did not get is too.
func (n *nodes) killAsked(ever map[string]*tally) {
	n.t.Helper()
	y := &tally{answered: map[string]int{}}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		n.load(tokyo, y, stop)
	}()
	y.await(n.t, 50, osaka, 10)
	n.servers[tokyo].Kill()
	close(stop)
	<-done
	n.start(tokyo)
	served, unknown := 0, 0
	for _, e := range n.events(tokyo) {
		if !strings.HasPrefix(e.name, "Converse") {
			continue
		}
		switch e.ErrorCode {
		case "":
			served++
		case "OutcomeUnknown":
			unknown++
		}
	}
	before := ever[tokyo]
	served -= before.answered[tokyo] + before.answered[osaka] + first
	got := y.answered[tokyo] + y.answered[osaka]
	n.t.Logf("%s, asked and killed, recorded %d answers, of which clients got %d, and %d calls that it was killed in", tokyo, served, got, unknown)
	// The end of a stream is told before its record is durable: such a one may be without an outcome.
	if served+unknown < got || served > got+clients || unknown > clients {
		n.t.Errorf("%s was killed: it recorded %d answers and %d calls without an outcome; clients got %d", tokyo, served, unknown, got)
	}
	before.answered[tokyo] += served // trail verify counts them too
}

// first is the call by which a node's key was made.
const first = 1

// event is a record as CloudTrail prints it.
type event struct {
	name                string
	ErrorCode           string
	AdditionalEventData struct {
		InferenceRegion string
		ReceiptProblem  string
		Receipt         struct{ Region, Key, Signature string }
		Attempts        []struct{ Region, Outcome string }
	}
}

// InferenceRegion is where it ran.
func (e *event) InferenceRegion() string { return e.AdditionalEventData.InferenceRegion }

// events are all records of a node's.
func (n *nodes) events(region string) (out []event) {
	n.t.Helper()
	cfg := n.servers[region].Config(region)
	cfg.RetryMaxAttempts = 4 // reading is repeated
	pages := cloudtrail.NewLookupEventsPaginator(cloudtrail.NewFromConfig(cfg), &cloudtrail.LookupEventsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(n.t.Context())
		if err != nil {
			n.t.Fatal(err)
		}
		for _, e := range page.Events {
			x := event{name: *e.EventName}
			if err := json.Unmarshal([]byte(*e.CloudTrailEvent), &x); err != nil {
				n.t.Fatal(err)
			}
			out = append(out, x)
		}
	}
	return out
}

// checkRecords looks at what the node that was asked recorded of its clients'
// calls.
func (n *nodes) checkRecords(region string, y *tally) {
	n.t.Helper()
	records, failed := 0, 0
	answered := map[string]int{}
	for _, x := range n.events(region) {
		if !strings.HasPrefix(x.name, "Converse") {
			continue
		}
		records++
		a := x.AdditionalEventData
		if x.ErrorCode == "" {
			answered[a.InferenceRegion]++
			if a.Receipt.Region != a.InferenceRegion || a.Receipt.Signature == "" || a.ReceiptProblem != "" {
				n.t.Errorf("answered in %s, with a receipt of %q: %s", a.InferenceRegion, a.Receipt.Region, a.ReceiptProblem)
			}
		}
		for _, p := range a.Attempts {
			if !slices.Contains([]string{tokyo, osaka}, p.Region) {
				n.t.Errorf("an attempt in %s", p.Region)
			}
			if p.Outcome == "failed" || p.Outcome == "cut" {
				failed++
			}
		}
	}
	records, answered[region] = records-first, answered[region]-first
	n.t.Logf("%s recorded %d calls, answered in %v, %d attempts failed", region, records, answered, failed)
	if records != y.calls {
		n.t.Errorf("%s recorded %d calls of %d", region, records, y.calls)
	}
	for r, k := range y.answered {
		if answered[r] != k {
			n.t.Errorf("%s: the records say that %d calls were answered in %s, the clients %d", region, answered[r], r, k)
		}
	}
	if failed == 0 {
		n.t.Errorf("%s recorded no attempt that failed, though a node was killed", region)
	}
}

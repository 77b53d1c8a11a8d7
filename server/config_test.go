package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestConfigFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokaido.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("listen: 127.0.0.1:0\nbedrock:\n  simulated:\n    regions:\n      ap-northeast-1:\n        latency: 150ms\n  limits:\n    ap-northeast-1: {concurrency: 2}\n")
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Read(file); err != nil {
		t.Fatal(err)
	}
	r := c.Bedrock.Simulated.Regions["ap-northeast-1"]
	if c.Listen != "127.0.0.1:0" || c.Store != "pebble" || c.Bedrock.Limits["ap-northeast-1"].Concurrency != 2 || r.Latency != 150*time.Millisecond {
		t.Errorf("read %+v", c)
	}
	b, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	write(string(b))
	var again Config
	if err := again.Read(file); err != nil || again.Listen != c.Listen || again.Bedrock.Simulated.Regions["ap-northeast-1"] != r {
		t.Errorf("printed and read again: %+v, %v", again, err)
	}

	write("listen: x\n\nlissten: y\n")
	if err := c.Read(file); err == nil || !strings.Contains(err.Error(), "line 3") || !strings.Contains(err.Error(), "lissten") {
		t.Errorf("an unknown key: %v, want its name and line", err)
	}
	write("")
	if err := c.Read(file); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func TestConfigEnviron(t *testing.T) {
	env := map[string]string{"TOKAIDO_STORE": "memory", "TOKAIDO_DEV": "true"}
	lookup := func(k string) (string, bool) { v, ok := env[k]; return v, ok }
	c := Config{Store: "pebble"}
	if err := c.Environ(lookup); err != nil || c.Store != "memory" || !c.Dev {
		t.Errorf("%+v, %v", c, err)
	}
	env["TOKAIDO_DEV"] = "perhaps"
	if err := c.Environ(lookup); err == nil || !strings.Contains(err.Error(), "TOKAIDO_DEV") || !strings.Contains(err.Error(), "perhaps") {
		t.Errorf("TOKAIDO_DEV=perhaps: %v", err)
	}
}

func TestConfigCheckSaysEverything(t *testing.T) {
	c := Config{Listen: "0.0.0.0:1", Dev: true, Store: "disk", Account: "12", LogFiles: LogFilesConfig{MaxBytes: -1, Keep: 1001}, Bedrock: BedrockConfig{
		Limits:    map[string]RegionLimits{"us-east-1": {ModelLimits: ModelLimits{RequestsPerMinute: -1}}},
		Simulated: SimulatedConfig{Regions: map[string]SimulatedRegion{"us-west-2": {Latency: -1}}},
	}}
	err := c.Check()
	if err == nil {
		t.Fatal("passed")
	}
	for _, want := range []string{"dev:", "0.0.0.0:1", `store: "disk"`, "logFiles.maxBytes: -1", "logFiles.keep: 1001", "dataDir:", `account: "12"`, "bedrock.limits.us-east-1", "bedrock.simulated.regions.us-west-2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	ok, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	ok.Dev = true
	if err := ok.Check(); err != nil {
		t.Errorf("the default is refused: %v", err)
	}
}

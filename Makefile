# Tokaido. Needs Go and make; Node 20.19 or newer adds the web console. `make help` lists the targets.

GO        ?= go
BIN       := bin/tokaido
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   := -s -w -X tokaido/cli.version=$(VERSION)
TOOL      := $(GO) tool -modfile=tools/go.mod
export CGO_ENABLED ?= 0

.PHONY: help build go-build console console-test browser run demo test test-race e2e check kill crash llama bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: console ## build bin/tokaido, with the console where Node is at hand
	@$(MAKE) --no-print-directory go-build

# Whoever needs no console need not wait for one.
go-build:
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/tokaido

# The console is built when its sources are newer than what was built of them. Without Node the
# binary says so under /console/ and does all the rest.
WEB     := console/web
WEB_APP := console/embed/app/index.html
WEB_SRC := $(WEB)/package.json $(WEB)/package-lock.json $(WEB)/index.html $(WEB)/vite.config.ts $(shell find $(WEB)/src -type f 2>/dev/null)
NODE_OK := $(shell node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || a === 20 && b >= 19 ? 0 : 1)' 2>/dev/null && echo yes)

console: ## build the web console (Node 20.19 or newer)
ifeq ($(NODE_OK),yes)
console: $(WEB_APP)
else
	@echo "The console is not built: that needs Node 20.19 or newer. Everything else works."
endif

# Packages that cannot be had (a machine without a registry) are no reason to fail; sources that do not build are.
$(WEB_APP): $(WEB_SRC)
	@cd $(WEB) && if npm ci --no-audit --no-fund --loglevel=error; then npm run --silent build; \
	else echo "The console is not built: npm could not install its packages. Everything else works."; fi

console-test: ## the tests of the web console (Node 20.19 or newer)
	cd $(WEB) && { [ -d node_modules ] || npm ci --no-audit --no-fund --loglevel=error; } && npm test

browser: build ## the console's tests, and the console in Chromium against the binary (NAME=stories: some of it)
	@tools/browser $(NAME)

run: build ## build and start a development server on 127.0.0.1:4566 (keys test/test)
	./$(BIN) serve --dev

demo: go-build ## the whole story: refused, explained, allowed, answered, and traced to a Region
	@cd e2e && $(GO) run ./demo -tokaido ../$(BIN)

test: go-build ## every test of the project
	$(GO) test ./...
	cd e2e && TOKAIDO_BIN=$(abspath $(BIN)) $(GO) test ./...

check: ## what CI runs besides the tests: format, vet, staticcheck, tidy, dependencies, race
	@tools/check

kill: go-build ## kill -9 the server while executions wait, ROUNDS times (default 100), and count what survived
	cd e2e && TOKAIDO_BIN=$(abspath $(BIN)) TOKAIDO_KILLS=$(or $(ROUNDS),100) $(GO) test -count=1 -timeout 60m -run TestKill -v .

crash: go-build ## kill -9 the server under a load of everything durable, ROUNDS times (default 1000), and check every history
	cd e2e && TOKAIDO_BIN=$(abspath $(BIN)) TOKAIDO_CRASHES=$(or $(ROUNDS),1000) $(GO) test -count=1 -timeout 120m -run 'TestCrash$$' -v .

llama: ## a real llama.cpp server in a temporary folder, for the tests of the openai backend (npm, git, g++; some minutes)
	@tools/llama $(or $(DIR),$(or $(TMPDIR),/tmp)/tokaido-llama) $(JOBS)

bench: ## run every benchmark of the main module once
	$(GO) test -run '^$$' -bench . -benchmem ./...

clean: ## remove what was built
	rm -rf bin console/embed/app

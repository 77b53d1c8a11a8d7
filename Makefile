# Tokaido. Needs Go and make; nothing else. `make help` lists the targets.

GO        ?= go
BIN       := bin/tokaido
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   := -s -w -X tokaido/cli.version=$(VERSION)
TOOL      := $(GO) tool -modfile=tools/go.mod
export CGO_ENABLED ?= 0

.PHONY: help build run demo test test-race e2e check kill crash bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/tokaido
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/tokaido

run: build ## build and start a development server on 127.0.0.1:4566 (keys test/test)
	./$(BIN) serve --dev

demo: build ## the whole story: refused, explained, allowed, answered, and traced to a Region
	@cd e2e && $(GO) run ./demo -tokaido ../$(BIN)

test: build ## every test of the project
	$(GO) test ./...
	cd e2e && TOKAIDO_BIN=$(abspath $(BIN)) $(GO) test ./...

check: ## what CI runs besides the tests: format, vet, staticcheck, tidy, dependencies, race
	@tools/check

kill: build ## kill -9 the server while executions wait, ROUNDS times (default 100), and count what survived
	cd e2e && TOKAIDO_BIN=$(abspath $(BIN)) TOKAIDO_KILLS=$(or $(ROUNDS),100) $(GO) test -count=1 -timeout 60m -run TestKill -v .

crash: build ## kill -9 the server under a load of everything durable, ROUNDS times (default 1000), and check every history
	cd e2e && TOKAIDO_BIN=$(abspath $(BIN)) TOKAIDO_CRASHES=$(or $(ROUNDS),1000) $(GO) test -count=1 -timeout 120m -run 'TestCrash$$' -v .

bench: ## run every benchmark of the main module once
	$(GO) test -run '^$$' -bench . -benchmem ./...

clean: ## remove what was built
	rm -rf bin

# Everything that people and CI run. `make` alone explains the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# Programs and checks are built without cgo; only the race detector needs it.
export CGO_ENABLED ?= 0

ENV      ?= allinone
FUZZTIME ?= 20s
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

MODULES  := $(shell sed -n 's|^[[:space:]]*\./||p' go.work)
PROGRAMS := $(patsubst %/,%,$(sort $(dir $(wildcard */cmd/*/main.go deploy/bench/cmd/*/main.go))))
PROTOS   := $(shell find proto -name '*.proto')
PORTABLE := $(wildcard deploy/cmd/pando mgmt-api/cmd/pandoctl)
SYSTEMS  := linux/amd64 linux/arm64 linux/arm darwin/arm64 windows/amd64 freebsd/amd64

GOBUILD = go build -buildvcs=false -ldflags '-s -w -X github.com/pando-mq/pando/services/run.version=$(VERSION)'

##@ Use

.PHONY: help
help: ## explain the targets
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: ## build pando and pandoctl, and run everything in one process, state in ./data (ARGS="--port-offset 100")
	@mkdir -p bin
	@$(GOBUILD) -o bin/ ./deploy/cmd/pando ./mgmt-api/cmd/pandoctl
	@exec bin/pando run $(ARGS)

.PHONY: build
build: ## build every program into bin/
	@mkdir -p bin
	@$(if $(PROGRAMS),$(GOBUILD) -o bin/ $(addprefix ./,$(PROGRAMS)),echo "there is no program yet")

.PHONY: cluster
cluster: build ## start a cluster of separate processes on loopback, state in ./.cluster
	@bin/pando-cluster start $(ARGS)

.PHONY: cluster-stop
cluster-stop: ## stop that cluster
	@bin/pando-cluster stop $(ARGS)

##@ Change

.PHONY: gen
gen: proto-tools ## generate proto/gen from proto/**/*.proto
	@$(if $(PROTOS),PATH="$(TOOLS):$$PATH" buf generate --template proto/buf.gen.yaml,echo "there is no .proto file yet")

.PHONY: fix
fix: go-tools proto-tools ## format and mend what can be mended without thinking
	@$(TOOLS)/gofumpt -w $(MODULES)
	@go vet -fix work
	@$(if $(PROTOS),$(TOOLS)/buf format -w)
	@$(MAKE) --no-print-directory gen

##@ Check

CHECKS := check-format check-vet check-lint check-arch check-proto check-gen check-breaking check-modules check-cross

.PHONY: check
check: go-tools proto-tools ## everything that needs no running program; .ci/run begins with it
	@for step in $(CHECKS); do \
		begin=$$SECONDS; \
		$(MAKE) --no-print-directory $$step; \
		printf '%-14s ok, %d s\n' $$step $$(( SECONDS - begin )); \
	done

.PHONY: check-format
check-format: # gofmt and buf format have nothing to change; make fix does it
	@wrong=$$(gofmt -l $(MODULES)); if [ -n "$$wrong" ]; then echo "make fix would format:"; echo "$$wrong"; exit 1; fi
	@$(if $(PROTOS),$(TOOLS)/buf format --diff --exit-code)

.PHONY: check-vet
check-vet:
	@go vet work

.PHONY: check-lint
check-lint:
	@$(TOOLS)/staticcheck work

.PHONY: check-arch
check-arch: # not from the test cache, which does not see the other modules' files
	@go test -count=1 ./deploy/arch

.PHONY: check-proto
check-proto:
	@$(if $(PROTOS),$(TOOLS)/buf lint,echo "there is no .proto file yet")

.PHONY: check-gen
check-gen: # proto/gen is what the .proto files say
	@$(if $(PROTOS),\
		new=$$(mktemp -d); trap 'rm -rf "$$new"' EXIT; \
		PATH="$(TOOLS):$$PATH" buf generate --template proto/buf.gen.yaml -o "$$new"; \
		diff -r proto/gen "$$new/proto/gen" || { echo "run make gen and commit proto/gen"; exit 1; },\
		echo "there is no .proto file yet")

.PHONY: check-breaking
check-breaking: # compared with the last tag, else with origin/main, else with nothing
	@ref=$$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse --quiet --verify origin/main || true); \
	if [ -z "$$ref" ] || ! git ls-tree -r --name-only "$$ref" proto 2>/dev/null | grep '\.proto$$' >/dev/null; then \
		echo "no earlier wire contract to compare with"; exit 0; \
	fi; \
	old=$$(mktemp -d); trap 'rm -rf "$$old"' EXIT; \
	git archive "$$ref" proto | tar -x -C "$$old"; cp buf.yaml "$$old"; \
	$(TOOLS)/buf breaking --against "$$old"

.PHONY: check-modules
check-modules: # each module builds alone, so each go.mod declares what its module imports
	@for m in $(MODULES); do (cd $$m && GOWORK=off go build ./...); done

# What users run on their own machines builds for all of them. The other systems
# are compiled without optimisation: it finds the same mistakes in three quarters
# of the time, and this is the longest step of a cold check.
.PHONY: check-cross
check-cross:
	@$(if $(PORTABLE),host=$$(go env GOHOSTOS)/$$(go env GOHOSTARCH); for s in $(SYSTEMS); do \
		begin=$$SECONDS; [ "$$s" = "$$host" ] && flags= || flags='all=-N -l'; \
		GOOS=$${s%/*} GOARCH=$${s#*/} go build -buildvcs=false -gcflags="$$flags" -ldflags='-s -w' -o /dev/null $(addprefix ./,$(PORTABLE)); \
		echo "$$s: $$(( SECONDS - begin )) s"; \
	done,echo "there is no program yet")

##@ Test

# What the tests start, as command=Debian package.
NEEDS := gcc=gcc mosquitto=mosquitto mosquitto_pub=mosquitto-clients mosquitto_sub=mosquitto-clients node=nodejs npm=npm \
	haproxy=haproxy nginx=nginx /usr/lib/nginx/modules/ngx_stream_module.so=libnginx-mod-stream

.PHONY: needs
needs: # install what tests need, or name it
	@deploy/scripts/needs $(NEEDS)

UNIT = $$(go list work | grep -v /deploy/e2e)

.PHONY: test
test: needs build ## all tests with the race detector, then e2e in both environments (ALLOW_MISSING=1 goes on without what is not installed)
	@CGO_ENABLED=1 go test -race -timeout 10m $(UNIT)
	@$(if $(wildcard deploy/e2e/*_test.go),$(MAKE) --no-print-directory e2e-both)

.PHONY: e2e-both
e2e-both: # the same tests, the same number of them, in both environments
	@$(MAKE) --no-print-directory e2e ENV=allinone
	@$(MAKE) --no-print-directory e2e ENV=procs
	@one=$$(grep -c '^ *--- PASS' bin/e2e-allinone.out); two=$$(grep -c '^ *--- PASS' bin/e2e-procs.out); \
	[ "$$one" = "$$two" ] || { echo "$$one tests ran in one process, $$two apart: want the same number"; exit 1; }

.PHONY: test-long
test-long: needs build ## the tests of `make test` and those with the build tag long, not cached
	@CGO_ENABLED=1 go test -race -count=1 -timeout 60m -tags long $(UNIT)

.PHONY: e2e
e2e: build ## end-to-end tests (ENV=allinone or ENV=procs)
	@PANDO_E2E=$(ENV) PANDO_BIN=$(CURDIR)/bin go test -count=1 -timeout 20m -v ./deploy/e2e/... > bin/e2e-$(ENV).out 2>&1 \
		|| { grep -vE '^(=== |--- PASS|    --- PASS)' bin/e2e-$(ENV).out | tail -n 200; exit 1; }
	@echo "e2e $(ENV): $$(grep -c '^ *--- PASS' bin/e2e-$(ENV).out) tests passed"

.PHONY: fuzz
fuzz: ## fuzz every decoder for FUZZTIME each (20s)
	@grep -rE --include='*_test.go' '^func Fuzz' $(MODULES) | sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|' | \
	while read -r dir name; do \
		echo "$$dir $$name"; \
		go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) ./$$dir < /dev/null; \
	done

SEED      ?= 1
SEQUENCES ?= 10000

.PHONY: diff
diff: needs build ## the same packets into pando and mosquitto, answers compared (SEED=n SEQUENCES=10000)
	@go test -count=1 -v -timeout 60m -run TestMosquittoSaysTheSame ./deploy/diff -args -seed $(SEED) -sequences $(SEQUENCES) -program $(CURDIR)/bin/pando

##@ Measure

QUICK   ?=
GROWTH  ?=
BASE    ?=
ONLY    ?=
RESULTS ?= $(if $(QUICK),bin/bench,deploy/bench/results)
BENCH    = $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) --out $(RESULTS)

.PHONY: bench
bench: needs build ## every figure that has a bar, Pando beside mosquitto, into deploy/bench/results: 25 min (QUICK=1: 4 min, into bin/bench; GROWTH=1: bench-growth; ONLY=row,row)
	@bin/pando-bench $(if $(GROWTH),growth,run) --bin bin $(BENCH)

.PHONY: bench-growth
bench-growth: ## what a message costs among more connections, subscriptions, receivers; with a plot (QUICK=1)
	@$(MAKE) --no-print-directory bench GROWTH=1

# The older build comes from a copy of its tree; it is measured by this tree's pando-bench.
.PHONY: bench-compare
bench-compare: needs build ## this tree against another revision, in turn (BASE=rev, QUICK=1, ONLY=row,row)
	@[ -n "$(BASE)" ] || { echo "say which: make bench-compare BASE=rev"; exit 2; }
	@old=$$(mktemp -d); trap 'rm -rf "$$old"' EXIT; \
	git archive "$(BASE)" | tar -x -C "$$old"; \
	$(MAKE) --no-print-directory -C "$$old" build VERSION="$$(git rev-parse --short "$(BASE)")"; \
	bin/pando-bench compare "$(BASE)=$$old/bin" "this=bin" $(BENCH)

##@ Tidy

.PHONY: clean
clean: ## remove bin/ and .tools/; ./data and ./.cluster stay
	@rm -rf bin .tools

# Tools are pinned and live in .tools/, with one stamp for each version.
TOOLS := $(CURDIR)/.tools
GO_TOOLS := honnef.co/go/tools/cmd/staticcheck@v0.8.2 mvdan.cc/gofumpt@v0.12.0
PROTO_TOOLS := github.com/bufbuild/buf/cmd/buf@v1.73.0 \
	google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12 \
	google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2

stamp = $(TOOLS)/.$(notdir $(1))
define install
$(call stamp,$(1)):
	@echo "install $(1)"
	@mkdir -p $(TOOLS)
	@CGO_ENABLED=0 GOBIN=$(TOOLS) go install $(1)
	@rm -f $(TOOLS)/.$(firstword $(subst @, ,$(notdir $(1))))@*
	@touch $$@
endef
$(foreach t,$(GO_TOOLS) $(PROTO_TOOLS),$(eval $(call install,$(t))))

.PHONY: go-tools
go-tools: $(foreach t,$(GO_TOOLS),$(call stamp,$(t)))

# buf takes by far the longest to build, and is of no use without .proto files.
.PHONY: proto-tools
proto-tools: $(if $(PROTOS),$(foreach t,$(PROTO_TOOLS),$(call stamp,$(t))))

# `make help` lists the targets. Needs GNU make and Go 1.26; works as an
# ordinary user.

GO       ?= $(firstword $(shell command -v go 2>/dev/null) $(wildcard /usr/local/go/bin/go /usr/lib/go-1.26/bin/go))
TIME     ?= 30s
IMAGE    ?= rrserve
PREFIX   ?= /usr/local
UNITDIR  ?= /etc/systemd/system
MANDIR   ?= $(PREFIX)/share/man
# What releases are made for. On what is not Linux there is no sandbox, and the
# server says so at each start.
PLATFORMS := linux/amd64 linux/arm64 linux/arm linux/riscv64 freebsd/amd64 darwin/amd64 darwin/arm64 windows/amd64

# The tests start the go command by its name.
export PATH := $(PATH):$(patsubst %/,%,$(dir $(GO)))
# Static, and no C compiler needed.
export CGO_ENABLED := 0
# go build asks git for the revision, and fails in a clone that belongs to
# somebody else. There, build without.
ifneq ($(shell git rev-parse HEAD >/dev/null 2>&1 && echo yes),yes)
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)
endif

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1~\2/p' Makefile | while IFS='~' read -r name what; do printf '%-22s%s\n' "$$name" "$$what"; done

.PHONY: go
go:
	@[ -n "$(GO)" ] || { echo "make: no Go found. Install Go 1.26 (https://go.dev/dl/), or say where it is: make GO=/path/to/go" >&2; exit 1; }

.PHONY: build
build: go ## bin/rrserve, one static binary
	@$(GO) build -trimpath -ldflags='-s -w' -o bin/rrserve ./cmd/rrserve

# ROOT, KEY and LISTEN reach the shell in the environment, where make puts what
# stands on its command line; so they may contain anything.
.PHONY: run
run: ## build and serve: make run ROOT=DIR [KEY=key.pub] [LISTEN=:2222]
	$(if $(ROOT),,$(error serve which directory? make run ROOT=DIR [KEY=key.pub]))
	@[ -d "$$ROOT" ] || { echo "make run: ROOT=$$ROOT is not a directory" >&2; exit 2; }
	@$(MAKE) --no-print-directory build
	@set -- --root "$$ROOT"; \
	if [ -n "$$LISTEN" ]; then set -- "$$@" --listen "$$LISTEN"; fi; \
	if [ -n "$$KEY" ]; then exec bin/rrserve "$$@" --authorized-key "$$KEY"; fi; \
	found=; \
	for key in ~/.ssh/*.pub; do \
		case $$key in *-cert.pub) continue;; esac; \
		[ -f "$$key" ] || continue; \
		echo "make run: no KEY given; whoever has the key of $$key may pull" >&2; \
		set -- "$$@" --authorized-key "$$key"; found=yes; \
	done; \
	[ -n "$$found" ] || { echo "make run: no KEY given, and no key in ~/.ssh: make run ROOT=DIR KEY=key.pub (ssh-keygen -t ed25519 makes a pair)" >&2; exit 2; }; \
	exec bin/rrserve "$$@"

# -count=1: tests look at documents, other packages and installed programs,
# and go's cache of test results knows none of these. -timeout ends what hangs: on a
# busy machine ten minutes are not enough.
.PHONY: test
test: go ## everything that must hold for every commit; less than ten minutes
	@test/deps.sh
	@$(MAKE) --no-print-directory check
	$(GO) test -count=1 -timeout 30m ./...
	fuzz/run.sh 2000x

.PHONY: check
check: go ## formatting and go vet
	@files=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .); [ -z "$$files" ] || { echo "not gofmt'ed:" $$files >&2; exit 1; }
	$(GO) vet ./...

# The tests are for Linux.
.PHONY: cross
cross: go ## compile for every platform that releases are made for
	@for p in $(PLATFORMS); do \
		echo "$$p"; \
		GOOS=$${p%/*} GOARCH=$${p#*/} GOARM=7 $(GO) build -o /dev/null ./cmd/rrserve || exit 1; \
	done

.PHONY: test-long
test-long: go ## the long suites (build tag "long") and the race detector; needs gcc
	@test/deps.sh
	@command -v gcc >/dev/null || { echo "make test-long: the race detector needs gcc: apt-get install gcc libc6-dev" >&2; exit 1; }
	$(GO) test -count=1 -timeout 2h -tags long ./...
	CGO_ENABLED=1 $(GO) test -count=1 -timeout 2h -race ./...

# Without the name of a package go test prints as it goes.
.PHONY: interop
interop: go ## every client command line at every protocol, checksum and compression; a million files
	@test/deps.sh
	$(GO) test -C test -count=1 -timeout 3h -parallel 4 -tags long -run '^(TestInterop|TestHugeList)$$'

.PHONY: race
race: go ## the race test at full length: 1,000 sessions and a million flips with each wall alone, and with all
	@test/deps.sh
	$(GO) test -C test -count=1 -timeout 1h -v -tags long -run '^TestRaces$$'

.PHONY: fuzz
fuzz: go ## every fuzz target for TIME (30s), from where the last run ended
	@fuzz/run.sh $(TIME) "$$($(GO) env GOCACHE)/fuzz/$$($(GO) list ./fuzz)"

.PHONY: bench
bench: go ## compare with OpenSSH + rrsync + rsync, same client, same tree
	@$(GO) run ./bench

.PHONY: lint
lint: check ## check, shellcheck, and golangci-lint where it is installed
	@command -v shellcheck >/dev/null || { echo "make lint: apt-get install shellcheck" >&2; exit 1; }
	shellcheck .ci/run examples/pull/rrserve-pull examples/snapshot/*.sh packaging/*.sh packaging/deb/* packaging/rpm/* packaging/apk/* packaging/openrc/* $(wildcard test/*.sh) fuzz/run.sh
	@if command -v golangci-lint >/dev/null; then golangci-lint run; else echo "make lint: golangci-lint is not installed; its import rules are in make test too"; fi

# The image holds what lies in bin/image; nothing is compiled or run while it
# is put together, so any builder will do.
.PHONY: image
image: image-root ## a container image FROM scratch; needs buildah
	@command -v buildah >/dev/null || { echo "make image: apt-get install buildah (or: make image-root && docker build -t $(IMAGE) .)" >&2; exit 1; }
	buildah bud --format docker --isolation chroot -t $(IMAGE) . # the format that has HEALTHCHECK

.PHONY: image-root
image-root: export GOOS := linux
image-root: build ## what the Dockerfile copies, for other builders
	@rm -rf bin/image
	@install -d -m 0755 bin/image/root/var/lib
	@install -d -m 0700 bin/image/state/rrserve
	@install -m 0755 bin/rrserve bin/image/root/rrserve

.PHONY: image-index
image-index: go ## bin/image-index, images for amd64, arm64 and arm/v7 as one OCI index; needs buildah
	@GO=$(GO) packaging/image-index.sh $(IMAGE) bin/image-index

.PHONY: test-image
test-image: image ## what docs/container.md says, tried with namespaces alone and with rootless podman; a stock rsync pulls
	@packaging/test-image.sh $(IMAGE)
	@packaging/test-podman.sh

# RRTEST_SHOTS=DIR keeps pictures of the page there.
.PHONY: test-page
test-page: go ## click through the status page in headless Chromium, with and without JavaScript
	@command -v chromedriver >/dev/null || { echo "make test-page: apt-get install chromium chromium-driver" >&2; exit 1; }
	$(GO) test -C test -count=1 -timeout 9m -tags page -run '^TestStatusPage$$'

# 386 is what amd64 runs too, and int has 32 bits there.
.PHONY: test-platforms
test-platforms: go ## the sandbox on 32-bit ARM, arm64 and riscv64, in qemu, and the engine with 32 bits; needs Debian on amd64
	GOARCH=386 $(GO) test -count=1 -timeout 9m ./internal/rsyncproto/... ./fuzz
	@GO=$(GO) packaging/test-platforms.sh

# The machines are processes of a namespace that ends with the test, whatever ends it.
.PHONY: test-docs
test-docs: go ## follow the documents, command by command, in clean Debians that are booted for it; needs root
	@for tool in debootstrap systemd-nspawn ip nsenter unshare rsync git; do \
		command -v $$tool >/dev/null || { echo "make test-docs: $$tool is missing: apt-get install debootstrap systemd-container iproute2 util-linux rsync git" >&2; exit 1; }; \
	done
	@[ "$$(id -u)" = 0 ] || { echo "make test-docs: needs root, to boot machines" >&2; exit 1; }
	unshare --mount --pid --fork --kill-child --mount-proc $(GO) test -C test -count=1 -timeout 30m -tags docs -run '^TestDocuments' .

.PHONY: test-rules
test-rules: ## promtool's opinion of the alerts and the dashboard in examples
	@packaging/test-rules.sh

.PHONY: test-units
test-units: ## systemd's own opinion of the units
	@packaging/test-units.sh

# GOVULNDB reaches govulncheck through the environment.
.PHONY: audit
audit: go ## what docs/threat-model.md promises, measured; needs the network
	@GO=$(GO) packaging/audit.sh

.PHONY: completions
completions: build
	@mkdir -p bin/completions
	@bin/rrserve completion bash >bin/completions/rrserve.bash
	@bin/rrserve completion zsh >bin/completions/_rrserve
	@bin/rrserve completion fish >bin/completions/rrserve.fish

.PHONY: dist
dist: go completions ## dist/: an archive and a bill of materials for each platform, and checksums
	@rm -rf dist
	@$(GO) run ./packaging/dist dist bin/completions $(PLATFORMS)
	@packaging/checksums.sh

.PHONY: packages
packages: dist ## and .deb, .rpm and .apk of these
	@GO=$(GO) packaging/packages.sh
	@packaging/checksums.sh

.PHONY: test-packages
test-packages: packages ## install, use, upgrade and remove them in clean machines that boot; needs root
	@packaging/test-packages.sh

.PHONY: test-tools
test-tools: build ## back up with rsnapshot, dirvish, BackupPC and backupninja, out of a clean Debian; needs root
	@packaging/test-tools.sh

.PHONY: install
install: build ## the binary, its manual pages and the systemd units, below PREFIX, MANDIR and UNITDIR
	install -D -m 0755 bin/rrserve $(DESTDIR)$(PREFIX)/bin/rrserve
	install -D -m 0644 packaging/man/rrserve.1 $(DESTDIR)$(MANDIR)/man1/rrserve.1
	install -D -m 0644 packaging/man/rrserve.toml.5 $(DESTDIR)$(MANDIR)/man5/rrserve.toml.5
	install -D -m 0644 packaging/systemd/rrserve.service $(DESTDIR)$(UNITDIR)/rrserve.service
	sed -i 's|/usr/local/bin/|$(PREFIX)/bin/|' $(DESTDIR)$(UNITDIR)/rrserve.service
	install -D -m 0644 packaging/systemd/rrserve.socket $(DESTDIR)$(UNITDIR)/rrserve.socket
	install -d -m 0755 $(DESTDIR)/etc/rrserve

.PHONY: install-read-all
install-read-all: ## let the service read files of every owner
	install -D -m 0644 packaging/systemd/read-all.conf $(DESTDIR)$(UNITDIR)/rrserve.service.d/read-all.conf

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf bin dist

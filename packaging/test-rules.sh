#!/usr/bin/env bash
# Asks promtool about the alerts in examples/prometheus: whether they are well
# formed, and whether each fires when it should. The expressions of the Grafana
# dashboard are checked as if they were rules.
set -euo pipefail
cd "$(dirname "$0")/../examples"

command -v promtool >/dev/null || { echo "test-rules: apt-get install prometheus (its promtool; the service is not needed)" >&2; exit 1; }
command -v jq >/dev/null || { echo "test-rules: apt-get install jq" >&2; exit 1; }
promtool check rules prometheus/rrserve.rules.yml prometheus/replicas.rules.yml
promtool test rules prometheus/rrserve.test.yml prometheus/replicas.test.yml

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# Grafana's variables stand for durations and values there. JSON is YAML.
jq '{groups: [{name: "dashboard", rules: [.panels[].targets[].expr
	| gsub("\\$__rate_interval"; "5m") | gsub("\\$instance"; ".*")] | to_entries | map({record: "panel:\(.key)", expr: .value})}]}' \
	grafana/rrserve.json >"$dir/dashboard.yml"
promtool check rules "$dir/dashboard.yml"

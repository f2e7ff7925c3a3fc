package main

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"rrserve/internal/sshsrv"
)

const (
	composeExample    = "../../examples/compose/compose.yaml"
	kubernetesExample = "../../examples/kubernetes/rrserve.yaml"
)

func readText(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// only returns what the first group of expr matches, in the one place that must
// match it.
func only(t *testing.T, text, expr string) string {
	t.Helper()
	all := regexp.MustCompile(expr).FindAllStringSubmatch(text, -1)
	if len(all) != 1 {
		t.Fatalf("%s: %d matches, want 1", expr, len(all))
	}
	return all[0][1]
}

// The image and the examples set variables that there are.
func TestExamplesNameVariables(t *testing.T) {
	var o options
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.register(f)
	known := []string{inlineKeysVariable, inImage}
	f.VisitAll(func(flag *pflag.Flag) { known = append(known, variable(flag)) })
	for _, name := range []string{"../../Dockerfile", composeExample, kubernetesExample, "../../docs/container.md", "../../docs/kubernetes.md"} {
		used := regexp.MustCompile(`\bRRSERVE_[A-Z_]+\b`).FindAllString(readText(t, name), -1)
		if len(used) == 0 {
			t.Errorf("%s names no variable", name)
		}
		for _, v := range used {
			if !slices.Contains(known, v) {
				t.Errorf("%s: there is no %s", name, v)
			}
		}
	}
}

// The table of options has each flag, and no other.
func TestOptionsTable(t *testing.T) {
	var rows, flags []string
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)").FindAllStringSubmatch(readText(t, "../../docs/options.md"), -1) {
		rows = append(rows, row[1])
	}
	var o options
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.register(f)
	f.VisitAll(func(flag *pflag.Flag) { flags = append(flags, flag.Name) })
	slices.Sort(rows)
	slices.Sort(flags)
	if diff := cmp.Diff(flags, rows); diff != "" {
		t.Errorf("docs/options.md (-flags +rows):\n%s", diff)
	}
}

// docs/metrics.md has each limit that is counted, and no other.
func TestMetricsDocumentNamesLimits(t *testing.T) {
	documented := make(map[string]uint64)
	for _, row := range regexp.MustCompile("(?m)^\\| `limit=\"(\\w+)\"` \\|").FindAllStringSubmatch(readText(t, "../../docs/metrics.md"), -1) {
		documented[row[1]] = 0
	}
	if diff := cmp.Diff(limitHits(sshsrv.Stats{}), documented); diff != "" {
		t.Errorf("docs/metrics.md (-program +document):\n%s", diff)
	}
}

// Who only waits for less than the time to drain cuts running pulls off.
func TestExamplesWaitForPulls(t *testing.T) {
	compose, kubernetes := readText(t, composeExample), readText(t, kubernetesExample)
	for _, tt := range []struct{ drain, kill string }{
		{only(t, compose, `RRSERVE_DRAIN_TIME: (\S+)\n`), only(t, compose, `stop_grace_period: (\S+)\n`)},
		{only(t, kubernetes, `RRSERVE_DRAIN_TIME, value: (\S+)}`), only(t, kubernetes, `terminationGracePeriodSeconds: (\d+)`) + "s"},
	} {
		drain, err1 := time.ParseDuration(tt.drain)
		kill, err2 := time.ParseDuration(tt.kill)
		if err1 != nil || err2 != nil || kill <= drain {
			t.Errorf("drains for %s, is killed after %s", tt.drain, tt.kill)
		}
	}
}

// The restricted profile of the pod security standards, and that a volume which is
// mounted read-only is not given another group before.
func TestKubernetesIsRestricted(t *testing.T) {
	text := readText(t, kubernetesExample)
	for _, want := range []string{
		"runAsNonRoot: true", "runAsUser: 65532", "runAsGroup: 65532", "seccompProfile: {type: RuntimeDefault}",
		"allowPrivilegeEscalation: false", "capabilities: {drop: [ALL]}", "readOnlyRootFilesystem: true",
		"automountServiceAccountToken: false", "persistentVolumeClaim: {claimName: data, readOnly: true}",
		"{name: data, mountPath: /data, readOnly: true}", "policyTypes: [Ingress, Egress]",
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not there once", want)
		}
	}
	for _, field := range []string{"privileged", "hostNetwork", "hostPID", "hostIPC", "hostPath", "hostPort", "egress", "add"} {
		if regexp.MustCompile(`\b` + field + `:`).MatchString(text) {
			t.Errorf("%s: is there", field)
		}
	}
}

// Ports that belong together are the same, and the server takes the Secret as the
// kubelet mounts it.
func TestKubernetesFitsTheServer(t *testing.T) {
	text := readText(t, kubernetesExample)
	for variable, port := range map[string]string{"RRSERVE_LISTEN": "ssh", "RRSERVE_METRICS_LISTEN": "metrics"} {
		listen := only(t, text, variable+`, value: ":(\d+)"}`)
		if got := only(t, text, `{name: `+port+`, containerPort: (\d+)}`); got != listen {
			t.Errorf("%s is port %s, %s is %s", variable, listen, port, got)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)(?:targetPort: |port: |- \{port: )([a-z]+)}`).FindAllStringSubmatch(text, -1) {
		if m[1] != "ssh" && m[1] != "metrics" {
			t.Errorf("there is no port %s", m[1])
		}
	}
	mode, err := strconv.ParseUint(only(t, text, `secretName: rrserve, defaultMode: (\d+)`), 8, 32)
	if err != nil || mode&hostKeyForbidden != 0 || mode&writableByOthers != 0 {
		t.Errorf("mode %04o of the host key is refused", mode)
	}
	secret := only(t, readText(t, "../../docs/kubernetes.md"), `(?m)^kubectl (.*create secret generic rrserve .*)$`)
	for _, m := range regexp.MustCompile(`value: /etc/rrserve/(\w+)}`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(secret, "--from-file="+m[1]) {
			t.Errorf("docs/kubernetes.md puts no %s into the Secret", m[1])
		}
	}
}

package status

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	metricName = regexp.MustCompile(`rrserve_[a-z_]+`)
	helpLine   = regexp.MustCompile(`(?m)^# HELP (rrserve_[a-z_]+) `)
)

// dashboard is what a test asks of a Grafana dashboard.
type dashboard struct {
	Panels []struct {
		ID      int
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr string }
	}
}

func readExample(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The alerts and the dashboard ask for metrics that there are, and the dashboard
// for all of them.
func TestExamplesNameMetrics(t *testing.T) {
	_, text := full(t).get("/metrics")
	var live []string
	for _, m := range helpLine.FindAllStringSubmatch(text, -1) {
		live = append(live, m[1])
	}
	used := make(map[string]bool)
	for _, name := range []string{"prometheus/rrserve.rules.yml", "prometheus/rrserve.test.yml", "prometheus/replicas.rules.yml", "prometheus/replicas.test.yml", "grafana/rrserve.json"} {
		for _, metric := range metricName.FindAllString(readExample(t, name), -1) {
			used[metric] = true
			if !slices.Contains(live, metric) {
				t.Errorf("%s: there is no %s", name, metric)
			}
		}
	}
	for _, metric := range live {
		if !used[metric] {
			t.Errorf("%s is in no example", metric)
		}
	}
}

// docs/metrics.md has each metric, with its type and its labels, and no other; and
// the values of the labels that have a fixed set of them.
func TestMetricsDocument(t *testing.T) {
	_, text := full(t).get("/metrics")
	data, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented, live := make(map[string]string), make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `(rrserve_[a-z_]+)` \\| (\\w+) \\| ([^|]*)\\|").FindAllStringSubmatch(string(data), -1) {
		documented[row[1]] = row[2] + " " + strings.NewReplacer("`", "", " ", "").Replace(row[3])
	}
	labelValue := regexp.MustCompile(`="[^"]*"`)
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+) (\w+)\n\w+(?:{(.*)})? `).FindAllStringSubmatch(text, -1) {
		live[m[1]] = m[2] + " " + labelValue.ReplaceAllString(m[3], "")
	}
	if diff := cmp.Diff(live, documented); diff != "" {
		t.Errorf("docs/metrics.md, type and label (-program +document):\n%s", diff)
	}
	values := func(expr, text string) (found []string) {
		for _, m := range regexp.MustCompile(expr).FindAllStringSubmatch(text, -1) {
			found = append(found, m[1])
		}
		slices.Sort(found)
		return found
	}
	diff := cmp.Diff(values(`(?m)^rrserve_\w+{((?:result|what|wall)="\w+")} `, text), values("(?m)^\\| `((?:result|what|wall)=\"\\w+\")` \\|", string(data)))
	if diff != "" {
		t.Errorf("docs/metrics.md, values of labels (-program +document):\n%s", diff)
	}
}

// Kubernetes asks for what is answered.
func TestProbes(t *testing.T) {
	b := full(t)
	probes := regexp.MustCompile(`httpGet: {path: (/\w+), port: metrics}`).FindAllStringSubmatch(readExample(t, "kubernetes/rrserve.yaml"), -1)
	if len(probes) != 2 {
		t.Fatalf("%d probes, want 2", len(probes))
	}
	for _, m := range probes {
		if code, _ := b.get(m[1]); code != http.StatusOK {
			t.Errorf("%s answers %d", m[1], code)
		}
	}
}

// The panels of the dashboard each have a place of their own and something to show.
func TestDashboard(t *testing.T) {
	var d dashboard
	if err := json.Unmarshal([]byte(readExample(t, "grafana/rrserve.json")), &d); err != nil {
		t.Fatal(err)
	}
	taken := make(map[[2]int]string)
	ids := make(map[int]bool)
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || len(p.Targets) == 0 {
			t.Errorf("%s: id %d, %d targets", p.Title, p.ID, len(p.Targets))
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			if !strings.Contains(target.Expr, `{instance=~"$instance"}`) {
				t.Errorf("%s: %s is of all servers", p.Title, target.Expr)
			}
		}
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s is wider than the screen", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	if len(d.Panels) == 0 {
		t.Error("no panels")
	}
}

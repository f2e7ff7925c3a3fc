//go:build page

package test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// browser is a headless Chromium, spoken to through chromedriver (W3C WebDriver).
type browser struct {
	t       *testing.T
	session string // URL
}

// elementKey is the name of a reference to an element (WebDriver section 12).
const elementKey = "element-6066-11e4-a52e-4f735466cecf"

var driverPort = regexp.MustCompile(`started successfully on port ([0-9]+)`)

// startDriver starts chromedriver and returns its URL.
func startDriver(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("chromedriver", "--port=0")
	out, err := cmd.StdoutPipe()
	check(t, err)
	if err := cmd.Start(); err != nil {
		t.Fatalf("chromedriver is needed (Debian: chromium, chromium-driver): %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := driverPort.FindStringSubmatch(lines.Text()); m != nil {
			go io.Copy(io.Discard, out)
			return "http://127.0.0.1:" + m[1]
		}
	}
	t.Fatal("chromedriver does not say its port")
	return ""
}

// startBrowser starts a browser, with JavaScript or without.
func startBrowser(t *testing.T, driver string, javascript bool) *browser {
	t.Helper()
	args := []string{"--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=" + t.TempDir()}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // Chromium's own has no place for root
	}
	setting := 1
	if !javascript {
		setting = 2
	}
	b := &browser{t: t, session: driver}
	var made struct{ SessionID string }
	b.do("POST", "/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"goog:chromeOptions": map[string]any{
			"args":  args,
			"prefs": map[string]any{"profile.managed_default_content_settings.javascript": setting},
		},
	}}}, &made)
	b.session += "/session/" + made.SessionID
	t.Cleanup(func() { b.do("DELETE", "", nil, nil) })
	return b
}

// do sends one command.
func (b *browser) do(method, path string, body, result any) {
	b.t.Helper()
	var data []byte
	if body != nil {
		var err error
		data, err = json.Marshal(body)
		check(b.t, err)
	}
	req, err := http.NewRequest(method, b.session+path, bytes.NewReader(data))
	check(b.t, err)
	resp, err := http.DefaultClient.Do(req)
	check(b.t, err)
	defer resp.Body.Close()
	var answer struct{ Value json.RawMessage }
	check(b.t, json.NewDecoder(resp.Body).Decode(&answer))
	if resp.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s %s: %s", method, path, data, answer.Value)
	}
	if result != nil {
		check(b.t, json.Unmarshal(answer.Value, result))
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.do("POST", "/url", map[string]any{"url": url}, nil)
}

func (b *browser) back() {
	b.t.Helper()
	b.do("POST", "/back", map[string]any{}, nil)
}

// get returns one of the page's strings: "url" or "title".
func (b *browser) get(what string) (text string) {
	b.t.Helper()
	b.do("GET", "/"+what, nil, &text)
	return text
}

// all returns the elements that a selector of CSS finds.
func (b *browser) all(selector string) (ids []string) {
	b.t.Helper()
	var found []map[string]string
	b.do("POST", "/elements", map[string]any{"using": "css selector", "value": selector}, &found)
	for _, f := range found {
		ids = append(ids, f[elementKey])
	}
	return ids
}

// one returns the text of the only element that a selector finds.
func (b *browser) one(selector string) string {
	b.t.Helper()
	ids := b.all(selector)
	if len(ids) != 1 {
		b.t.Fatalf("%s: %d elements at %s", selector, len(ids), b.get("url"))
	}
	return b.text(ids[0])
}

// text is what a person can read of an element.
func (b *browser) text(id string) (text string) {
	b.t.Helper()
	b.do("GET", "/element/"+id+"/text", nil, &text)
	return text
}

func (b *browser) texts(selector string) (texts []string) {
	b.t.Helper()
	for _, id := range b.all(selector) {
		texts = append(texts, b.text(id))
	}
	return texts
}

func (b *browser) click(id string) {
	b.t.Helper()
	b.do("POST", "/element/"+id+"/click", map[string]any{}, nil)
}

// devtools sends a command of Chromium's own protocol.
func (b *browser) devtools(command string, params map[string]any, result any) {
	b.t.Helper()
	b.do("POST", "/goog/cdp/execute", map[string]any{"cmd": command, "params": params}, result)
}

// look makes the window so wide, light or dark, and the page a picture in the
// directory that RRTEST_SHOTS names. The page must not be wider than the window.
func (b *browser) look(name string, width int, scheme string) {
	b.t.Helper()
	b.devtools("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.devtools("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]any{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	var m struct {
		CSSContentSize struct{ Width, Height float64 }
	}
	b.devtools("Page.getLayoutMetrics", map[string]any{}, &m)
	if m.CSSContentSize.Width > float64(width) {
		b.t.Errorf("%s: %v pixels wide in a window of %d", name, m.CSSContentSize.Width, width)
	}
	dir := os.Getenv("RRTEST_SHOTS")
	if dir == "" {
		return
	}
	var shot struct{ Data string }
	b.devtools("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	picture, err := base64.StdEncoding.DecodeString(shot.Data)
	check(b.t, err)
	check(b.t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), picture, 0o644))
}

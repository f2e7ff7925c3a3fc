package main

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rrserve/internal/config"
)

var update = flag.Bool("update", false, "rewrite the parts of the manual pages that are made from the program")

const manDir = "../../packaging/man/"

// TestManPages holds the manual pages to the commands, their flags and the
// settings. After a change to these:
//
//	go test ./cmd/rrserve -run TestManPages -update
func TestManPages(t *testing.T) {
	root := newCommand(nil)
	holdPage(t, "rrserve.1", map[string]string{
		"options":  manFlags(root.Flags(), nil),
		"commands": manCommands(root),
	})
	holdPage(t, "rrserve.toml.5", map[string]string{"settings": manSettings(root.Flags())})
}

// What has no flag is written by hand.
func TestManPageHasTables(t *testing.T) {
	text := readPage(t, "rrserve.toml.5")
	for _, table := range []reflect.Type{reflect.TypeFor[config.Root](), reflect.TypeFor[config.Client]()} {
		for i := range table.NumField() {
			if key := table.Field(i).Tag.Get("toml"); key != "" && !strings.Contains(text, ".TP\n.B "+key+"\n") {
				t.Errorf("rrserve.toml.5: nothing about %s of a %s", key, table.Name())
			}
		}
	}
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(manDir + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// holdPage compares the parts of a page, or rewrites them.
func holdPage(t *testing.T, name string, parts map[string]string) {
	t.Helper()
	old := readPage(t, name)
	text := old
	for part, now := range parts {
		begin, end := ".\\\" made from the program: "+part+"\n", ".\\\" end of "+part+"\n"
		before, rest, ok1 := strings.Cut(text, begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok1 || !ok2 {
			t.Fatalf("%s has lost its markers of %s", name, part)
		}
		text = before + begin + now + end + after
	}
	if text == old {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the program: go test ./cmd/rrserve -run TestManPages -update", name)
	}
	if err := os.WriteFile(manDir+name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// manFlags writes the flags that known does not have.
func manFlags(f, known *pflag.FlagSet) string {
	var b strings.Builder
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden || known != nil && known.Lookup(flag.Name) != nil {
			return
		}
		value, usage := pflag.UnquoteUsage(flag)
		fmt.Fprintf(&b, ".TP\n\\fB\\-\\-%s\\fR", roff(flag.Name))
		switch {
		case flag.NoOptDefVal != "" && value != "":
			fmt.Fprintf(&b, "[=\\fI%s\\fR]", roff(value))
		case value != "":
			fmt.Fprintf(&b, " \\fI%s\\fR", roff(value))
		}
		b.WriteString("\n" + roff(usage) + manDefault(flag) + ".\n")
	})
	return b.String()
}

// manDefault writes the default of a flag that is worth telling, which for ciphers
// is the CPU's.
func manDefault(flag *pflag.Flag) string {
	switch flag.Value.Type() {
	case "bool", "stringArray", "stringSlice":
		return ""
	}
	if flag.DefValue == "" || strings.Contains(flag.Usage, "default:") {
		return ""
	}
	return ". Default: " + roff(flag.DefValue)
}

// manCommands writes a section for each command.
func manCommands(root *cobra.Command) string {
	var b strings.Builder
	for _, c := range root.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		long := c.Long
		if long == "" {
			long = strings.ToUpper(c.Short[:1]) + c.Short[1:] + "."
		}
		fmt.Fprintf(&b, ".SS rrserve %s\n%s%s", roff(c.Use), manText(long), manShared(c.Flags(), root.Flags()))
		b.WriteString(manFlags(c.Flags(), root.Flags()))
	}
	return b.String()
}

// manShared names the flags that the command shares with the server.
func manShared(f, server *pflag.FlagSet) string {
	var shared []string
	all := true
	server.VisitAll(func(flag *pflag.Flag) {
		if f.Lookup(flag.Name) != nil {
			shared = append(shared, "\\fB\\-\\-"+roff(flag.Name)+"\\fR")
		} else {
			all = false
		}
	})
	switch {
	case all:
		return ".PP\nIt takes the options of the server.\n"
	case len(shared) > 0:
		return ".PP\nIt takes these options of the server: " + strings.Join(shared, ", ") + ".\n"
	}
	return ""
}

// manText writes paragraphs; one that is indented keeps its lines.
func manText(text string) string {
	var b strings.Builder
	for i, p := range strings.Split(text, "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.HasPrefix(p, " ") {
			b.WriteString(".nf\n" + roff(p) + "\n.fi\n")
		} else {
			b.WriteString(roff(p) + "\n")
		}
	}
	return b.String()
}

// manSettings writes the settings in the order of the flags.
func manSettings(f *pflag.FlagSet) string {
	names := new(config.Settings).Names()
	var b strings.Builder
	f.VisitAll(func(flag *pflag.Flag) {
		if slices.Contains(names, flag.Name) {
			_, usage := pflag.UnquoteUsage(flag)
			fmt.Fprintf(&b, ".TP\n.B %s\n%s: %s%s.\n", settingName(flag.Name), settingType(flag), roff(usage), manDefault(flag))
		}
	})
	return b.String()
}

// settingType is the type in the file of what is a flag.
func settingType(flag *pflag.Flag) string {
	switch flag.Value.Type() {
	case "bool":
		return "boolean"
	case "int":
		return "integer"
	case "duration":
		return "string, a time such as \"90s\""
	case "stringArray", "stringSlice":
		return "array of strings"
	}
	return "string"
}

// roff writes text so that no line of it is taken for a request, and hyphens can
// be copied.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

package argv

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExplain(t *testing.T) {
	const (
		receiver = "only the receiver acts on it"
		unknown  = "unknown option"
	)
	for _, tt := range []struct {
		command string
		want    []Given
		served  bool
	}{
		{"rsync --server --sender -lte.LsfxC --bwlimit=5 --timeout 9 --delete . a", []Given{
			{"--server", Honoured, ""}, {"--sender", Honoured, ""}, {"-l", Honoured, ""},
			{"-t", ReceiverOnly, "modification times are always sent"}, {"-e.LsfxC", Honoured, ""},
			{"--bwlimit=5", Honoured, ""}, {"--timeout=9", Honoured, ""}, {"--delete", ReceiverOnly, receiver},
		}, true},
		{"rsync --server --sender -rY --frobnicate --links=1 --bwlimit=x --copy-devices -v --timeout", []Given{
			{"--server", Honoured, ""}, {"--sender", Honoured, ""}, {"-r", Honoured, ""}, {"-Y", Refused, unknown},
			{"--frobnicate", Refused, unknown}, {"--links=1", Refused, "option does not take an argument"},
			{"--bwlimit=x", Refused, "invalid numeric value"},
			{"--copy-devices", Refused, "the contents of devices are not served"}, {"-v", Honoured, ""},
			{"--timeout", Refused, "missing argument"},
		}, false},
		{"rsync --server --daemon .", nil, true},
		{"date", nil, false},
	} {
		p, got, err := Explain(tt.command)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err == nil) != tt.served || (p != nil) != tt.served {
			t.Errorf("%s: %v\n(-want +got):\n%s", tt.command, err, diff)
		}
	}
}

package main

// inImage is set by the Dockerfile. Elsewhere a PUBLIC_KEY in the environment is
// meant for somebody else.
const inImage = "RRSERVE_IMAGE"

// imageNames are the variables that container images of sshd take keys from, by
// ours for which they stand in the image.
var imageNames = map[string]string{
	inlineKeysVariable:       "PUBLIC_KEY",
	"RRSERVE_AUTHORIZED_KEY": "PUBLIC_KEY_FILE",
	"RRSERVE_KEYS_DIR":       "PUBLIC_KEY_DIR",
}

// findVariable returns the value of a variable and the name that it was given by,
// "" if it is not set. An empty one of imageNames is as good as none: compose files
// pass on what is not there.
func findVariable(ours string, lookup func(string) (string, bool)) (name, value string, err error) {
	value, ok := lookup(ours)
	if ok {
		name = ours
	}
	theirs, ok := imageNames[ours]
	if image, _ := lookup(inImage); !ok || image == "" {
		return name, value, nil
	}
	switch other, _ := lookup(theirs); {
	case other == "":
		return name, value, nil
	case value != "":
		return "", "", configf("%s and %s are both set; allowed is one of them", theirs, ours)
	default:
		return theirs, other, nil
	}
}

package flist

import "strings"

// Source is one path argument, or one name of --files-from.
type Source struct {
	// Base is the directory that Name is relative to, "" for the root: the
	// path argument of --files-from.
	Base string
	// Name is the argument as the client meant it, expanded.
	Name string
}

// place is a source taken apart (section 2.1.1): the directory that transfer
// names are relative to, and the name below it.
type place struct {
	root string
	// name is the transfer name: without -R one component or ".", with -R the
	// cleaned path, with a leading slash if the argument had one.
	name string
	// contents says that the source was written as "dir/" or "dir/.": a link
	// is followed, and -d lists the directory.
	contents bool
	// dot says that the name began with "./" before more, which -R turns into
	// an entry for the top.
	dot bool
}

func (s Source) place(relative bool) place {
	if relative {
		return s.relativePlace()
	}
	name := join(s.Base, s.Name)
	switch {
	case name == "" || name == ".":
		return place{name: ".", contents: true}
	case strings.HasSuffix(name, "/"):
		return place{root: name, name: ".", contents: true}
	case strings.HasSuffix(name, "/."):
		return place{root: name[:len(name)-1], name: ".", contents: true}
	}
	i := strings.LastIndexByte(name, '/')
	return place{root: name[:i+1], name: name[i+1:]}
}

func (s Source) relativePlace() place {
	p := place{root: s.Base}
	name := s.Name
	if i := strings.Index(name, "/./"); i >= 0 {
		p.root, name = join(s.Base, name[:i+1]), name[i+3:]
	} else if rest, ok := strings.CutPrefix(name, "./"); ok {
		p.dot = strings.Trim(rest, "/.") != ""
		name = rest
	}
	absolute := strings.HasPrefix(name, "/") && p.root == ""
	p.contents = name == "" || name == "." || strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.")
	p.name = clean(name)
	switch {
	case p.name == "" && absolute:
		p.name = "/."
	case p.name == "":
		p.name = "."
	case absolute:
		p.name = "/" + p.name
	}
	return p
}

func join(base, name string) string {
	if base == "" {
		return name
	}
	return base + "/" + name
}

// clean drops empty and "." components.
func clean(name string) string {
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}

// CleanListed cleans a name of --files-from as stock servers do: ".." is
// resolved in the text and never leaves the base directory, leading slashes are
// dropped, a trailing slash, a leading "./" and with -R the first "/./" stay.
func CleanListed(name string, relative bool) string {
	if root, rest, ok := strings.Cut(name, "/./"); ok && relative {
		return cleanListed(root) + "/./" + cleanListed(rest)
	}
	return cleanListed(name)
}

func cleanListed(name string) string {
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			if len(parts) > 0 {
				parts = parts[:len(parts)-1]
			}
		default:
			parts = append(parts, part)
		}
	}
	out := strings.Join(parts, "/")
	if out == "" {
		return "."
	}
	if strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.") {
		out += "/"
	}
	if strings.HasPrefix(name, "./") {
		out = "./" + out
	}
	return out
}

// unsafeLink reports whether a link of transfer name name with this target
// points out of the transfer (section 2.1.6).
func unsafeLink(target, name string) bool {
	if target == "" || target[0] == '/' {
		return true
	}
	rest := target
	for strings.HasPrefix(rest, "../") {
		rest = strings.TrimLeft(rest[2:], "/")
	}
	if strings.Contains(rest, "/../") || len(target) > 3 && strings.HasSuffix(target, "/..") {
		return true
	}
	depth := 0
	for part := range strings.SplitSeq(dirOf(name), "/") {
		if part != "" && part != "." {
			depth++
		}
	}
	last := ""
	for part := range strings.SplitSeq(target, "/") {
		if last == ".." {
			if depth--; depth < 0 {
				return true
			}
		} else if last != "" && last != "." {
			depth++
		}
		last = part
	}
	return last == ".." && depth < 1
}

func dirOf(name string) string { return name[:strings.LastIndexByte(name, '/')+1] }

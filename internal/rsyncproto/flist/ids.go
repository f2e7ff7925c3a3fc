package flist

import "rrserve/internal/rsyncproto/wire"

// maxIDName is the longest user or group name that fits the wire.
const maxIDName = 255

// idNames remembers which ids of a kind the client has been told about.
type idNames struct {
	lookup func(id uint32) string
	seen   map[uint32]bool
	order  []uint32
}

func newIDNames(lookup func(uint32) string) *idNames {
	return &idNames{lookup: lookup, seen: map[uint32]bool{}}
}

// name returns the name of id, "" if it has none that can be sent.
func (n *idNames) name(id uint32) string {
	if n.lookup == nil {
		return ""
	}
	s := n.lookup(id)
	if len(s) > maxIDName {
		return ""
	}
	return s
}

// first reports whether id is seen for the first time.
func (n *idNames) first(id uint32) bool {
	if n.seen[id] {
		return false
	}
	n.seen[id] = true
	n.order = append(n.order, id)
	return true
}

// write sends the names of all ids seen (section 2.3.2).
func (n *idNames) write(w *wire.Writer, v wire.Version, id0 bool) {
	for _, id := range n.order {
		if name := n.name(id); id != 0 && name != "" {
			w.Vint(v, int32(id))
			w.Byte(byte(len(name)))
			w.WriteString(name)
		}
	}
	w.Vint(v, 0)
	if id0 {
		name := n.name(0)
		w.Byte(byte(len(name)))
		w.WriteString(name)
	}
}

package jail

import (
	"os"
	"slices"
	"sync"
)

// lists holds listings that were given back, as *[]os.FileInfo. Behind their end
// the infos are still in place.
var lists sync.Pool

// Recycle gives back the list that Readdir returned and i is in. Nothing of it is
// to be used any more but the names.
func (i *info) Recycle(list []os.FileInfo) {
	list = list[:0]
	lists.Put(&list)
}

// withRoom returns the list with room for count more entries, and infos for them
// behind its end.
func withRoom(list []os.FileInfo, count int) []os.FileInfo {
	if list == nil {
		if old, ok := lists.Get().(*[]os.FileInfo); ok {
			list = *old
		}
	}
	n := len(list)
	list = slices.Grow(list, count)
	more := list[n : n+count]
	missing := 0
	for _, fi := range more {
		if _, ok := fi.(*info); !ok {
			missing++
		}
	}
	infos := make([]info, missing)
	for k, fi := range more {
		if _, ok := fi.(*info); !ok {
			more[k], infos = &infos[0], infos[1:]
		}
	}
	return list[:n]
}

// next returns the info behind the end of the list.
func next(list []os.FileInfo) *info { return list[:len(list)+1][len(list)].(*info) }

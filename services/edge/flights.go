package edge

import (
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// flight is one message with a packet id that is under way on this connection (rule R5). For persistent sessions it stays until the session partition has
// answered what the client said; then its owner, or the next one, knows.
type flight struct {
	index    uint64
	copy     *sentCopy // kept if somebody will ask for it: message.acked, repeats
	id       uint16    // packet id
	qos      broker.QoS
	sent     bool // given to the device
	received bool // PUBREC came
	recorded bool // the session partition answered the PUBREC
	released bool // PUBREL was asked for
	answered bool // the client has no more to say
}

// sentCopy is what was sent, and when last.
type sentCopy struct {
	msg    *broker.Message // nil after PUBREC
	retain bool
	subIDs []uint32
	at     time.Time
}

// flights holds the messages under way of one connection by packet id: a list in the order of their coming while they are few (answers come in about
// that order), a map beyond. The zero value is empty.
type flights struct {
	list []flight
	all  map[uint16]*flight // nil while the list is in use
}

const (
	flightsList = 64 // up to how many the list is used
	flightsFew  = 4  // room that a list begins with
)

// fewRooms and flightRooms are lists that nobody uses: *[flightsFew]flight, *[flightsList]flight. An empty list keeps no room.
var (
	fewRooms    = sync.Pool{New: func() any { return new([flightsFew]flight) }}
	flightRooms = sync.Pool{New: func() any { return new([flightsList]flight) }}
)

// get finds an entry; nil if there is none. The pointer holds until the next put or drop.
func (s *flights) get(id uint16) *flight {
	if s.all != nil {
		return s.all[id]
	}
	for i := range s.list {
		if s.list[i].id == id {
			return &s.list[i]
		}
	}
	return nil
}

// put adds an entry, or replaces that of the same id.
func (s *flights) put(f flight) {
	if old := s.get(f.id); old != nil {
		*old = f
		return
	}
	if s.all == nil && len(s.list) < flightsList {
		if s.list == nil {
			s.list = fewRooms.Get().(*[flightsFew]flight)[:0]
		} else if len(s.list) == flightsFew && cap(s.list) == flightsFew {
			room := flightRooms.Get().(*[flightsList]flight)
			n := copy(room[:], s.list)
			s.leave()
			s.list = room[:n]
		}
		s.list = append(s.list, f)
		return
	}
	if s.all == nil {
		s.all = make(map[uint16]*flight, 2*flightsList)
		for i := range s.list {
			x := s.list[i]
			s.all[x.id] = &x
		}
		s.leave()
	}
	own := f // f itself stays off the heap
	s.all[f.id] = &own
}

// drop takes an entry out.
func (s *flights) drop(id uint16) {
	if s.all != nil {
		if delete(s.all, id); len(s.all) == 0 {
			s.all = nil
		}
		return
	}
	for i := range s.list {
		if s.list[i].id != id {
			continue
		}
		copy(s.list[i:], s.list[i+1:])
		s.list[len(s.list)-1] = flight{}
		s.list = s.list[:len(s.list)-1]
		break
	}
	if len(s.list) == 0 {
		s.leave()
	}
}

// leave gives the list back.
func (s *flights) leave() {
	clear(s.list)
	switch cap(s.list) {
	case flightsFew:
		fewRooms.Put((*[flightsFew]flight)(s.list[:flightsFew]))
	case flightsList:
		flightRooms.Put((*[flightsList]flight)(s.list[:flightsList]))
	}
	s.list = nil
}

// each calls fn for every entry, in no particular order.
func (s *flights) each(fn func(*flight)) {
	for i := range s.list {
		fn(&s.list[i])
	}
	for _, f := range s.all {
		fn(f)
	}
}

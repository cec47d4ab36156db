package route

import "github.com/pando-mq/pando/services/topic"

// entry is the state of one route. There may be as many as subscriptions.
type entry struct {
	version         uint64
	members, online int32
}

// scope is what a snapshot asks for: one topic partition, or (topic -1) what every router has; of one tenant.
type scope struct {
	tenant string
	topic  int
}

// routes holds the routes of an origin, ordinary ones by filter. A *entry is valid until the next change of what is there.
type routes struct {
	plain  map[scope]*topic.Table[entry]
	shared map[Key]*entry
	holds  map[Key]Hold // of exclusive topics
}

func newRoutes() routes {
	return routes{plain: map[scope]*topic.Table[entry]{}, shared: map[Key]*entry{}, holds: map[Key]Hold{}}
}

// route finds a route; nil if there is none. Called with the lock held.
func (a *Announcer) route(k Key) *entry {
	if k.Group != "" {
		return a.routes.shared[k]
	}
	t := a.routes.plain[scope{k.Tenant, a.exactTopic(k)}]
	if t == nil {
		return nil
	}
	return t.Get(k.Filter)
}

// make finds a route or makes it. Called with the lock held.
func (a *Announcer) make(k Key) *entry {
	if k.Group != "" {
		e := a.routes.shared[k]
		if e == nil {
			e = &entry{}
			a.routes.shared[k] = e
		}
		return e
	}
	s := scope{k.Tenant, a.exactTopic(k)}
	t := a.routes.plain[s]
	if t == nil {
		t = new(topic.Table[entry])
		a.routes.plain[s] = t
	}
	e, _ := t.Put(k.Filter)
	return e
}

// forget removes a route. Called with the lock held.
func (a *Announcer) forget(k Key) {
	if k.Group != "" {
		delete(a.routes.shared, k)
		return
	}
	delete(a.routes.holds, k)
	s := scope{k.Tenant, a.exactTopic(k)}
	if t := a.routes.plain[s]; t != nil {
		if t.Delete(k.Filter); t.Len() == 0 {
			delete(a.routes.plain, s)
		}
	}
}

// each visits the routes of one topic partition, or (-1) those that every router has. Called with the lock held.
func (r *routes) each(topic int, fn func(Key, *entry)) {
	for s, t := range r.plain {
		if s.topic != topic {
			continue
		}
		for f, e := range t.All() {
			fn(Key{Tenant: s.tenant, Filter: f}, e)
		}
	}
	if topic < 0 {
		for k, e := range r.shared {
			fn(k, e)
		}
	}
}

package authsvc_test

import (
	"testing"

	"github.com/pando-mq/pando/services/broker"
)

// What is remembered of the users and client ids does not outlive a change of them.
func TestAChangeIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	n := s.start("a", config())
	s.owner(n)
	refused := func(client, user, password string) {
		t.Helper()
		if id, err := n.login(t, client, user, password); err == nil {
			t.Errorf("%s, %s, %s is admitted: %+v", client, user, password, id)
		}
	}
	admitted := func(client, user, password string) *broker.Identity {
		t.Helper()
		id, err := n.login(t, client, user, password)
		must(t, err)
		return id
	}
	refused("device", "u", "1")
	must(t, n.PutUser(t.Context(), broker.User{Name: "u", Password: broker.Secret("1"), Create: true}))
	admitted("device", "u", "1")
	must(t, n.PutUser(t.Context(), broker.User{Name: "u", Password: broker.Secret("2"), Superuser: true}))
	refused("device", "u", "1")
	if id := admitted("device", "u", "2"); !id.Superuser {
		t.Error("the new rights are not seen")
	}
	must(t, n.PutClientID(t.Context(), broker.User{Name: "device", Password: broker.Secret("3"), Create: true}))
	refused("device", "u", "2") // the client id is asked first
	admitted("device", "u", "3")
	must(t, n.DeleteClientID(t.Context(), "", "device"))
	admitted("device", "u", "2")
	must(t, n.DeleteUser(t.Context(), "", "u"))
	refused("device", "u", "2")
}

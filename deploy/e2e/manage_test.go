package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// contextOf is a context that also works while the test ends.
func contextOf(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	return ctx
}

// object is a row of an answer.
type object map[string]any

// call asks the REST API as the administrator and gives its code and result.
func call(t *testing.T, method, path, body string) (code int, result json.RawMessage) {
	t.Helper()
	base, user, secret := suite.REST()
	req, err := http.NewRequestWithContext(t.Context(), method, base+"/api/v2/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(user, secret)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Code    int
		Result  json.RawMessage
		Message string
		Missing []string
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK || len(answer.Missing) > 0 {
		t.Fatalf("%s %s: status %d, %v, missing %v", method, path, res.StatusCode, err, answer.Missing)
	}
	return answer.Code, answer.Result
}

// get wants an answer of code 0.
func get(t *testing.T, path string, into any) {
	t.Helper()
	code, result := call(t, http.MethodGet, path, "")
	if code != 0 {
		t.Fatalf("%s: code %d", path, code)
	}
	if err := json.Unmarshal(result, into); err != nil {
		t.Fatalf("%s: %v: %s", path, err, result)
	}
}

// objects is the list in a result.
func objects(t *testing.T, path string) []object {
	t.Helper()
	var page struct{ Objects []object }
	get(t, path, &page)
	return page.Objects
}

// nodes are the names of all nodes.
func nodes(t *testing.T) []string {
	t.Helper()
	var rows []struct {
		Name   string
		Status string `json:"node_status"`
	}
	get(t, "management/nodes", &rows)
	var list []string
	for _, r := range rows {
		if r.Status != "Running" {
			t.Errorf("%s is %s", r.Name, r.Status)
		}
		list = append(list, r.Name)
	}
	return list
}

// gone waits until the suite knows that a client has left: nothing answers a DISCONNECT.
func gone(t *testing.T, id string) {
	t.Helper()
	eventually(t, patience, func() error {
		if list := objects(t, "clients/"+id); len(list) > 0 {
			return errStillThere
		}
		return nil
	})
}

// offline waits until the suite keeps the session of a client that has left: what is published before may still be on its way to the connection, and counts as sent.
func offline(t *testing.T, id string) {
	t.Helper()
	eventually(t, patience, func() error {
		text, err := suite.Ctl(t.Context(), "", "sessions", "show", id)
		if err == nil && strings.Contains(text, "not while connected") {
			err = errStillThere
		}
		return err
	})
}

// A client is listed under the node of its connection, wherever that is; a kick ends it.
func TestRESTClients(t *testing.T) {
	t.Parallel()
	id := unique("rest")
	c := paho5(t, connect{ID: id, Place: 1, User: "somebody"})
	all := nodes(t)
	if len(all) != len(suite.MQTT()) {
		t.Errorf("nodes are %v", all)
	}
	found := 0
	for _, n := range all {
		found += len(objects(t, "nodes/"+n+"/clients/"+id))
		list := objects(t, "nodes/"+n+"/clients?page_size=1000")
		if slices.ContainsFunc(list, func(o object) bool { return o["client_id"] == id }) {
			found++
		}
	}
	if found != 2 {
		t.Errorf("found %d times, want in the list of one node and alone there", found)
	}
	list := objects(t, "clients/"+id)
	if len(list) != 1 {
		t.Fatalf("got %v", list)
	}
	delete(list[0], "port")
	delete(list[0], "connected_at")
	if diff := cmp.Diff(object{"client_id": id, "username": "somebody", "ipaddress": "127.0.0.1", "clean_sess": true, "proto_ver": 5.0, "keepalive": 60.0}, list[0]); diff != "" {
		t.Error(diff)
	}
	if code, _ := call(t, http.MethodDelete, "clients/"+id, ""); code != 0 {
		t.Errorf("kick: code %d", code)
	}
	select {
	case d := <-c.reason:
		if d.ReasonCode != 0x98 {
			t.Errorf("kicked with %#x, want administrative action", d.ReasonCode)
		}
	case <-time.After(patience):
		t.Error("not kicked")
	}
	gone(t, id)
	if code, _ := call(t, http.MethodDelete, "clients/"+id, ""); code != 112 {
		t.Errorf("second kick: code %d, want 112", code)
	}
}

// Sessions, subscriptions and routes are shown for clients of every node, and for those that are away.
func TestRESTSessionsSubscriptionsRoutes(t *testing.T) {
	t.Parallel()
	base, id := unique("e2e/rest"), unique("rest")
	c := paho5(t, connect{ID: id, Keep: true, Place: 1})
	c.Subscribe(t, 2, base+"/a", base+"/b/#")
	for _, state := range []string{"here", "away"} {
		sessions := objects(t, "sessions/"+id)
		if len(sessions) != 1 || sessions[0]["clean_sess"] != false || sessions[0]["subscriptions"] != 2.0 {
			t.Fatalf("%s: sessions %v", state, sessions)
		}
		subs := objects(t, "subscriptions/"+id)
		slices.SortFunc(subs, func(a, b object) int { return strings.Compare(fmt.Sprint(a["topic"]), fmt.Sprint(b["topic"])) })
		want := []object{{"client_id": id, "topic": base + "/a", "qos": 2.0}, {"client_id": id, "topic": base + "/b/#", "qos": 2.0}}
		if diff := cmp.Diff(want, subs); diff != "" {
			t.Errorf("%s: subscriptions %s", state, diff)
		}
		for _, filter := range []string{base + "/a", base + "/b/#"} {
			routes := objects(t, "routes/"+url.PathEscape(filter))
			if len(routes) != 1 || routes[0]["topic"] != filter || !strings.Contains(fmt.Sprint(routes[0]["node"]), "@127.0.0.1") {
				t.Errorf("%s: routes of %s: %v", state, filter, routes)
			}
		}
		if state == "here" {
			c.Leave(t)
			gone(t, id)
		}
	}
	back := paho5(t, connect{ID: id})
	present(t, back, false)
	eventually(t, patience, func() error {
		if list := objects(t, "routes/"+url.PathEscape(base+"/b/#")); len(list) > 0 {
			return fmt.Errorf("the route is still there: %v", list)
		}
		return nil
	})
}

// What is published, subscribed and unsubscribed by REST reaches clients on every gateway.
func TestRESTPublish(t *testing.T) {
	t.Parallel()
	topic := unique("e2e/rest")
	for place := range suite.MQTT() {
		id := unique("rest")
		c := paho3(t, 4, connect{ID: id, Place: place})
		do := func(path, body string) {
			t.Helper()
			if code, result := call(t, http.MethodPost, path, body); code != 0 {
				t.Fatalf("%s %s: code %d %s", path, body, code, result)
			}
		}
		do("mqtt/subscribe", fmt.Sprintf(`{"client_id":%q,"topic":%q,"qos":1}`, id, topic))
		do("mqtt/publish", fmt.Sprintf(`{"topic":%q,"payload":"hi","qos":2,"client_id":"rest"}`, topic))
		expect(t, c, topic+" hi q1")
		do("mqtt/unsubscribe", fmt.Sprintf(`{"client_id":%q,"topic":%q}`, id, topic))
		do("mqtt/publish", fmt.Sprintf(`{"topic":%q,"payload":"kept","qos":1,"retain":true,"client_id":"rest"}`, topic))
		c.Subscribe(t, 1, topic)
		expect(t, c, topic+" kept q1 retained")
		do("mqtt/publish", fmt.Sprintf(`{"topic":%q,"payload":"","qos":1,"retain":true,"client_id":"rest"}`, topic))
		expect(t, c, topic+"  q1")
	}
}

// Strangers see nothing but the status.
func TestRESTIsClosed(t *testing.T) {
	t.Parallel()
	base, user, _ := suite.REST()
	for _, path := range []string{"management/nodes", "routes", "clients/x"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v2/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(user, "public")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: status %d", path, res.StatusCode)
		}
	}
}

// pandoctl shows and changes the same things.
func TestPandoctl(t *testing.T) {
	t.Parallel()
	base, id := unique("e2e/ctl"), unique("ctl")
	c := paho3(t, 4, connect{ID: id, Place: 1, Keep: true})
	c.Subscribe(t, 1, base+"/#")
	rows := func(args ...string) []object {
		t.Helper()
		var list []object
		if err := json.Unmarshal([]byte(ctlOK(t, "", append(args, "-o", "json")...)), &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := rows("clients", "list", "--contains", id); len(list) != 1 || list[0]["client_id"] != id {
		t.Errorf("clients: %v", list)
	}
	if list := rows("sessions", "list", "persistent", "--contains", id); len(list) != 1 {
		t.Errorf("sessions: %v", list)
	}
	if list := rows("subscriptions", "list", id); len(list) != 1 || list[0]["filter"] != base+"/#" {
		t.Errorf("subscriptions: %v", list)
	}
	if out := ctlOK(t, "", "routes", "list"); !strings.Contains(out, base+"/#") {
		t.Errorf("routes: %s", out)
	}
	out := ctlOK(t, "", "status")
	for _, n := range nodes(t) {
		if !strings.Contains(out, n) {
			t.Errorf("%s is not in %s", n, out)
		}
	}
	ctlOK(t, "by hand", "publish", base+"/x", "-", "--qos", "1")
	expect(t, c, base+"/x by hand q1")
	ctlOK(t, "", "subscriptions", "add", id, "other/"+base, "--qos", "2")
	ctlOK(t, "", "publish", "other/"+base, "x", "--qos", "2")
	expect(t, c, "other/"+base+" x q2")
	ctlOK(t, "", "clients", "kick", id)
	c.ended(t, patience)
	ctlOK(t, "", "sessions", "drop", id)
	if _, err := suite.Ctl(t.Context(), "", "sessions", "show", id); err == nil {
		t.Error("the session is still there")
	}
}

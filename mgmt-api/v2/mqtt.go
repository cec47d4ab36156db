package v2

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/pando-mq/pando/mgmt-api/account"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

func (h *handler) mqttRoutes(r chi.Router) {
	r.Post("/mqtt/publish", h.publish)
	r.Post("/mqtt/subscribe", h.subscribe)
	r.Post("/mqtt/unsubscribe", h.unsubscribe)
}

// publish publishes in the name of client_id. The administrator's right is enough: the ACL is not asked, as in the seed.
func (h *handler) publish(w http.ResponseWriter, r *http.Request) {
	b := readBody(r)
	name, payload, clientID := "", "", "http"
	qos, retain := 0, false
	need(b, "topic", &name)
	read(b, "payload", &payload)
	read(b, "qos", &qos)
	read(b, "retain", &retain)
	read(b, "client_id", &clientID)
	if err := errors.Join(b.err, checkQoS(b, qos), checkName(b, name)); err != nil {
		h.refuse(w, r, err)
		return
	}
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // the zero value for what has none
	as := broker.Identity{ClientID: clientID, Superuser: true, Peer: peer, Protocol: "http", Listener: "mqtt:api"}
	m := &broker.Message{Topic: name, Payload: []byte(payload), QoS: broker.QoS(qos), Retain: retain, From: clientID, Published: time.Now()}
	if _, err := h.Fleet.Publish(r.Context(), as, m); err != nil {
		h.refuse(w, r, err)
		return
	}
	h.result(w, r, empty(), nil)
}

// checkQoS and checkName speak only when the body was read well.
func checkQoS(b *body, qos int) error {
	if b.err == nil && (qos < 0 || qos > 2) {
		return fail(codeUnknown, "QoS should be 0, 1, 2")
	}
	return nil
}

func checkName(b *body, name string) error {
	if b.err == nil && topic.ValidateName(name) != nil {
		return fail(codeUnknown, fmt.Sprintf("validate topic: %s fail", name))
	}
	return nil
}

// checkFilter is checkName for a subscription.
func checkFilter(b *body, filter string) error {
	if b.err != nil {
		return nil
	}
	if _, err := topic.Parse(filter); err != nil {
		return fail(codeUnknown, fmt.Sprintf("validate topic: %s fail", filter))
	}
	return nil
}

func (h *handler) subscribe(w http.ResponseWriter, r *http.Request) {
	b := readBody(r)
	clientID, filter, qos := "", "", 0
	need(b, "client_id", &clientID)
	need(b, "topic", &filter)
	read(b, "qos", &qos)
	if err := errors.Join(b.err, checkQoS(b, qos), checkFilter(b, filter)); err != nil {
		h.refuse(w, r, err)
		return
	}
	h.resubscribed(w, r, clientID, h.Fleet.Subscribe(r.Context(), broker.DefaultTenant, clientID, broker.Subscription{Filter: filter, QoS: broker.QoS(qos)}))
}

func (h *handler) unsubscribe(w http.ResponseWriter, r *http.Request) {
	b := readBody(r)
	clientID, filter := "", ""
	need(b, "client_id", &clientID)
	need(b, "topic", &filter)
	if err := errors.Join(b.err, checkFilter(b, filter)); err != nil {
		h.refuse(w, r, err)
		return
	}
	h.resubscribed(w, r, clientID, h.Fleet.Unsubscribe(r.Context(), broker.DefaultTenant, clientID, filter))
}

func (h *handler) resubscribed(w http.ResponseWriter, r *http.Request, clientID string, err error) {
	if err != nil && broker.KindOf(err) == broker.KindNotFound {
		err = fail(codeUnknown, fmt.Sprintf("Clientid: %s not found", clientID))
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.result(w, r, empty(), nil)
}

// login checks the name and password of an administrator.
func (h *handler) login(w http.ResponseWriter, r *http.Request) {
	b := readBody(r)
	name, password := "", ""
	need(b, "username", &name)
	need(b, "password", &password)
	if b.err == nil && (name == "" || password == "") {
		b.err = fail(codeEmptyLogin, "username or password is empty")
	}
	if b.err != nil {
		h.refuse(w, r, b.err)
		return
	}
	result, err := h.Book.Login(r.Context(), name, password)
	switch {
	case err != nil:
		h.refuse(w, r, err)
	case result == account.Unknown:
		h.refuse(w, r, fail(codeLogin, "User not found"))
	case result == account.WrongPassword:
		h.refuse(w, r, fail(codeLogin, "Password error"))
	default:
		h.result(w, r, empty(), nil)
	}
}

package brokertest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"

	"github.com/pando-mq/pando/services/broker"
)

// userSentences are about users and client ids.
func userSentences() []sentence[*authorised] {
	return []sentence[*authorised]{
		{"PutUser adds or replaces; the password is hashed at once", func(t T, h *authorised) {
			h.put("ann", "one")
			h.admitted(credentials("ann", "one"))
			h.put("ann", "two")
			h.admitted(credentials("ann", "two"))
			h.refused(credentials("ann", "one"), broker.KindUnauthenticated)
		}},
		{"DeleteUser: KindNotFound", func(t T, h *authorised) {
			h.put("ann", "one")
			h.put("bob", "one")
			wantNil(t, h.Admin.DeleteUser(t.Context(), "", "ann"))
			h.refused(credentials("ann", "one"), broker.KindUnauthenticated)
			wantKind(t, h.Admin.DeleteUser(t.Context(), "", "ann"), broker.KindNotFound)
		}},
		{"Users: without passwords", func(t T, h *authorised) {
			for _, name := range []string{"cid", "ann", "bob"} {
				h.put(name, "secret")
			}
			eventually(t, func() bool { l, err := h.Admin.Users(t.Context(), "", "", 0); return err == nil && len(l) == 3 }, "all users are listed")
			names := func(after string, limit int) (list []string) {
				got, err := h.Admin.Users(t.Context(), "", after, limit)
				wantNil(t, err)
				for _, u := range got {
					list = append(list, u.Name)
					if len(u.Password) != 0 || u.Hash == "secret" {
						t.Errorf("user %s with password %q", u.Name, []byte(u.Password))
					}
				}
				return list
			}
			wantTexts(t, names("", 0), "ann", "bob", "cid")
			wantTexts(t, names("ann", 1), "bob")
			wantTexts(t, names("cid", 10))
		}},
		{"Create: refuse with KindConflict if it exists", func(t T, h *authorised) {
			u := broker.User{Name: "ann", Password: broker.Secret("one"), Create: true}
			wantNil(t, h.Admin.PutUser(t.Context(), u))
			u.Password = broker.Secret("two")
			wantKind(t, h.Admin.PutUser(t.Context(), u), broker.KindConflict)
			h.admitted(credentials("ann", "one"))
		}},
		{"Hash: alternative to Password: an imported hash, with Method as in auth.*.password_hash", func(t T, h *authorised) {
			sum := sha256.Sum256([]byte("old"))
			wantNil(t, h.Admin.PutUser(t.Context(), broker.User{Name: "ann", Hash: hex.EncodeToString(sum[:]), Method: "sha256"}))
			h.admitted(credentials("ann", "old"))
			h.refused(credentials("ann", hex.EncodeToString(sum[:])), broker.KindUnauthenticated)
		}},
		{"PutClientID, DeleteClientID, ClientIDs", func(t T, h *authorised) {
			put := func(password string) {
				wantNil(t, h.Admin.PutClientID(t.Context(), broker.User{Name: "client-x", Password: broker.Secret(password)}))
			}
			put("one")
			put("two")
			h.admitted(credentials("x", "two"))
			h.refused(credentials("x", "one"), broker.KindUnauthenticated)
			list, err := h.Admin.ClientIDs(t.Context(), "", "", 10)
			wantNil(t, err)
			if len(list) != 1 || list[0].Name != "client-x" || len(list[0].Password) != 0 {
				t.Errorf("client ids %+v", list)
			}
			h.put("other", "x") // somebody is known
			wantNil(t, h.Admin.DeleteClientID(t.Context(), "", "client-x"))
			h.refused(credentials("x", "two"), broker.KindUnauthenticated)
			wantKind(t, h.Admin.DeleteClientID(t.Context(), "", "client-x"), broker.KindNotFound)
		}},
		{"Every change is durable and visible through every authsvc within a second.", func(t T, h *authorised) {
			need(t, h.Restart != nil && h.Other != nil && h.OtherAdmin != nil, "Restart, Other and OtherAdmin")
			h.put("ann", "one")
			h.rule(broker.Rule{Index: -1, Topic: "no", Access: 3})
			there := func() {
				t.Helper()
				eventually(t, func() bool {
					_, err := h.Other.Authenticate(t.Context(), credentials("ann", "one"))
					return err == nil
				}, "the user is known to the other authsvc")
				eventually(t, func() bool {
					got, err := h.Other.Authorize(t.Context(), identity("ann"), broker.ActionPublish, []string{"no"})
					return err == nil && !got[0].Allow
				}, "the rule is in force at the other authsvc")
			}
			there()
			h.Restart()
			there()
			wantNil(t, h.OtherAdmin.PutUser(t.Context(), broker.User{Name: "bob", Password: broker.Secret("two")}))
			eventually(t, func() bool {
				_, err := h.Auth.Authenticate(t.Context(), credentials("bob", "two"))
				return err == nil
			}, "a user put through the other authsvc is known here")
		}},
	}
}

// ruleSentences are about rules and the ACL file.
func ruleSentences() []sentence[*authorised] {
	return []sentence[*authorised]{
		{"PutRule: Index -1 appends", func(t T, h *authorised) {
			first := h.rule(broker.Rule{Index: -1, Topic: "a", Access: 3})
			h.want(identity("ann"), broker.ActionPublish, "a", false)
			h.rule(broker.Rule{Index: -1, Topic: "a", Access: 3, Allow: true}) // behind the first: changes nothing
			h.want(identity("ann"), broker.ActionPublish, "a", false)
			h.rule(broker.Rule{Index: 0, Topic: "a", Access: 3, Allow: true, Username: "ann"})
			h.want(identity("ann"), broker.ActionPublish, "a", true)
			h.want(identity("bob"), broker.ActionPublish, "a", false)
			if first.ID == "" {
				t.Errorf("a rule without id: %+v", first)
			}
		}},
		{"Rules: in order of evaluation", func(t T, h *authorised) {
			last := h.rule(broker.Rule{Index: -1, Topic: "c", Access: 3})
			h.rule(broker.Rule{Index: 0, Topic: "a", Access: 1, Allow: true, Username: "u", ClientID: "c", CIDR: "10.0.0.0/8"})
			h.rule(broker.Rule{Index: 1, Topic: "b", Access: 2})
			eventually(t, func() bool { l, err := h.Admin.Rules(t.Context()); return err == nil && len(l) == 3 }, "all rules are listed")
			list, err := h.Admin.Rules(t.Context())
			wantNil(t, err)
			var topics []string
			for _, r := range list {
				topics = append(topics, r.Topic)
			}
			wantTexts(t, topics, "a", "b", "c")
			if r := list[0]; r.Access != 1 || !r.Allow || r.Username != "u" || r.ClientID != "c" || r.CIDR != "10.0.0.0/8" {
				t.Errorf("rule %+v", r)
			}
			wantNil(t, h.Admin.DeleteRule(t.Context(), last.ID))
			wantKind(t, h.Admin.DeleteRule(t.Context(), last.ID), broker.KindNotFound)
			h.want(identity("ann"), broker.ActionPublish, "c", true)
		}},
		{"Empty conditions match everybody; several are joined by AND.", func(t T, h *authorised) {
			h.rule(broker.Rule{Index: -1, Topic: "both", Access: 3, Username: "ann", ClientID: "client-ann"})
			h.rule(broker.Rule{Index: -1, Topic: "net", Access: 3, CIDR: "198.51.100.0/24"})
			stranger := identity("ann")
			stranger.ClientID = "another"
			h.want(identity("ann"), broker.ActionPublish, "both", false)
			h.want(stranger, broker.ActionPublish, "both", true)
			near := identity("ann")
			near.Peer = netip.MustParseAddrPort("198.51.100.9:1")
			h.want(near, broker.ActionPublish, "net", false)
			h.want(identity("ann"), broker.ActionPublish, "net", true)
		}},
		{"Access: 1 subscribe, 2 publish, 3 both", func(t T, h *authorised) {
			for access, topic := range map[uint8]string{1: "s", 2: "p", 3: "b"} {
				h.rule(broker.Rule{Index: -1, Topic: topic, Access: access})
				h.want(identity("ann"), broker.ActionSubscribe, topic, access&1 == 0)
				h.want(identity("ann"), broker.ActionPublish, topic, access&2 == 0)
			}
		}},
		{"filter, %u and %c as whole levels; \"eq x\" matches x literally", func(t T, h *authorised) {
			h.rule(broker.Rule{Index: -1, Topic: "own/%u/%c/#", Access: 3, Allow: true})
			h.rule(broker.Rule{Index: -1, Topic: "own/#", Access: 3})
			h.rule(broker.Rule{Index: -1, Topic: "eq all/#", Access: 1})
			h.want(identity("ann"), broker.ActionPublish, "own/ann/client-ann/x", true)
			h.want(identity("ann"), broker.ActionPublish, "own/bob/client-bob/x", false)
			h.want(identity("ann"), broker.ActionSubscribe, "all/#", false)
			h.want(identity("ann"), broker.ActionSubscribe, "all/x", true)
		}},
		{"ReloadACL reads the ACL file again, on every authsvc; a broken file keeps the old rules and is the error", func(t T, h *authorised) {
			need(t, h.WriteACL != nil && h.BreakACL != nil, "WriteACL and BreakACL")
			w := h.watch(h.Auth)
			before := w.last()
			h.WriteACL("file/no")
			wantNil(t, h.Admin.ReloadACL(t.Context()))
			h.want(identity("ann"), broker.ActionPublish, "file/no", false)
			eventually(t, func() bool { return w.last() > before }, "the generation rises")
			eventually(t, func() bool {
				got, err := h.Other.Authorize(t.Context(), identity("ann"), broker.ActionPublish, []string{"file/no"})
				return err == nil && !got[0].Allow
			}, "the other authsvc reads the file")
			h.BreakACL()
			if h.Admin.ReloadACL(t.Context()) == nil {
				t.Errorf("a broken file is no error")
			}
			h.want(identity("ann"), broker.ActionPublish, "file/no", false)
		}},
	}
}

package brokertest

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/scram"
)

// exchange is a whole exchange of a client, its steps at the given authsvc in turn.
func (h *authorised) exchange(c *scram.Client, cred *broker.Credentials, method string, at ...broker.Auth) (*broker.AuthAnswer, error) {
	step := broker.AuthStep{Credentials: cred, Method: method, Data: c.First()}
	answer, err := at[0].Exchange(h.t.Context(), &step)
	if err != nil {
		return nil, err
	}
	step.State = answer.State
	if step.Data, err = c.Last(answer.Data); err != nil {
		return nil, err
	}
	return at[len(at)-1].Exchange(h.t.Context(), &step)
}

// proven waits until a user's proof is taken.
func (h *authorised) proven(method, user, password string, at ...broker.Auth) *broker.Identity {
	h.t.Helper()
	var answer *broker.AuthAnswer
	var err error
	cred := credentials(user, "")
	if !poll(patienceOf(h.t), func() bool {
		c := scram.NewClient(method, user, password)
		answer, err = h.exchange(c, cred, method, at...)
		if err == nil {
			err = c.Verify(answer.Data)
		}
		return err == nil
	}) {
		h.t.Fatalf("%s is not admitted by %s: %v", user, method, err)
	}
	if answer.Identity == nil {
		h.t.Fatalf("%s is admitted by %s as nobody", user, method)
	}
	return answer.Identity
}

// exchangeSentences are about authentication in several steps.
func exchangeSentences() []sentence[*authorised] {
	return []sentence[*authorised]{
		{"Exchange takes one step of an authentication in several", func(t T, h *authorised) {
			wantNil(t, h.Admin.PutUser(t.Context(), broker.User{Name: "root", Password: broker.Secret("toor"), Superuser: true}))
			h.put("ann", "secret")
			for _, method := range scram.Methods() {
				id, cred := h.proven(method, "ann", "secret", h.Auth), credentials("ann", "")
				if id.ClientID != cred.ClientID || id.Username != "ann" || id.Superuser || id.Peer != cred.Peer || id.Listener != cred.Listener || id.CertCN != "cn" {
					t.Errorf("identity %+v of %+v", id, cred)
				}
			}
			if !h.proven(scram.SHA256, "root", "toor", h.Auth).Superuser {
				t.Errorf("the superuser is none")
			}
		}},
		{"It keeps nothing between the steps: what the next one needs is in AuthAnswer.State, so that any authsvc can take it.", func(t T, h *authorised) {
			need(t, h.Other != nil, "Other")
			h.put("ann", "secret")
			h.proven(scram.SHA256, "ann", "secret", h.Auth, h.Other)
			h.proven(scram.SHA512, "ann", "secret", h.Other, h.Auth)
		}},
		{"KindNotFound: the method is not known here.", func(t T, h *authorised) {
			_, err := h.Auth.Exchange(t.Context(), &broker.AuthStep{Credentials: credentials("ann", ""), Method: "GS2-KRB5", Data: []byte("x")})
			wantKind(t, err, broker.KindNotFound)
		}},
		{"KindUnauthenticated: a wrong proof, somebody unknown or without what the method needs, or a message that is none of the method", func(t T, h *authorised) {
			h.put("ann", "secret")
			h.proven(scram.SHA256, "ann", "secret", h.Auth)
			digest := sha256.Sum256([]byte("old"))
			wantNil(t, h.Admin.PutUser(t.Context(), broker.User{Name: "old", Hash: hex.EncodeToString(digest[:]), Method: "sha256"}))
			h.admitted(credentials("old", "old"))
			for user, password := range map[string]string{"ann": "wrong", "nobody": "secret", "old": "old"} {
				answer, err := h.exchange(scram.NewClient(scram.SHA256, user, password), credentials(user, ""), scram.SHA256, h.Auth)
				wantKind(t, err, broker.KindUnauthenticated)
				if answer != nil {
					t.Errorf("%s is refused, and yet %+v", user, answer)
				}
			}
			_, err := h.Auth.Exchange(t.Context(), &broker.AuthStep{Credentials: credentials("ann", ""), Method: scram.SHA256, Data: []byte("hello")})
			wantKind(t, err, broker.KindUnauthenticated)
		}},
		{"which of them is not told", func(t T, h *authorised) {
			h.put("ann", "secret")
			h.proven(scram.SHA256, "ann", "secret", h.Auth)
			for _, user := range []string{"ann", "nobody"} {
				var told [2]string
				for i := range told {
					step := broker.AuthStep{Credentials: credentials(user, ""), Method: scram.SHA256, Data: []byte("n,,n=" + user + ",r=abc")}
					answer, err := h.Auth.Exchange(t.Context(), &step)
					wantNil(t, err)
					told[i] = afterNonce(answer.Data)
				}
				if told[0] != told[1] || told[0] == "" {
					t.Errorf("%s is told %q and then %q", user, told[0], told[1])
				}
			}
		}},
		{"SCRAM: it replaces what was there whenever the password or hash is", func(t T, h *authorised) {
			h.put("ann", "one")
			h.proven(scram.SHA256, "ann", "one", h.Auth)
			h.put("ann", "two")
			h.proven(scram.SHA256, "ann", "two", h.Auth)
			digest := sha256.Sum256([]byte("three"))
			wantNil(t, h.Admin.PutUser(t.Context(), broker.User{Name: "ann", Hash: hex.EncodeToString(digest[:]), Method: "sha256"}))
			h.admitted(credentials("ann", "three"))
			_, err := h.exchange(scram.NewClient(scram.SHA256, "ann", "two"), credentials("ann", ""), scram.SHA256, h.Auth)
			wantKind(t, err, broker.KindUnauthenticated)
		}},
	}
}

// afterNonce is the part of a challenge that is the same for one user each time: salt and iterations.
func afterNonce(challenge []byte) string {
	for i, b := range challenge {
		if b == ',' {
			return string(challenge[i:])
		}
	}
	return ""
}

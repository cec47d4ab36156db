package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Client is the client's side of one exchange, for tests of servers and for whatever connects to one.
type Client struct {
	method, user, password string
	nonce, bare            string
	signature              []byte // that the server must show
}

// NewClient begins an exchange with a known method.
func NewClient(method, user, password string) *Client {
	return &Client{method: method, user: user, password: password}
}

// First is the first message.
func (c *Client) First() []byte {
	random := make([]byte, newNonce)
	_, _ = rand.Read(random) // never fails
	c.nonce = base64.StdEncoding.EncodeToString(random)
	c.bare = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.user) + ",r=" + c.nonce
	return []byte(header + c.bare)
}

// Last answers the server's challenge.
func (c *Client) Last(challenge []byte) ([]byte, error) {
	text := string(challenge)
	parts := strings.Split(text, ",")
	if len(parts) < 3 || !strings.HasPrefix(parts[0], "r="+c.nonce) || !strings.HasPrefix(parts[1], "s=") || !strings.HasPrefix(parts[2], "i=") {
		return nil, fmt.Errorf("challenge: %w", ErrMalformed)
	}
	salt, err := base64.StdEncoding.DecodeString(parts[1][2:])
	if err != nil {
		return nil, fmt.Errorf("challenge: %w", ErrMalformed)
	}
	iterations, err := strconv.Atoi(parts[2][2:])
	if err != nil || iterations < MinIterations || iterations > MaxIterations {
		return nil, fmt.Errorf("challenge: %w", ErrMalformed)
	}
	h := hashOf(c.method)
	salted, err := pbkdf2.Key(h, string(prepare([]byte(c.password))), salt, iterations, h().Size())
	if err != nil {
		return nil, fmt.Errorf("challenge: %w", err)
	}
	key := mac(h, salted, "Client Key")
	without := "c=" + bound + "," + parts[0]
	whole := c.bare + "," + text + "," + without
	proof := make([]byte, len(key))
	subtle.XORBytes(proof, key, mac(h, sum(h, key), whole))
	c.signature = mac(h, mac(h, salted, "Server Key"), whole)
	return []byte(without + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// Verify checks that the server knows the password too.
func (c *Client) Verify(final []byte) error {
	text, ok := strings.CutPrefix(string(final), "v=")
	got, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || !hmac.Equal(got, c.signature) {
		return errors.New("the server does not know the password")
	}
	return nil
}

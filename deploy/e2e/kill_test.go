package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// usersWriter is the service that writes the journal of users.
func usersWriter(t *testing.T) string {
	t.Helper()
	var status struct {
		Services []struct {
			ID         string
			Partitions map[string]int
		}
	}
	if err := json.Unmarshal([]byte(ctlOK(t, "", "status", "-o", "json")), &status); err != nil {
		t.Fatal(err)
	}
	for _, s := range status.Services {
		if s.Partitions["auth"] > 0 {
			name, _, _ := strings.Cut(s.ID, "@")
			return name
		}
	}
	t.Fatalf("nobody writes the journal of users: %+v", status)
	return ""
}

// living are the gateways that take connections.
func living(t *testing.T) []int {
	t.Helper()
	var list []int
	for place, addr := range suite.MQTT() {
		if conn, err := net.DialTimeout("tcp", addr, patience); err == nil {
			_ = conn.Close()
			list = append(list, place)
		}
	}
	return list
}

// The process that took a user is killed at once: the user gets in at every gateway that is still there while the process is gone, and everywhere when it is
// back. That it takes less than a second is for the tests of authsvc, which can try again. This test is not parallel: the others want all services.
func TestUserOutlivesTheOneThatTookIt(t *testing.T) {
	user, writer := unique("user"), usersWriter(t)
	ctlOK(t, "secret\n", "users", "add", user, "--password-stdin")
	if err := suite.Kill(t.Context(), writer); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	in := func(place int) {
		t.Helper()
		eventually(t, patience, func() error {
			if code := login(t, place, user, "wrong"); code != 0x86 { // nobody, as long as the user is not known there, for anonymous clients are let in
				return fmt.Errorf("gateway %d answers a wrong password with %#x", place, code)
			}
			if code := login(t, place, user, "secret"); code != 0 {
				return fmt.Errorf("gateway %d answers with %#x", place, code)
			}
			return nil
		})
	}
	for _, place := range living(t) {
		in(place)
		t.Logf("gateway %d admits the user %s after the kill", place, time.Since(begin).Round(time.Millisecond))
	}
	if err := suite.Start(t.Context(), writer); err != nil {
		t.Fatal(err)
	}
	for place := range suite.MQTT() {
		in(place)
	}
	eventually(t, patience, func() error {
		_, err := suite.Ctl(t.Context(), "", "users", "del", user)
		return err
	})
}

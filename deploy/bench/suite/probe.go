package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pando-mq/pando/deploy/bench/wire"
)

// What a setting is found to be.
const (
	on  = "on"
	off = "OFF"
)

// probe tries a running broker: a stranger and a wrong password must be turned away, a user must get in, a topic that no rule permits must be refused, and one
// that a rule permits must not.
func probe(addr netip.AddrPort) (Settings, error) {
	var s Settings
	s.Authentication, s.ACL = off, off
	user := strings.ReplaceAll(userName, "%i", "0")
	stranger, err1 := hello(addr, "", "", nil)
	wrong, err2 := hello(addr, user, password+"?", nil)
	known, err3 := hello(addr, user, password, nil)
	if err := errors.Join(err1, err2, err3); err != nil {
		return s, err
	}
	if known != 0 {
		return s, fmt.Errorf("the broker does not let %s in: code 0x%02x", user, known)
	}
	if stranger != 0 && wrong != 0 {
		s.Authentication = on
	}
	var refused, taken byte
	_, err1 = hello(addr, user, password, func(c net.Conn) (err error) { refused, err = ask(c, "forbidden/x"); return err })
	_, err2 = hello(addr, user, password, func(c net.Conn) (err error) { taken, err = ask(c, "bench/x"); return err })
	if err := errors.Join(err1, err2); err != nil {
		return s, err
	}
	if taken >= 0x80 {
		return s, fmt.Errorf("the broker refuses a topic that its rules permit: code 0x%02x", taken)
	}
	if refused >= 0x80 {
		s.ACL = on
	}
	return s, nil
}

// ask publishes one message and returns the reason code of its PUBACK (MQTT 5.0 §3.4.2.1).
func ask(c net.Conn, topic string) (byte, error) {
	if _, err := c.Write(wire.AppendPublish(nil, wire.V5, wire.Message{Topic: topic, QoS: 1, ID: 1})); err != nil {
		return 0, err
	}
	p, err := answer(c, wire.Puback)
	return p.Code, err
}

// hello connects with MQTT 5.0 and returns the reason code; with 0 it goes on with then.
func hello(addr netip.AddrPort, user, secret string, then func(net.Conn) error) (code byte, err error) {
	c, err := net.DialTimeout("tcp", addr.String(), 5*time.Second)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, err
	}
	h := wire.Hello{Version: wire.V5, ClientID: "probe" + strconv.FormatInt(time.Now().UnixNano(), 36), User: user, Password: secret, Clean: true, KeepAlive: 30}
	if _, err := c.Write(wire.AppendConnect(nil, h)); err != nil {
		return 0, err
	}
	p, err := answer(c, wire.Connack)
	if err != nil || p.Code != 0 || then == nil {
		return p.Code, err
	}
	return 0, then(c)
}

// answer reads one packet of a type.
func answer(c net.Conn, kind byte) (wire.Packet, error) {
	var p wire.Packet
	buf := make([]byte, 0, 1024)
	for {
		n, err := wire.Decode(buf, wire.V5, &p)
		if err != nil {
			return p, err
		}
		if n > 0 && p.Type == kind {
			return p, nil
		}
		if n > 0 {
			return p, fmt.Errorf("packet of type %d, want %d", p.Type, kind)
		}
		n, err = c.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return p, err
		}
		buf = buf[:len(buf)+n]
	}
}

// counted is the line of a counter that moves with every client.
var counted = regexp.MustCompile(`(?m)^pando_edge_node_total\{name="packets/connect"\} ([0-9.e+]+)$`)

// scrape reads the metrics of a Pando process: on if they have counted the clients of probe.
func scrape(ctx context.Context, ops string) (string, error) {
	text, err := get(ctx, "http://"+ops+"/metrics")
	if err != nil {
		return "", err
	}
	m := counted.FindSubmatch(text)
	if m == nil {
		return off, nil
	}
	if n, err := strconv.ParseFloat(string(m[1]), 64); err != nil || n < 1 {
		return off, err
	}
	return on, nil
}

// get reads a page of an admin port.
func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity") // to compress it would cost the process that is measured
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, res.Status)
	}
	return text, err
}

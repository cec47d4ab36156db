package suite

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/process"
)

// mosquitto is Debian's, with a password file, an ACL file, its persistence on and no log: what Pando does by default, as far as mosquitto can.
type mosquitto struct {
	program, dir string
	port         int // TCP; the next ones are TLS and WebSocket
	cmd          *exec.Cmd
	ended        chan struct{}
}

// FindMosquitto looks for the program where Debian puts it.
func FindMosquitto() (string, error) {
	if path, err := exec.LookPath("mosquitto"); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/mosquitto")
}

func newMosquitto(ctx context.Context, program, dir string) (*mosquitto, error) {
	m := &mosquitto{program: program, dir: dir}
	for m.port = 0; m.port == 0; {
		if p := 20000 + mathrand.IntN(9000); free(p) && free(p+1) && free(p+2) {
			m.port = p
		}
	}
	if err := certificate(dir); err != nil {
		return nil, err
	}
	passwords := filepath.Join(dir, "passwords")
	for i := range users {
		args := []string{"-b", passwords, strings.ReplaceAll(userName, "%i", strconv.Itoa(i)), password}
		if i == 0 {
			args = append([]string{"-c"}, args...)
		}
		if _, err := command(ctx, "mosquitto_passwd", args...); err != nil {
			return nil, err
		}
	}
	acl := "pattern readwrite " + strings.Join(permitted, "\npattern readwrite ") + "\n"
	return m, errors.Join(
		os.WriteFile(filepath.Join(dir, "acl"), []byte(acl), 0o600),
		os.WriteFile(m.config(), []byte(m.text()), 0o600))
}

func (m *mosquitto) config() string { return filepath.Join(m.dir, "mosquitto.conf") }

func (m *mosquitto) text() string {
	return fmt.Sprintf(`user root
per_listener_settings false
allow_anonymous false
password_file %[1]s/passwords
acl_file %[1]s/acl
persistence true
persistence_location %[1]s/
set_tcp_nodelay true
log_type none
pid_file %[1]s/pid
listener %[2]d 127.0.0.1
listener %[3]d 127.0.0.1
certfile %[1]s/cert.pem
keyfile %[1]s/key.pem
listener %[4]d 127.0.0.1
protocol websockets
`, m.dir, m.port, m.port+1, m.port+2)
}

// Name implements Broker.
func (m *mosquitto) Name() string { return "mosquitto" }

// Start implements Broker.
func (m *mosquitto) Start(ctx context.Context) error {
	m.cmd = exec.Command(m.program, "-c", m.config())
	m.cmd.Dir = m.dir
	if err := m.cmd.Start(); err != nil {
		return err
	}
	cmd, ended := m.cmd, make(chan struct{})
	m.ended = ended
	go func() { defer close(ended); _ = cmd.Wait() }() // how it ended is of no interest: a broker that is gone answers nobody
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return await(ctx, func() error {
		select {
		case <-ended:
			return errors.New("mosquitto ended at once: does it have WebSocket and TLS?")
		default:
		}
		_, err := hello(netip.AddrPortFrom(loopback, uint16(m.port)), "", "", nil)
		return err
	})
}

func (m *mosquitto) end(ctx context.Context, signal os.Signal) error {
	if m.ended == nil {
		return errors.New("mosquitto was not started")
	}
	if err := m.cmd.Process.Signal(signal); err != nil {
		return err
	}
	select {
	case <-m.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop implements Broker.
func (m *mosquitto) Stop(ctx context.Context) error { return m.end(ctx, syscall.SIGTERM) }

// Kill implements Broker.
func (m *mosquitto) Kill(ctx context.Context) error { return m.end(ctx, syscall.SIGKILL) }

// Pids implements Broker.
func (m *mosquitto) Pids() process.Group { return process.Group{m.cmd.Process.Pid} }

// CAFile implements Broker.
func (m *mosquitto) CAFile() string { return filepath.Join(m.dir, "cert.pem") }

// Rest implements Broker: it has no garbage.
func (m *mosquitto) Rest(context.Context) error { return nil }

// Addr implements Broker.
func (m *mosquitto) Addr(kind string) (netip.AddrPort, error) {
	for i, k := range []string{load.TCP, load.TLS, load.WS} {
		if k == kind {
			return netip.AddrPortFrom(loopback, uint16(m.port+i)), nil
		}
	}
	return netip.AddrPort{}, errors.New("mosquitto has no listener of kind " + kind)
}

// Settings implements Broker.
func (m *mosquitto) Settings(ctx context.Context) (Settings, error) {
	s, err := probe(netip.AddrPortFrom(loopback, uint16(m.port)))
	if err != nil {
		return s, err
	}
	out, _ := exec.CommandContext(ctx, m.program, "-h").CombinedOutput() // it ends with 3
	s.Version = strings.TrimPrefix(strings.SplitN(string(out), "\n", 2)[0], "mosquitto version ")
	s.Metrics, s.Durability = "$SYS", "none (writes its state at its end and every 30 min)"
	s.Counts = s.Authentication == on && s.ACL == on
	return s, nil
}

// certificate makes a certificate for localhost that signs itself.
func certificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	t := x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err1 := x509.CreateCertificate(rand.Reader, &t, &t, key.Public(), key)
	secret, err2 := x509.MarshalECPrivateKey(key)
	return errors.Join(err1, err2,
		os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
}

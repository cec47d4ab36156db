package diff

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/pando-mq/pando/services/boot"
)

// Server is a process that was started here.
type Server struct {
	Addr  string // of MQTT, host:port
	Log   string // file
	cmd   *exec.Cmd
	ended chan error
}

// The limits that both servers tell their clients.
const (
	receiveMaximum = 20
	aliasMaximum   = 10
	maxPacket      = 65536
)

// StartMosquitto runs mosquitto with its files in dir.
func StartMosquitto(ctx context.Context, dir string) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\nallow_duplicate_messages false\n"+
		"max_inflight_messages %d\nmax_topic_alias %d\nmax_packet_size %d\nmax_queued_messages 1000\nlog_dest stdout\nlog_type error\n",
		port, receiveMaximum, aliasMaximum, maxPacket)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return startServer(ctx, dir, "mosquitto", port, program("mosquitto"), "-c", file)
}

// program finds what Debian keeps outside of an ordinary PATH.
func program(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return "/usr/sbin/" + name
}

// Settings make Pando tell its clients the same limits as mosquitto, and take over client ids without delay.
func Settings() string {
	return fmt.Sprintf("auth:\n  allow_anonymous: true\nsession:\n  max_inflight: 20\n  expiry_interval: 2500000h\n  queue:\n    store_qos0: false\njournal:\n  durability: memory\nstore:\n  flapping_time: 1ms\n  flapping_delay: 1ms\n"+
		"mqtt:\n  receive_maximum: %d\n  topic_alias_maximum: %d\n  max_packet_size: %d\n", receiveMaximum, aliasMaximum, maxPacket)
}

// StartPando runs the all-in-one process of a binary with its files in dir. settings are the text of its configuration file.
func StartPando(ctx context.Context, binary, dir, settings string) (*Server, error) {
	file := filepath.Join(dir, "pando.yaml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		return nil, err
	}
	offset, err := freeOffset()
	if err != nil {
		return nil, err
	}
	return startServer(ctx, dir, "pando", boot.OffsetPort(1883, offset), binary, "run", "--emq", "none", "--config", file,
		"--data-dir", filepath.Join(dir, "data"), "--port-offset", strconv.Itoa(offset))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// freeOffset finds an offset at which the ports of a process are free, below those that the system gives to outgoing connections.
func freeOffset() (int, error) {
	for range 50 {
		offset := 11000 + rand.IntN(9000)
		if offsetFree(offset) {
			return offset, nil
		}
	}
	return 0, errors.New("no offset with free ports found")
}

func offsetFree(offset int) bool {
	for _, port := range []int{1883, 8883, 8083, 8084, 8080, boot.PortOps} {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(boot.OffsetPort(port, offset))))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// startServer runs a program and waits until its port answers.
func startServer(ctx context.Context, dir, name string, port int, program string, args ...string) (*Server, error) {
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Log: filepath.Join(dir, name+".log"), ended: make(chan error, 1)}
	out, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	s.cmd = exec.Command(program, args...)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.cmd.Wait() }()
	if err := s.serves(ctx); err != nil {
		s.kill()
		text, _ := os.ReadFile(s.Log)
		return nil, fmt.Errorf("%s: %w: %s", name, err, text)
	}
	return s, nil
}

func (s *Server) serves(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.DialTimeout("tcp", s.Addr, time.Second); err == nil {
			return conn.Close()
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			return fmt.Errorf("it ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("it does not listen: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

func (s *Server) kill() {
	_ = s.cmd.Process.Kill() // an error: it has ended already
	s.ended <- <-s.ended
}

// Pid is the process.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Stop ends the process, gracefully if it does so before ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // an error: it has ended already
	select {
	case err := <-s.ended:
		s.ended <- err
		return err
	case <-ctx.Done():
		s.kill()
		return ctx.Err()
	}
}

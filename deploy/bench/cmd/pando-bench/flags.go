package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/process"
	"github.com/pando-mq/pando/deploy/bench/scenario"
	"github.com/pando-mq/pando/services/run"
)

// flags are what the user types, before it is understood.
type flags struct {
	o                                               scenario.Options
	host, subAt                                     string
	port, version, qos, keepAlive                   int
	interval, every                                 int // ms
	secure, ws                                      bool
	path, ca, cert, key, serverName                 string
	insecure                                        bool
	ifaddr                                          []string
	pids                                            []int
	parallel                                        int
	between, betweenPid, jsonFile, svgFile, profile string
}

func newFlags(k kind) *flags {
	d := k.preset
	f := &flags{qos: d.qos, port: 1883}
	f.o = scenario.Options{
		Count: d.count, Receivers: d.receivers, PerClient: d.per, Topic: d.topic, Filter: d.filter, Inflight: d.inflight, Rate: d.rate, Duration: d.duration, Retain: d.retain,
	}
	if f.o.Duration == 0 {
		f.o.Duration = 10 * time.Second
	}
	return f
}

// add declares the flags: everybody's, and those of the groups in kind.flags.
func (f *flags) add(s *pflag.FlagSet, k kind) {
	f.addConnection(s)
	s.IntVarP(&f.o.Count, "count", "c", f.o.Count, "how many: clients, pairs, publishers, sessions or retained messages")
	s.StringVarP(&f.o.Topic, "topic", "t", f.o.Topic, "topic; %i is the number of the client, pair or message")
	s.IntVarP(&f.qos, "qos", "q", f.qos, "QoS of messages and subscriptions: 0, 1, 2")
	s.DurationVar(&f.o.Duration, "duration", f.o.Duration, "longest time of the measured part")
	s.Uint64VarP(&f.o.Messages, "limit", "L", 0, "messages at most; 0: as many as the duration permits")
	s.IntSliceVar(&f.pids, "pid", nil, "process ids of the broker, whose CPU and memory are measured")
	s.StringVarP(&f.jsonFile, "output", "o", "", "file for the result as JSON; - is the standard output")
	s.StringVar(&f.profile, "cpuprofile", "", "file for a profile of the generator itself, for go tool pprof")
	s.StringVar(&f.svgFile, "plot", "", "file for a plot of rate and latency, SVG")
	for _, group := range k.flags {
		f.addGroup(s, group)
	}
}

func (f *flags) addConnection(s *pflag.FlagSet) {
	s.StringVarP(&f.host, "host", "h", "localhost", "broker, a name or an address")
	s.IntVarP(&f.port, "port", "p", f.port, "its port")
	s.StringVar(&f.subAt, "sub-at", "", "host:port where receivers connect, if that is another node")
	s.IntVarP(&f.version, "version", "V", 4, "protocol level: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0")
	s.IntVarP(&f.o.Start, "startnumber", "n", 0, "number of the first client")
	s.IntVarP(&f.interval, "interval", "i", 10, "ms between two connects; 0: as fast as it goes")
	s.IntVar(&f.parallel, "parallel", 16, "connects that may be under way at once")
	s.StringVarP(&f.o.User, "username", "u", "", "user name; %i is the number of the client")
	s.StringVarP(&f.o.Password, "password", "P", "", "password; %i is the number of the client")
	s.IntVar(&f.o.Users, "users", 0, "in user name and password numbers are taken modulo this; 0: not")
	s.StringVar(&f.o.Prefix, "prefix", "", "beginning of client ids (default bench<random>_)")
	s.IntVarP(&f.keepAlive, "keepalive", "k", 300, "keep-alive in s")
	s.BoolVarP(&f.o.Clean, "clean", "C", true, "clean sessions")
	s.Uint32Var(&f.o.Expiry, "session-expiry", 7200, "s that a session which is not clean outlives its connection (MQTT 5)")
	s.BoolVarP(&f.secure, "ssl", "S", false, "TLS")
	s.BoolVar(&f.ws, "ws", false, "WebSocket, with --ssl over TLS")
	s.StringVar(&f.path, "ws-path", "/mqtt", "path of the WebSocket")
	s.StringVar(&f.ca, "cafile", "", "PEM file with the authorities that may have signed the broker's certificate")
	s.StringVar(&f.cert, "certfile", "", "PEM file with a certificate of the clients")
	s.StringVar(&f.key, "keyfile", "", "PEM file with its private key")
	s.StringVar(&f.serverName, "server-name", "", "name that the broker's certificate must have (default: the host)")
	s.BoolVar(&f.insecure, "insecure", false, "take any certificate")
	s.StringSliceVar(&f.ifaddr, "ifaddr", nil, "addresses to connect from, in turn. On loopback 127.0.0.0/8 is used by itself when one address has too few ports")
}

func (f *flags) addGroup(s *pflag.FlagSet, group rune) {
	switch group {
	case 'p':
		s.IntVarP(&f.o.Size, "size", "s", 256, "bytes of a payload, 20 at least")
		s.BoolVarP(&f.o.Retain, "retain", "r", f.o.Retain, "retain the messages")
		s.DurationVar(&f.o.Drain, "drain", 5*time.Second, "wait for what is under way, as long as something comes within this time")
	case 'f':
		s.IntVarP(&f.o.Inflight, "inflight", "F", f.o.Inflight, "messages of a publisher under way at once; 0: no window")
		s.BoolVar(&f.o.AckOnly, "ack-only", f.o.AckOnly, "messages are under way until they are acknowledged, not until they are delivered")
		s.Float64Var(&f.o.Rate, "rate", f.o.Rate, "messages per second of all publishers together, an open loop; 0: as fast as the windows permit")
		s.IntVarP(&f.every, "interval_of_msg", "I", 0, "ms between two messages of one publisher, instead of --rate")
		s.DurationVar(&f.o.Warmup, "warmup", time.Second, "time before the measured part")
	case 't':
		s.StringVar(&f.o.Filter, "filter", f.o.Filter, "what the receivers subscribe to")
	case 'r':
		s.IntVar(&f.o.Receivers, "receivers", f.o.Receivers, "how many receivers")
	case 'n':
		s.IntVar(&f.o.PerClient, "per-client", f.o.PerClient, "subscriptions or messages of each client")
	case 'm':
		s.DurationVar(&f.o.Settle, "settle", f.o.Settle, "time without messages before the memory is measured")
		s.BoolVar(&f.o.Subscribed, "subscribe", false, "conn: one subscription each")
	case 's':
		s.IntVar(&f.o.Size, "size", 256, "not used")
		_ = s.MarkHidden("size") // it exists
	case 'i':
		s.IntVar(&f.o.Idle, "idle", 0, "further connections with one subscription each that say nothing")
	case 'b':
		s.StringVar(&f.between, "between", "", "shell command to run before the sessions come back")
		s.StringVar(&f.betweenPid, "pidfile", "", "file with the broker's process id afterwards")
	}
}

// options understands the flags. Errors are those of the user.
func (f *flags) options(ctx context.Context, k kind) (scenario.Options, error) {
	o := f.o
	var err error
	if o.Addr, err = resolve(ctx, f.host, f.port); err != nil {
		return o, err
	}
	if f.subAt != "" {
		host, port, err := net.SplitHostPort(f.subAt)
		if err != nil {
			return o, err
		}
		n, _ := strconv.Atoi(port) // resolve refuses 0
		if o.SubAddr, err = resolve(ctx, host, n); err != nil {
			return o, err
		}
	}
	if f.qos < 0 || f.qos > 2 || f.version < 3 || f.version > 5 || o.Count < 1 || f.keepAlive < 0 || f.keepAlive > 65535 {
		return o, errors.New("-q wants 0 to 2, -V 3 to 5, -c 1 or more, -k 0 to 65535")
	}
	if o.Inflight < 0 || o.Inflight > 10000 {
		return o, errors.New("-F wants 0 to 10000")
	}
	o.QoS, o.Version, o.KeepAlive, o.Broker = byte(f.qos), byte(f.version), uint16(f.keepAlive), f.pids
	if f.every > 0 {
		o.Rate = float64(o.Count) * 1000 / float64(f.every)
	}
	if o.Prefix == "" {
		o.Prefix = fmt.Sprintf("bench%x_", time.Now().UnixMicro()&0xFFFFFF)
	}
	if o.Clean {
		o.Expiry = 0
	}
	if o.Dial, err = f.dial(o, sockets(o, k)); err != nil {
		return o, err
	}
	if f.between != "" {
		o.Between = f.pause
	}
	return o, enough(sockets(o, k))
}

// sockets is how many connections a load needs at most.
func sockets(o scenario.Options, k kind) int {
	switch k.name {
	case "retained":
		return o.Receivers + 1
	case "p2p", "instant-messaging", "device-latency":
		return 2*o.Count + o.Idle
	}
	return o.Count + o.Receivers + 20
}

// enough checks that so many sockets can be opened.
func enough(sockets int) error {
	limit, err := process.RaiseFiles()
	if err == nil && uint64(sockets+64) > limit {
		return fmt.Errorf("%d connections need as many open files, and this system permits %d: ulimit -n", sockets, limit)
	}
	return err
}

func resolve(ctx context.Context, host string, port int) (netip.AddrPort, error) {
	if port < 1 || port > 65535 {
		return netip.AddrPort{}, fmt.Errorf("%d is no port", port)
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	best := list[0]
	for _, a := range list {
		if a.Unmap().Is4() { // brokers that listen on one address of localhost listen on this one
			best = a
			break
		}
	}
	return netip.AddrPortFrom(best.Unmap(), uint16(port)), nil
}

func (f *flags) dial(o scenario.Options, sockets int) (load.Dial, error) {
	d := load.Dial{Interval: time.Duration(f.interval) * time.Millisecond, Parallel: f.parallel, Path: f.path, Kind: load.TCP}
	switch {
	case f.secure && f.ws:
		d.Kind = load.WSS
	case f.secure:
		d.Kind = load.TLS
	case f.ws:
		d.Kind = load.WS
	}
	for _, text := range f.ifaddr {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return d, err
		}
		d.Sources = append(d.Sources, a)
	}
	if len(d.Sources) == 0 {
		d.Sources = load.LoopbackSources(o.Addr.Addr(), sockets)
	}
	if !f.secure {
		return d, nil
	}
	var err error
	d.TLS, err = f.tls()
	return d, err
}

func (f *flags) tls() (*tls.Config, error) {
	t := &tls.Config{ServerName: f.serverName, InsecureSkipVerify: f.insecure, MinVersion: tls.VersionTLS12}
	if t.ServerName == "" {
		t.ServerName = f.host
	}
	if f.ca != "" {
		text, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New(f.ca + " holds no certificate")
		}
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// pause runs the command of --between and finds the broker's process again.
func (f *flags) pause(ctx context.Context) (process.Group, error) {
	out, err := exec.CommandContext(ctx, "sh", "-c", f.between).CombinedOutput()
	if err != nil || f.betweenPid == "" {
		if err != nil {
			err = fmt.Errorf("%s: %w: %s", f.between, err, out)
		}
		return nil, err
	}
	text, err := os.ReadFile(f.betweenPid)
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return process.Group{pid}, err
}

// run is a subcommand.
func (f *flags) run(c *cobra.Command, k kind) error {
	o, err := f.options(c.Context(), k)
	if err != nil {
		return run.WithCode(run.CodeUsage, err)
	}
	stop, err := f.startProfile()
	if err != nil {
		return err
	}
	p := newProgress(c.ErrOrStderr())
	o.Progress = p.show
	result, err := k.run(c.Context(), o)
	p.end()
	err = errors.Join(err, stop())
	if err != nil && result.Measure.Elapsed == 0 {
		return err // nothing was measured
	}
	return errors.Join(err, f.report(c.OutOrStdout(), result))
}

// startProfile begins the profile of --cpuprofile, and returns what ends it.
func (f *flags) startProfile() (stop func() error, err error) {
	if f.profile == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(f.profile)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error { pprof.StopCPUProfile(); return file.Close() }, nil
}

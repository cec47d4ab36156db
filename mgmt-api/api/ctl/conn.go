package ctl

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"

	"github.com/pando-mq/pando/mgmt-api/account"
	"github.com/pando-mq/pando/mgmt-api/door"
	"github.com/pando-mq/pando/services/run"
)

const (
	dialTime  = 5 * time.Second
	maxAnswer = 64 << 20 // bytes of one page
)

// client has the methods of pando.mgmt.v1.
type client = mgmtv1.ManagementServiceClient

// conn is the way to a running suite.
type conn struct {
	client
	grpc *grpc.ClientConn
}

func (c *conn) Close() error { return c.grpc.Close() }

// connect connects at the first call, and says how to start pando when that does not work.
func (a *app) connect(ctx context.Context) (*conn, error) {
	if a.conn != nil {
		return a.conn, nil
	}
	server := cmp.Or(a.flags.server, a.Getenv("PANDOCTL_SERVER"))
	if a.flags.socket != "" && a.flags.server != "" {
		return nil, misused("give --socket or --server, not both")
	}
	if a.flags.socket != "" {
		server = ""
	}
	var err error
	if server != "" {
		a.conn, err = a.overTCP(ctx, server)
	} else {
		a.conn, err = a.overSocket(ctx)
	}
	return a.conn, err
}

func (a *app) dataDir() string { return cmp.Or(a.flags.dataDir, a.Getenv("PANDO_DATA_DIR"), "data") }

// overSocket connects to the process on this machine.
func (a *app) overSocket(ctx context.Context) (*conn, error) {
	path := cmp.Or(a.flags.socket, a.Getenv("PANDOCTL_SOCKET"), filepath.Join(a.dataDir(), door.SocketFile))
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return door.Dial(ctx, path) }
	if err := probe(ctx, dial); err != nil {
		return nil, run.WithCode(run.CodeNotRunning, socketTrouble(path, err))
	}
	return open("passthrough:///pandoctl", grpc.WithContextDialer(dial), grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// socketTrouble says what to do.
func socketTrouble(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: permission denied: use pandoctl as the user who runs pando", path)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("is pando running? Nobody answers at %s\nstart it with `make run` or `pando run`; "+
			"name its data directory with --data-dir DIR, or a mgmt-api on another machine with --server HOST:9700", path)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// overTCP connects to a mgmt-api with a token.
func (a *app) overTCP(ctx context.Context, server string) (*conn, error) {
	if _, _, err := net.SplitHostPort(server); err != nil {
		return nil, misused("--server %s: %v (expected HOST:PORT, the port is 9700 unless it was changed)", server, err)
	}
	token, err := a.bearer()
	if err != nil {
		return nil, err
	}
	creds, err := a.transport()
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", server)
	}
	if err := probe(ctx, dial); err != nil {
		return nil, run.WithCode(run.CodeNotRunning, fmt.Errorf("is mgmt-api running? %w\n"+
			"its gRPC port is 9700 plus the port offset, on the address of cluster.listen; the all-in-one process opens none: use --data-dir there", err))
	}
	return open("passthrough:///"+server, grpc.WithContextDialer(dial), grpc.WithTransportCredentials(creds), grpc.WithUnaryInterceptor(token.add))
}

// probe shows early, and with its own words, whether somebody is there.
func probe(ctx context.Context, dial func(context.Context, string) (net.Conn, error)) error {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	c, err := dial(ctx, "")
	if err != nil {
		return err
	}
	return c.Close()
}

func open(target string, opts ...grpc.DialOption) (*conn, error) {
	c, err := grpc.NewClient(target, append(opts, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)))...)
	if err != nil {
		return nil, err
	}
	return &conn{mgmtv1.NewManagementServiceClient(c), c}, nil
}

// bearer is a token; "" sends none.
type bearer string

func (b bearer) add(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if b != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+string(b))
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// bearer finds the token: flag, environment, file in the data directory.
func (a *app) bearer() (bearer, error) {
	if t := cmp.Or(a.flags.token, a.Getenv("PANDOCTL_TOKEN")); t != "" {
		return bearer(t), nil
	}
	t, err := account.ReadToken(filepath.Join(a.dataDir(), account.TokenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return bearer(t), err
}

// transport is TLS when a CA is given.
func (a *app) transport() (credentials.TransportCredentials, error) {
	if a.flags.ca == "" {
		if a.flags.cert != "" || a.flags.key != "" {
			return nil, misused("--tls-cert and --tls-key need --tls-ca")
		}
		return insecure.NewCredentials(), nil
	}
	pem, err := os.ReadFile(a.flags.ca)
	if err != nil {
		return nil, fmt.Errorf("--tls-ca: %w", err)
	}
	c := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--tls-ca: %s holds no certificate", a.flags.ca)
	}
	if a.flags.cert != "" || a.flags.key != "" {
		pair, err := tls.LoadX509KeyPair(a.flags.cert, a.flags.key)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(c), nil
}

// call makes one request within the time of --timeout.
func call[Req, Resp any](ctx context.Context, a *app, method func(client, context.Context, Req, ...grpc.CallOption) (Resp, error), req Req) (Resp, error) {
	var none Resp
	c, err := a.connect(ctx)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.flags.timeout)
	defer cancel()
	return method(c, ctx, req)
}

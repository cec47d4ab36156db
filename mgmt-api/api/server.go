package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"

	"github.com/pando-mq/pando/mgmt-api/account"
	"github.com/pando-mq/pando/mgmt-api/fleet"
	"github.com/pando-mq/pando/services/log"
)

const (
	requestTime = 30 * time.Second // for one request, whatever its caller allows
	maxStreams  = 64               // requests at the same time on one connection
)

// Deps is what a Server stands on. Fleet, Status, MaxBody, Log and Served must be set.
type Deps struct {
	Fleet   *fleet.Fleet
	Status  func() (text string, serve bool)
	Token   *account.Token // nil: whoever can connect may call
	TLS     *tls.Config    // nil: plaintext
	MaxBody int64          // bytes of one request
	Log     *slog.Logger
	Served  func(code string, took time.Duration) // counts each request
}

// Server answers on one listener.
type Server struct {
	deps Deps
	grpc *grpc.Server
}

// New makes a Server. It starts nothing.
func New(d Deps) *Server {
	s := &Server{deps: d}
	opts := []grpc.ServerOption{
		grpc.UnaryInterceptor(s.around), grpc.MaxRecvMsgSize(int(d.MaxBody)), grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 5 * time.Minute, Time: time.Minute, Timeout: 10 * time.Second}),
	}
	if d.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(d.TLS)))
	}
	s.grpc = grpc.NewServer(opts...)
	mgmtv1.RegisterManagementServiceServer(s.grpc, &service{fleet: d.Fleet, status: d.Status})
	return s
}

// Serve answers until Stop; then it returns nil.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(l); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// Stop lets requests under way finish, until ctx ends, and closes the listener.
func (s *Server) Stop(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
		return ctx.Err()
	}
}

// around is around every method: token, time, panics, errors, counting.
func (s *Server) around(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	begin := time.Now()
	defer func() {
		if v := recover(); v != nil {
			s.deps.Log.Error("request broke", log.KeyURL, path.Base(info.FullMethod), log.KeyError, fmt.Sprint(v), log.KeyReason, string(debug.Stack()))
			resp, err = nil, status.Error(codes.Internal, "the request broke: see the log of mgmt-api")
		}
		s.deps.Served(status.Code(err).String(), time.Since(begin))
	}()
	if !s.allowed(ctx) {
		return nil, status.Error(codes.Unauthenticated, "the bearer token is missing or wrong: it is in the file "+account.TokenFile+" of mgmt-api's data directory")
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	resp, err = next(ctx, req)
	if err != nil {
		return nil, statusOf(err)
	}
	return resp, nil
}

// allowed checks the bearer token where one is asked for.
func (s *Server) allowed(ctx context.Context) bool {
	if s.deps.Token == nil {
		return true
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, v := range md.Get("authorization") {
		if token, ok := strings.CutPrefix(v, "Bearer "); ok && s.deps.Token.Is(token) {
			return true
		}
	}
	return false
}

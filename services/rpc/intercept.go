package rpc

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/pando-mq/pando/services/broker"
)

// aroundUnary counts, measures and survives a unary call.
func (s *Server) aroundUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	start := time.Now()
	defer func() {
		s.metrics.called(info.FullMethod, status.Code(err).String())
		s.metrics.took(info.FullMethod, time.Since(start))
	}()
	defer s.recover(info.FullMethod, &err)
	return next(ctx, req)
}

// aroundStream counts and survives a streaming call, and ends its context when the server stops.
func (s *Server) aroundStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	defer func() { s.metrics.called(info.FullMethod, status.Code(err).String()) }()
	defer s.recover(info.FullMethod, &err)
	return next(srv, &stoppable{ServerStream: stream, ctx: ctx})
}

// stoppable is a stream whose context ends when the server stops.
type stoppable struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *stoppable) Context() context.Context { return s.ctx }

// recover turns a panic into an internal error.
func (s *Server) recover(method string, err *error) {
	p := recover()
	if p == nil {
		return
	}
	s.metrics.panicked()
	s.deps.Log.Error("a call panicked", slog.String("method", method), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	*err = ToStatus(broker.E(broker.KindInternal, "call panicked", nil))
}
